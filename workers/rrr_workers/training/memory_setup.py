"""From the resolved config to what memory.py asks of a run, without torch: `rrr plan` asks it, too."""

from rrr_workers.config import Config
from rrr_workers.training.memory import GIB, Dtype, Lora, Setup


def training_dtype(dtype: str) -> Dtype:
    """What a trainer on a GPU computes in, for the ``dtype`` of the config or of the checkpoint. bfloat16 stands in for
    float16, in which small gradients vanish unless the loss is scaled."""
    return "float32" if dtype == "float32" else "bfloat16"


def memory_setup(config: Config, card: int | None, *, ranks: int, dtype: Dtype) -> Setup:
    """The setup of ``ranks`` processes on GPUs of ``card`` bytes each, None on a CPU, that compute in ``dtype``."""
    train, adapters = config.train, config.train.lora
    targets = None if adapters is None or adapters.targets == ["all-linear"] else tuple(adapters.targets)
    return Setup(
        dtype=dtype,
        batch_size=train.batch_size,
        micro_batch_size=train.micro_batch_size or train.batch_size // ranks,
        tokens=config.model.max_model_len,
        card=card,
        ranks=ranks,
        sharding=train.sharding,
        reference=train.beta > 0,
        lora=Lora(adapters.rank, targets, adapters.base_dtype) if adapters else None,
        gradient_checkpointing=train.gradient_checkpointing,
        engine_share=train.gpu_memory_utilization,
        engine_sleep=train.engine_sleep,
        cpu_kv_cache=int(config.engine.cpu_kv_cache_gib * GIB),
    )
