"""Text for messages, and files of JSON lines."""

from collections.abc import Iterator
from pathlib import Path


def clip(text: str, limit: int) -> str:
    """``text``, or its start and "..." where it has more than ``limit`` characters."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    r"""(number from 1, line) of every line that isn't blank.

    Lines end at ``\n`` alone: JSON text may hold U+2028, at which ``str.splitlines`` would split.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, line
