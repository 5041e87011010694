"""A sharded model in bfloat16, over gloo: its log-probabilities stay in float32. Whole sharded runs: test_ranks.py."""

import os
import subprocess
import sys
from pathlib import Path

from harness import PACKAGE

PROGRAM = """
import sys, tempfile, torch
from torch.distributed import FileStore, init_process_group
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from transformers import AutoModelForCausalLM
from trl.trainer.utils import add_fused_lm_head
from rrr_workers.training.sharding import shard_precision

init_process_group("gloo", store=FileStore(tempfile.mkstemp()[1], 1), rank=0, world_size=1)

def dtypes(policy):
    model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
    add_fused_lm_head(model)
    for layer in model.model.layers:
        fully_shard(layer, mp_policy=policy)
    fully_shard(model, mp_policy=policy)
    ids = torch.arange(32).reshape(2, 16)
    with torch.autocast("cpu", torch.bfloat16):
        logprobs = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids, fused_lm_head=True).log_probs
    logprobs.sum().backward()
    gradient = next(model.parameters()).grad
    return str(logprobs.dtype), str(gradient.dtype)

print(*dtypes(shard_precision("bfloat16")))
print(*dtypes(MixedPrecisionPolicy(torch.bfloat16, torch.bfloat16, torch.bfloat16)))
"""


def test_log_probabilities_of_a_sharded_bfloat16_model_are_float32(tiny_model: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tiny_model],
        env={**os.environ, "PYTHONPATH": str(PACKAGE), "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ours, default = done.stdout.splitlines()[-2:]
    assert ours == "torch.float32 torch.float32"
    assert default.startswith("torch.bfloat16")  # what accelerate's own policy gives
