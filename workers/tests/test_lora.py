"""A whole training run with adapters, on a tiny model: what is bound and trained, and the model that it ends with."""

from pathlib import Path
from typing import Any

import pytest
import torch

from rrr_workers.training.lora import adapter_dropouts
from training_fixtures import STEPS, of_kind, run_training, training_config, write_failures

LORA = {"rank": 4, "alpha": 8, "dropout": 0.0, "targets": ["q_proj", "down_proj"], "base_dtype": "float32"}


def train(tiny_model: Path, folder: Path, **lora: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    config = training_config(tiny_model, train={"lora": {**LORA, **lora}, "beta": 0.1})
    return run_training(config, write_failures(folder / "failures.jsonl"), folder)


@pytest.fixture(scope="module")
def trained(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("lora")
    result, events = train(tiny_model, folder)
    assert result == {"step": STEPS, "stopped": False, "model": str(folder / "model")}
    return folder, events


def test_adapters_alone_are_trained_and_counted(tiny_model: Path, trained: tuple[Path, list[dict[str, Any]]]) -> None:
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(tiny_model)
    layers, hidden = base.config.num_hidden_layers, base.config.hidden_size
    (adapter,) = of_kind(trained[1], "adapter")
    queries = base.model.layers[0].self_attn.q_proj.out_features
    wide = base.config.intermediate_size
    added = layers * 4 * ((hidden + queries) + (wide + hidden))
    parameters = sum(each.numel() for each in base.parameters())
    assert adapter == {"kind": "adapter", "modules": 2 * layers, "trained": added, "all": parameters + added}
    (merged,) = of_kind(trained[1], "merged")
    assert 0 <= merged["drift"] < 1e-8
    steps = of_kind(trained[1], "step")
    assert all(step["logprob_difference"] < 1e-5 for step in steps)  # the engine samples with the merged weights
    assert steps[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert steps[-1]["kl"] > 0


def test_the_merged_model_is_the_base_with_the_adapters(
    tiny_model: Path, trained: tuple[Path, list[dict[str, Any]]]
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(tiny_model)
    merged = AutoModelForCausalLM.from_pretrained(trained[0] / "model")
    assert merged.state_dict().keys() == base.state_dict().keys()
    changed = {name for name, weight in merged.state_dict().items() if not weight.equal(base.state_dict()[name])}
    assert {name.split(".")[-2] for name in changed} == {"q_proj", "down_proj"}
    adapted = PeftModel.from_pretrained(base, trained[0] / "adapter")
    ids = torch.arange(40).unsqueeze(0)
    torch.testing.assert_close(merged(ids).logits, adapted(ids).logits)


def test_dropout_works_on_the_adapters_in_the_loss_and_not_on_what_is_compared(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rrr_workers.training.trainer import ReflectionTrainer

    seen: list[tuple[float, bool]] = []
    step = ReflectionTrainer.training_step

    def watched(self: Any, *args: Any) -> Any:
        seen.extend((each.p, each.training) for each in adapter_dropouts(self.model))
        return step(self, *args)

    monkeypatch.setattr(ReflectionTrainer, "training_step", watched)
    _, events = train(tiny_model, tmp_path, dropout=0.5)
    assert set(seen) == {(0.5, True)}
    assert all(event["logprob_difference"] < 1e-5 for event in of_kind(events, "step"))
