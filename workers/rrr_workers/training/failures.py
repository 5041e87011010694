"""The dataset of failures, and the order in which training meets them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from rrr_workers.errors import UserError
from rrr_workers.hashing import derive_seed
from rrr_workers.tasks.base import Query
from rrr_workers.text import clip, numbered_lines


@dataclass(frozen=True, slots=True)
class Failure:
    """One query and the answer to it that the verifier rejected."""

    query: Query
    answer: str


def load_failures(path: Path) -> list[Failure]:
    """Rows of failures.jsonl, in its order. Raises :class:`UserError` for a file that is missing, broken or empty."""
    try:
        failures = [_read_failure(line, f"{path}:{number}") for number, line in numbered_lines(path)]
    except FileNotFoundError:
        raise UserError(f"there is no {path}", cure="run rrr build-failures first") from None
    if not failures:
        cure = "give build-failures more queries or harder ones: a model that never fails has nothing to reflect on"
        raise UserError(f"{path} holds no failures", cure=cure)
    return failures


def _read_failure(line: bytes, where: str) -> Failure:
    try:
        row = json.loads(line)
        return Failure(Query(row["id"], row["query"]), row["completion"])
    except (ValueError, KeyError, TypeError) as error:
        shown = clip(line.decode("utf-8", "backslashreplace"), 200)
        raise UserError(
            f"{where} is no failure ({type(error).__name__}: {error}): {shown}",
            cure="make the file again: rrr build-failures in a new run directory",
        ) from error


def training_order(failures: int, needed: int, seed: int) -> list[int]:
    """Indices of the ``needed`` prompts of a run: one shuffle of all ``failures`` after the other.

    The whole run is laid out as a single epoch because a resumed trainer can't tell which epoch's shuffle it was in.
    """
    return [index for index, _ in zip(_shuffles(failures, seed), range(needed), strict=False)]


def _shuffles(failures: int, seed: int) -> Iterator[int]:
    epoch = 0
    while True:
        order = list(range(failures))
        Random(derive_seed(seed, "train-order", epoch)).shuffle(order)
        yield from order
        epoch += 1
