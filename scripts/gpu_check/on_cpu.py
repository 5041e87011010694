"""What --on-cpu needs: it runs the check without a GPU, for the tests."""

import os
from importlib import import_module

SHARD_ON_CPU = "RRR_TEST_SHARD"


def shard_if_asked() -> None:
    """accelerate ignores FSDP on a CPU: with RRR_TEST_SHARD=1, and workers/tests on the path, it doesn't."""
    if os.environ.get(SHARD_ON_CPU):
        import_module("watched_trainer").shard_on_cpu()
