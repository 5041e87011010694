"""vLLM's CPU worker without packed weights: float32 samples are exact and weight updates take effect.

oneDNN packs the linear layers when the model is loaded: later updates of the weights change nothing that is used, and
its products differ from torch's in the last digits. Engines name this class as ``worker_cls``, which reaches the
processes that vLLM spawns (setting the flag in the parent doesn't).
"""

from typing import Any

import vllm._custom_ops as ops
from vllm.v1.worker.cpu_worker import CPUWorker


class ExactCPUWorker(CPUWorker):  # type: ignore[misc]  # vLLM is untyped
    """Computes linear layers with ``torch.nn.functional.linear`` on the weights as they are now."""

    def load_model(self, *args: Any, **kwargs: Any) -> None:
        ops._supports_onednn = False
        super().load_model(*args, **kwargs)
