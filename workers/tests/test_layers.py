"""Which room of the package may import which: the table reads downwards, and nothing imports what stands above it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import rrr_workers

PACKAGE = Path(rrr_workers.__file__).parent

#: Rooms of one line don't import each other.
LAYERS = (
    ("roles",),
    ("benchmarks", "planning"),
    ("training", "data"),
    ("runtime", "draws"),
    ("episode", "api", "hub"),
    ("reflecting",),
    ("engines",),
    ("tasks",),
    ("config",),
    ("config_model", "errors", "hashing", "text"),
)
DEPTH = {room: depth for depth, rooms in enumerate(LAYERS) for room in rooms}


def imports() -> Iterator[tuple[str, str]]:
    """(module, module of the package that it imports), wherever in the file."""
    for path in PACKAGE.rglob("*.py"):
        importer = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rrr_workers."):
                yield importer, str(node.module).removeprefix("rrr_workers.")


def test_rooms_import_downwards() -> None:
    found = list(imports())
    assert len(found) > 100
    for importer, imported in found:
        room, other = importer.split(".")[0], imported.split(".")[0]
        assert room == other or DEPTH[room] < DEPTH[other], f"{importer} imports {imported}"


def test_no_module_imports_itself_through_others() -> None:
    graph: dict[str, set[str]] = {}
    for importer, imported in imports():
        graph.setdefault(importer, set()).add(imported)

    def check(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path, module))
        for imported in graph.get(module, ()):
            check(imported, (*path, module))

    for module in graph:
        check(module, ())
