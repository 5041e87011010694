"""The exact sync check, in bfloat16 too, on an engine with vLLM's fused layout; with vLLM itself: test_training.py."""

import pytest
import torch
from torch import Tensor, nn

from rrr_workers.engines.sync import ROTATION, Named, SyncCheck, checkpoint_names
from rrr_workers.errors import BugError, CallFailed

LAYERS = 6
ROWS = {"q_proj": 8, "k_proj": 4, "v_proj": 4, "gate_proj": 16, "up_proj": 16}
FUSED = {"qkv_proj": ["q_proj", "k_proj", "v_proj"], "gate_up_proj": ["gate_proj", "up_proj"]}


class Engine(nn.Module):
    """Loads tensors as vLLM does: fused by rows, in its own dtype, the vocabulary padded."""

    packed_modules_mapping = FUSED

    def __init__(self, dtype: torch.dtype):
        super().__init__()
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(64, 8)  # 60 of them are the model's
        self.model.layers = nn.ModuleList(nn.Module() for _ in range(LAYERS))
        for layer in self.model.layers:
            layer.qkv_proj = nn.Linear(8, 16)
            layer.gate_up_proj = nn.Linear(8, 32, bias=False)
            layer.down_proj = nn.Linear(16, 8, bias=False)
            layer.norm = nn.LayerNorm(8, bias=False)
        self.to(dtype).requires_grad_(False)

    def load(self, name: str, tensor: Tensor) -> None:
        for fused, parts in FUSED.items():
            for part in parts:
                if f".{part}." in name:
                    start = sum(ROWS[each] for each in parts[: parts.index(part)])
                    target = self.get_parameter(name.replace(part, fused))
                    target[start : start + len(tensor)] = tensor.to(target.dtype)
                    return
        target = self.get_parameter(name)
        target[: len(tensor)] = tensor.to(target.dtype)


def trained(seed: int) -> dict[str, Tensor]:
    """A trainer's weights in float32, by a checkpoint's names."""
    torch.manual_seed(seed)
    weights = {"model.embed_tokens.weight": torch.randn(60, 8)}
    for index in range(LAYERS):
        for part in ("q_proj", "k_proj", "v_proj"):
            weights[f"model.layers.{index}.{part}.weight"] = torch.randn(ROWS[part], 8)
            weights[f"model.layers.{index}.{part}.bias"] = torch.randn(ROWS[part])
        for part in ("gate_proj", "up_proj"):
            weights[f"model.layers.{index}.{part}.weight"] = torch.randn(ROWS[part], 8)
        weights[f"model.layers.{index}.down_proj.weight"] = torch.randn(8, 16)
        weights[f"model.layers.{index}.norm.weight"] = torch.randn(8)
    return weights


class Update:
    """Updates of an engine, some of which don't arrive."""

    def __init__(self, dtype: torch.dtype = torch.bfloat16):
        self.engine = Engine(dtype)
        self.weights = trained(0)
        self.check = SyncCheck(self.engine, self.weights)

    def __call__(self, seed: int, *, lost: tuple[str, ...] = (), unsent: tuple[str, ...] = ()) -> None:
        self.weights = trained(seed)
        sent: list[Named] = [(name, each) for name, each in self.weights.items() if not name.startswith(unsent or "-")]
        for name, tensor in self.check.passing(sent):
            if not name.startswith(lost or "-"):
                self.engine.load(name, tensor)


def problem(update: Update) -> str:
    with pytest.raises(CallFailed) as caught:
        update.check.confirm(step=4)
    assert not caught.value.retryable
    return str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_that_arrive_are_confirmed(dtype: torch.dtype) -> None:
    update = Update(dtype)
    assert update.check.compared == update.check.tensors == 1 + LAYERS * 5
    for seed in range(2 * ROTATION):
        update(seed)
        update.check.confirm(step=seed)


def test_an_update_that_was_skipped_is_told_at_once() -> None:
    update = Update()
    assert problem(update) == ("the sampler does not have the trainer's weights at step 5: no update was handed over")
    update(1)
    update.check.confirm(step=1)
    assert "no update was handed over" in problem(update)


def test_an_engine_that_ignores_updates_is_told_at_once() -> None:
    update = Update()
    update(0)
    update.check.confirm(step=0)
    update(1, lost=("model.",))
    said = problem(update)
    assert "differs from it in" in said
    assert ", and " in said


@pytest.mark.parametrize(
    "layer",
    [
        "model.layers.3.q_proj.weight",
        "model.layers.3.k_proj.weight",
        "model.layers.3.v_proj.weight",
        "model.layers.5.up_proj",
        "model.layers.0.down_proj",
        "model.embed_tokens",
    ],
)
@pytest.mark.parametrize("how", ["lost", "unsent"])
def test_one_matrix_that_does_not_arrive_is_told_within_a_rotation(layer: str, how: str) -> None:
    update = Update()
    update(0)
    update.check.confirm(step=0)

    def rotate() -> None:
        for seed in range(1, ROTATION + 1):
            update(seed, **{how: (layer,)})
            update.check.confirm(step=seed)

    with pytest.raises(CallFailed, match=layer):
        rotate()


@pytest.mark.parametrize("vector", ["model.layers.3.norm", "model.layers.4.k_proj.bias"])
def test_every_vector_is_looked_at_each_time(vector: str) -> None:
    update = Update()
    update(0)
    update.check.confirm(step=0)
    update(1, lost=(vector,))
    assert vector in problem(update)


def test_a_single_value_that_rounds_otherwise_is_a_difference() -> None:
    update = Update()
    for seed in range(ROTATION):
        update(seed)
        update.check.confirm(step=seed)
    name = "model.layers.2.norm.weight"
    value = update.engine.get_parameter(name)
    weights = trained(99)
    for sent, tensor in update.check.passing(weights.items()):
        update.engine.load(sent, tensor)
        if sent == name:
            value[0] = torch.nextafter(value[0], torch.tensor(10.0, dtype=torch.bfloat16))
    assert f"{name} differs from it in 1 of 8 values" in problem(update)


def test_an_engine_with_nothing_in_common_is_refused() -> None:
    with pytest.raises(BugError, match="can't be compared"):
        SyncCheck(Engine(torch.bfloat16), ["transformer.wte.weight"])


def test_what_an_engine_lays_out_in_its_own_way_is_counted() -> None:
    check = SyncCheck(Engine(torch.bfloat16), [name for name in trained(0) if ".up_proj" not in name])
    assert (check.compared, check.tensors) == (1 + LAYERS * 4, 1 + LAYERS * 5)


def test_adapters_have_the_names_of_a_checkpoint() -> None:
    class Adapted:
        def named_parameters(self) -> list[Named]:
            return [
                ("base_model.model.model.norm.weight", torch.zeros(1)),
                ("base_model.model.model.q_proj.base_layer.weight", torch.zeros(1)),
                ("base_model.model.model.q_proj.lora_A.default.weight", torch.zeros(1)),
            ]

    assert checkpoint_names(Adapted()) == ["model.norm.weight", "model.q_proj.weight"]


def test_weights_of_a_file_are_compared_where_the_engine_has_them(monkeypatch):
    """Seen on a GPU alone: the engine's tensors are there, and a file is read into the host's memory."""
    devices = []
    monkeypatch.setattr(
        torch, "equal", lambda loaded, expected: devices.append((loaded.device, expected.device)) or True
    )
    weights = trained(1)
    check = SyncCheck(Engine(torch.bfloat16).to("meta"), weights, rotation=1)
    for _ in check.passing(weights.items()):
        continue
    assert check.take_problems() == []
    assert len(devices) == len(weights)
    assert {device.type for pair in devices for device in pair} == {"meta"}
