"""Proof, bit for bit, that the engine samples with the trainer's weights.

Log-probabilities can't tell in bfloat16: there, the two engines' rounding moves them by more than a stale step of a
learning rate of 5e-7 does (training/config.py). So every tensor that the trainer hands over is looked at again in the
engine: all vectors at each update, and of the matrices a share that rotates, so that none waits longer than
``ROTATION`` updates. What the engine fuses (query, key and value; gate and up) is compared by slice.
"""

from collections.abc import Iterable, Iterator, Mapping
from math import ceil
from typing import Any

import torch
from torch import Tensor

from rrr_workers.errors import BugError, CallFailed

ROTATION = 16

Named = tuple[str, Tensor]


class SyncCheck:
    """Watches tensors on their way into ``engine``, a model of vLLM's on one device.

    ``given``: the names that the trainer has for its weights, as in a checkpoint. What the engine lays out in a way of
    its own (a mixture's experts) has no counterpart there, and is not looked at. ``rotation``: in how many updates each
    matrix is compared once. ``rows``: of the weights, where they don't come in the order that the engine fuses them in.
    """

    def __init__(
        self,
        engine: torch.nn.Module,
        given: Iterable[str],
        rotation: int = ROTATION,
        rows: Mapping[str, int] | None = None,
    ):
        self._engine = dict(engine.named_parameters())
        fused: dict[str, list[str]] = getattr(engine, "packed_modules_mapping", {})
        names = set(given)
        sources = {name: _sources(name, fused) for name in self._engine}
        self._sources = {name: parts for name, parts in sources.items() if names.issuperset(parts)}
        self._target = {part: name for name, parts in self._sources.items() for part in parts}
        self._rotation = rotation
        self._matrices = [name for name in self._sources if self._engine[name].dim() > 1]
        if not self._matrices:
            raise BugError("none of the engine's matrices is among the trainer's weights: they can't be compared")
        self._rows = dict(rows or {})
        self._updates = 0
        self._passed = False
        self._problems: list[str] = []

    @property
    def compared(self) -> int:
        """How many of the engine's tensors are looked at; :attr:`tensors` is how many there are."""
        return len(self._sources)

    @property
    def tensors(self) -> int:
        return len(self._engine)

    def passing(self, tensors: Iterable[Named]) -> Iterator[Named]:
        """Yield each of an update's tensors; when the next is asked for, the engine has loaded it and is compared."""
        chosen = self._choose()
        missing = {part for name in chosen for part in self._sources[name]}
        for name, tensor in tensors:
            yield name, tensor
            self._rows[name] = tensor.size(0)
            if name in missing:
                missing.remove(name)
                self._compare(name, tensor)
        self._problems += [f"{name} was not handed over" for name in sorted(missing)]
        self._updates += 1
        self._passed = True

    def confirm(self, step: int) -> None:
        """Raise :class:`CallFailed`, not to be retried, unless an update passed since the last time and arrived."""
        if problems := self.take_problems():
            more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
            raise CallFailed(
                f"the sampler does not have the trainer's weights at step {step + 1}: {problems[0]}{more}",
                cure="weight updates don't reach vLLM: check that the pinned versions are installed "
                "(rrr setup), then go on from the last checkpoint with --resume",
            )

    def take_problems(self) -> list[str]:
        """Why the engine doesn't have the tensors of the update since the last time; none where it has them."""
        problems = self._problems if self._passed else ["no update was handed over"]
        self._passed, self._problems = False, []
        return problems

    def _choose(self) -> set[str]:
        share = ceil(len(self._matrices) / self._rotation)
        first = self._updates * share
        matrices = {self._matrices[index % len(self._matrices)] for index in range(first, first + share)}
        return matrices | {name for name in self._sources if self._engine[name].dim() == 1}

    def _compare(self, name: str, tensor: Tensor) -> None:
        target = self._target[name]
        before = self._sources[target][: self._sources[target].index(name)]
        start = sum(self._rows[part] for part in before)
        # More rows than the tensor's are padding of the vocabulary.
        loaded = self._engine[target].detach()[start : start + tensor.size(0)]
        expected = tensor.detach().to(loaded)  # a file is read into memory of the host
        if not torch.equal(loaded, expected):
            count = int((loaded != expected).sum()) if loaded.shape == expected.shape else expected.numel()
            self._problems.append(f"{name} differs from it in {count} of {expected.numel()} values")


def checkpoint_names(model: Any) -> list[str]:
    """What a checkpoint calls the weights of ``model``, which may carry adapters (their own weights are left out)."""
    names = [name.removeprefix("base_model.model.").replace(".base_layer", "") for name, _ in model.named_parameters()]
    return [name.replace("_checkpoint_wrapped_module.", "") for name in names if ".lora_" not in name]


def _sources(name: str, fused: dict[str, list[str]]) -> list[str]:
    """The checkpoint's names for the engine's tensor ``name``, in the order of their rows."""
    path = name.split(".")
    for index, module in enumerate(path):
        if module in fused:
            return [".".join([*path[:index], part, *path[index + 1 :]]) for part in fused[module]]
    return [name]
