"""Another model's weights in a living engine: what vLLM's workers do for it, in their own processes.

vLLM's reload is not believed: with linear layers that were packed at the start, as on a CPU, it changes nothing that is
used, without a word. So every tensor of the engine is compared with the file, bit for bit.
"""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from torch import Tensor

from rrr_workers.engines.sync import SyncCheck
from rrr_workers.errors import BugError


class WeightsExtension:
    """Methods that vLLM adds to its own worker (``worker_extension_cls``) and calls by ``collective_rpc``."""

    model_runner: Any

    def load_weights_of(self, folder: str) -> list[str]:
        """Take the weights of the model in ``folder``. Returns why the engine doesn't have them now."""
        rows: dict[str, int] = {}

        def counted() -> Iterator[tuple[str, Tensor]]:
            for name, tensor in self._weights_in(folder):
                rows[name] = tensor.size(0)
                yield name, tensor

        self.model_runner.reload_weights(weights_iterator=counted())
        try:
            check = SyncCheck(self.model_runner.get_model(), rows, rotation=1, rows=rows)
        except BugError as error:
            return [str(error)]
        if unknown := check.tensors - check.compared:
            return [f"{unknown} of the engine's {check.tensors} tensors have no counterpart in {folder}"]
        for _ in check.passing(self._weights_in(folder)):
            continue
        return check.take_problems()

    def _weights_in(self, folder: str) -> Iterator[tuple[str, Tensor]]:
        from vllm.model_executor.model_loader import get_model_loader

        loader: Any = get_model_loader(self.model_runner.load_config)
        yield from loader.get_all_weights(SimpleNamespace(model=folder, revision=None), self.model_runner.get_model())
