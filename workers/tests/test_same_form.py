"""Which models one engine may hold in turn, and that a reload which changes nothing is noticed."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rrr_workers.engines.same_form import difference
from rrr_workers.engines.weights import WeightsExtension


@pytest.fixture
def copy(tiny_model: Path, tmp_path: Path) -> Callable[..., str | None]:
    """Changes keys of a file in a copy of the model; returns what then keeps an engine from holding it."""

    def change(file: str, *, dtype_too: bool = False, **keys: Any) -> str | None:
        folder = tmp_path / "copy"
        shutil.copytree(tiny_model, folder)
        path = folder / file
        if path.suffix == ".json":
            path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **keys}), encoding="utf-8")
        else:
            path.write_text(path.read_text(encoding="utf-8") + keys["more"], encoding="utf-8")
        return difference(str(tiny_model), None, str(folder), dtype_too=dtype_too)

    return change


@pytest.mark.parametrize(
    ("file", "keys", "said"),
    [
        ("config.json", {"num_hidden_layers": 2}, "num_hidden_layers is 4 in "),
        ("config.json", {"vocab_size": 999}, "vocab_size"),
        ("config.json", {"rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}}, "rope_parameters"),
        ("config.json", {"dtype": "bfloat16"}, None),
        ("config.json", {"transformers_version": "9", "use_cache": False, "pad_token_id": 5}, None),
        ("generation_config.json", {"eos_token_id": [1, 2]}, "other tokens"),
        ("generation_config.json", {"temperature": 0.5, "do_sample": True}, None),
        ("tokenizer_config.json", {"eos_token": "<|pad|>"}, "different tokenizers"),
        ("chat_template.jinja", {"more": " "}, "chat templates"),
    ],
)
def test_all_but_the_weights_must_be_the_same(
    copy: Callable[..., str | None], file: str, keys: dict[str, Any], said: str | None
) -> None:
    found = copy(file, **keys)
    assert said in (found or "") if said else found is None


def test_a_dtype_that_the_engine_follows_must_be_the_same(copy: Callable[..., str | None]) -> None:
    assert "dtype" in (copy("config.json", dtype_too=True, dtype="bfloat16") or "")


class Extension(WeightsExtension):
    """vLLM's worker with a model of one matrix: ``works`` says whether the reload does what it should."""

    def __init__(self, *, works: bool, names: tuple[str, ...] = ("weight", "bias")):
        self.model = torch.nn.Linear(3, 2)
        self.file = {name: torch.ones_like(tensor) for name, tensor in self.model.named_parameters() if name in names}
        self.works = works
        self.model_runner = SimpleNamespace(get_model=lambda: self.model, reload_weights=self.reload)

    def reload(self, weights_iterator: Iterator[tuple[str, torch.Tensor]]) -> None:
        for name, tensor in weights_iterator:
            if self.works:
                self.model.get_parameter(name).data.copy_(tensor)

    def _weights_in(self, folder: str) -> Iterator[tuple[str, torch.Tensor]]:
        yield from self.file.items()


def test_every_tensor_is_compared_with_the_file() -> None:
    assert Extension(works=True).load_weights_of("/m") == []
    assert Extension(works=False).load_weights_of("/m") == [
        "weight differs from it in 6 of 6 values",
        "bias differs from it in 2 of 2 values",
    ]
    assert Extension(works=True, names=("weight",)).load_weights_of("/m") == [
        "1 of the engine's 2 tensors have no counterpart in /m"
    ]
    assert "none of the engine's matrices" in Extension(works=True, names=("bias",)).load_weights_of("/m")[0]
