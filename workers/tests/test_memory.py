"""The memory formula against transformers, PEFT and TRL themselves, on tensors without data, and what it advises."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker
from transformers import AutoConfig, AutoModelForCausalLM
from trl.kernels import chunked_logprob
from trl.trainer.utils import add_fused_lm_head

from rrr_workers.training.memory import (
    GIB,
    Lora,
    Setup,
    checkpoint_bytes,
    fits,
    largest_micro_batch,
    loading_bytes,
    model_bytes,
    moments,
    parts,
)
from rrr_workers.training.memory_advice import advice, changes
from rrr_workers.training.shapes import SHIPPED, Shape, UnknownShape

CARD = 79 * GIB  # of an "80 GB" GPU
SMALL, QWEN_7B, LLAMA_8B = "Qwen/Qwen2.5-1.5B-Instruct", "Qwen/Qwen2.5-7B-Instruct", "meta-llama/Llama-3.1-8B"
ON_A_GPU = Setup("bfloat16", batch_size=256, micro_batch_size=4, tokens=2048, card=CARD, gradient_checkpointing=True)
ON_A_CPU = Setup("float32", batch_size=64, micro_batch_size=64, tokens=1024, card=None)


def shipped(name: str) -> Shape:
    return Shape.of(SHIPPED[name])


# The totals that the hub shows for each model's safetensors.
PUBLISHED = {
    "Qwen/Qwen2-1.5B-Instruct": 1_543_714_304,
    "Qwen/Qwen2-7B-Instruct": 7_615_616_512,
    "Qwen/Qwen2-72B-Instruct": 72_706_203_648,
    "Qwen/Qwen2.5-1.5B-Instruct": 1_543_714_304,
    "Qwen/Qwen2.5-3B-Instruct": 3_085_938_688,
    "Qwen/Qwen2.5-7B-Instruct": 7_615_616_512,
    "Qwen/Qwen2.5-72B-Instruct": 72_706_203_648,
    "meta-llama/Llama-3.1-8B": 8_030_261_248,
    "meta-llama/Llama-3.1-8B-Instruct": 8_030_261_248,
    "meta-llama/Llama-3.1-70B": 70_553_706_496,
    "meta-llama/Llama-3.1-70B-Instruct": 70_553_706_496,
    "meta-llama/Llama-3.2-3B": 3_212_749_824,
    "meta-llama/Llama-3.2-3B-Instruct": 3_212_749_824,
    "microsoft/Phi-3.5-mini-instruct": 3_821_079_552,
    "HuggingFaceTB/SmolLM2-135M": 134_515_008,
    "HuggingFaceTB/SmolLM2-135M-Instruct": 134_515_008,
}

TINY = {
    "hidden_size": 96,
    "num_hidden_layers": 3,
    "intermediate_size": 320,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "vocab_size": 64,
}
VARIANTS: list[dict[str, Any]] = [
    {"model_type": "qwen2"},
    {"model_type": "qwen3"},
    {"model_type": "qwen3", "attention_bias": True},
    {"model_type": "llama"},
    {"model_type": "llama", "attention_bias": True, "tie_word_embeddings": True},
    {"model_type": "llama", "mlp_bias": True},
    {"model_type": "mistral"},
    {"model_type": "phi3"},
]


def model_of(config: dict[str, Any]) -> Any:
    rest = {key: value for key, value in config.items() if key != "model_type"}
    tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}  # phi3's defaults are beyond a small vocabulary
    settings = AutoConfig.for_model(config["model_type"], **rest, **tokens)
    return AutoModelForCausalLM.from_config(settings, dtype=torch.float32)


def count(model: Any, trained: bool = False) -> int:
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad or not trained)


def test_every_shipped_shape_has_the_published_number_of_parameters() -> None:
    assert {name: shipped(name).parameters for name in SHIPPED} == PUBLISHED


@pytest.mark.parametrize("config", [*{str(config): config for config in SHIPPED.values()}.values()], ids=str)
def test_a_shipped_shape_has_the_parameters_of_the_model_that_transformers_makes(config: dict[str, Any]) -> None:
    with torch.device("meta"):
        model = model_of(config)
    shape = Shape.of(config)
    assert shape.parameters == count(model)
    assert shape.layer == count(model.model.layers[0])
    assert shape.embedding == count(model.model.embed_tokens)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_each_known_architecture_is_counted_with_its_biases_and_adapters(variant: dict[str, Any]) -> None:
    config = {**TINY, **variant}
    with torch.device("meta"):
        model = model_of(config)
    assert Shape.of(config).parameters == count(model)
    assert {name for name, module in model.model.layers[0].named_modules() if isinstance(module, torch.nn.Linear)} == {
        f"{'self_attn' if name in ('q_proj', 'k_proj', 'v_proj', 'o_proj', 'qkv_proj') else 'mlp'}.{name}"
        for name in Shape.of(config).linears
    }
    adapted = get_peft_model(model_of(config), LoraConfig(r=4, target_modules="all-linear"))
    assert Shape.of(config).adapters(4) == count(adapted, trained=True)
    adapted = get_peft_model(model_of(config), LoraConfig(r=4, target_modules=["o_proj"]))
    assert Shape.of(config).adapters(4, ("o_proj",)) == count(adapted, trained=True)


def test_keys_that_a_config_may_leave_out_have_transformers_defaults() -> None:
    config = {**TINY, "model_type": "llama"}
    del config["head_dim"], config["num_key_value_heads"]
    shape = Shape.of(config)
    assert (shape.kv_heads, shape.head_dim, shape.tied) == (6, 16, False)
    assert Shape.of({**config, "num_key_value_heads": None, "head_dim": None}) == shape


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            {**TINY, "model_type": "mixtral"},
            "model_type is 'mixtral'; memory can be estimated for llama, mistral",
        ),
        (TINY, "model_type is None"),
        ({"model_type": "qwen2", **{key: TINY[key] for key in TINY if key != "vocab_size"}}, "qwen2 .* no vocab_size"),
    ],
)
def test_a_config_that_cannot_be_counted_is_refused(config: dict[str, Any], told: str) -> None:
    with pytest.raises(UnknownShape, match=told):
        Shape.of(config)


@pytest.fixture
def head_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """TRL's fused head as with Triton, whose kernels work inside the tile."""
    for name in ("_forward_tile", "_backward_tile", "_addmm_fp32"):
        monkeypatch.setattr(chunked_logprob, name, lambda *_, **__: None)


def measured(config: dict[str, Any], setup: Setup) -> int:
    """Bytes at the peak of a second micro-batch, forward and backward, without what an optimizer or engine holds."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = model_of(config).train()
        add_fused_lm_head(model, outputs=("log_probs", "entropy"))
        if setup.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        tracker = MemTracker()
        tracker.track_external(model)
        with tracker:
            for _ in range(2):
                tracker.reset_mod_stats()
                ids = torch.ones((setup.micro_batch_size, setup.tokens), dtype=torch.long)
                with torch.autocast("cpu", torch.bfloat16, enabled=setup.dtype == "bfloat16"):
                    output = model(input_ids=ids, attention_mask=ids, labels=ids, fused_lm_head=True)
                output.log_probs.sum().backward()
                del output
    return int(tracker.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"])


# Models in which one thing weighs: layers' weights, the head, what passes between layers, what a layer keeps.
WIDE = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_key_value_heads": 4}
DEEP = {**WIDE, "num_hidden_layers": 3, "vocab_size": 2000}
HEADY = {**WIDE, "num_hidden_layers": 1, "vocab_size": 40_000}
FLAT = {**TINY, "hidden_size": 4096, "num_hidden_layers": 1}
BUSY = {**TINY, "hidden_size": 512, "num_hidden_layers": 4, "intermediate_size": 1024, "num_attention_heads": 8}


# (config, changed settings, the fullest moment)
@pytest.mark.parametrize(
    ("config", "changed", "fullest"),
    [
        ({"model_type": "qwen2", **HEADY}, {}, "head"),
        ({"model_type": "mistral", **FLAT}, {"gradient_checkpointing": False, "dtype": "float32"}, "head"),
        ({"model_type": "qwen2", **BUSY, "head_dim": 96}, {"gradient_checkpointing": False}, "head"),
        ({"model_type": "llama", **BUSY}, {"gradient_checkpointing": False, "dtype": "float32"}, "head"),
        ({"model_type": "phi3", **BUSY, "num_key_value_heads": 8}, {"gradient_checkpointing": False}, "head"),
        ({"model_type": "qwen3", **BUSY, "head_dim": 96}, {"gradient_checkpointing": False}, "head"),
        ({"model_type": "llama", **DEEP}, {"tokens": 64}, "forward"),
        ({"model_type": "llama", **DEEP, "intermediate_size": 8192}, {"dtype": "float32"}, "layer"),
    ],
    ids=str,
)
def test_what_a_rank_computes_with_is_what_transformers_and_trl_allocate(
    config: dict[str, Any], changed: dict[str, Any], fullest: str, head_on_a_gpu: None
) -> None:
    setup = replace(ON_A_GPU, micro_batch_size=2, tokens=1024, reference=False, engine_share=0.0)
    setup = replace(setup, **changed)
    each = moments(Shape.of(config), setup)
    assert max(each, key=lambda name: each[name].total) == fullest
    computed = each[fullest].total - each[fullest].optimizer - each[fullest].context
    assert computed == pytest.approx(measured(config, setup), rel=0.02)


def test_on_a_cpu_the_head_has_several_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    config, setup = {"model_type": "llama", **HEADY}, replace(ON_A_CPU, micro_batch_size=2, reference=False)
    peak = parts(Shape.of(config), setup)
    assert peak.total - peak.optimizer - peak.engine == pytest.approx(measured(config, setup), rel=0.1)


# GiB on a GPU of 80 GB with 6 GiB of activations: one GPU, DDP, FSDP2 on 4 and on 8 GPUs, LoRA on one. Worked out by
# hand before this formula, with rough casts: hence the tolerance.
TABLE = {SMALL: (63, 69, 41, 37, 37), QWEN_7B: (188, 216, 69, 51, 60), LLAMA_8B: (196, 226, 71, 52, 62)}
COLUMNS: list[dict[str, Any]] = [
    {},
    {"ranks": 4},
    {"ranks": 4, "sharding": "fsdp2"},
    {"ranks": 8, "sharding": "fsdp2"},
    {"lora": Lora()},
]


@pytest.mark.parametrize(
    ("model", "changed", "gib"),
    [(model, changed, gib) for model, row in TABLE.items() for changed, gib in zip(COLUMNS, row, strict=True)],
    ids=str,
)
def test_the_table_that_was_worked_out_by_hand(model: str, changed: dict[str, Any], gib: int) -> None:
    setup = replace(ON_A_GPU, **changed)
    peak = parts(shipped(model), setup)
    assert (peak.total - peak.activations - peak.logits) / GIB + 6 == pytest.approx(gib, abs=2.4)
    assert fits(shipped(model), setup, CARD) == (gib < 79)


def test_the_parts_of_a_run_on_one_gpu() -> None:
    shape, peak = shipped(QWEN_7B), parts(shipped(QWEN_7B), ON_A_GPU)
    assert peak.weights == peak.gradients == peak.reference == 4 * shape.parameters
    assert peak.optimizer == 8 * shape.parameters
    assert peak.casts == 2 * shape.layers * shape.layer
    assert (peak.engine, peak.context, peak.buckets) == (int(0.3 * CARD), 2 * GIB, 0)
    assert peak.largest == ("optimizer", peak.optimizer)
    assert peak.total == sum(vars(peak).values())
    assert parts(shape, replace(ON_A_GPU, reference=False)).reference == 0
    assert parts(shape, replace(ON_A_GPU, ranks=2)).buckets == 4 * shape.parameters


def test_lora_holds_frozen_weights_and_little_for_what_it_trains() -> None:
    shape, lora = shipped(QWEN_7B), Lora(rank=8)
    peak = parts(shape, replace(ON_A_GPU, lora=lora))
    adapters = shape.adapters(8)
    assert (peak.weights, peak.reference) == (4 * (shape.parameters + adapters), 0)
    assert (peak.gradients, peak.optimizer) == (4 * adapters, 8 * adapters)
    assert peak.casts == 2 * shape.layer
    narrow = parts(shape, replace(ON_A_GPU, lora=replace(lora, base="bfloat16")))
    assert (narrow.weights, narrow.casts) == (2 * shape.parameters + 4 * adapters, 0)


def test_a_tied_head_keeps_its_gradient_until_the_embedding_has_one() -> None:
    """Measured on the CPU: at the end of the backward pass of a tied model there are two gradients of its embedding
    beside the accumulated one. (The tracker above can't show it: autograd adds up fake tensors out of place.)"""
    shape = shipped(SMALL)
    assert moments(shape, ON_A_GPU)["embedding"].logits == 8 * shape.embedding
    assert moments(replace(shape, tied=False), ON_A_GPU)["embedding"].logits == 4 * shape.embedding


def test_a_sleeping_engine_leaves_the_trainer_its_share_but_must_find_it_again() -> None:
    shape, asleep = shipped(SMALL), replace(ON_A_GPU, engine_sleep=True)
    awake = moments(shape, ON_A_GPU)
    for name, moment in moments(shape, asleep).items():
        assert moment == (awake[name] if name == "sampling" else replace(awake[name], engine=0))
    greedy = replace(asleep, engine_share=0.8)
    assert parts(shape, greedy) == moments(shape, greedy)["sampling"]
    assert not fits(shape, greedy, CARD)


def test_on_a_cpu_the_engine_is_its_weights_and_cache_and_never_sleeps() -> None:
    shape = shipped("HuggingFaceTB/SmolLM2-135M")
    peak = parts(shape, replace(ON_A_CPU, cpu_kv_cache=3 * GIB, engine_sleep=True, engine_share=0.9))
    assert (peak.engine, peak.context, peak.casts) == (4 * shape.parameters + 3 * GIB, 0, 0)


def test_an_engine_too_small_for_its_weights_does_not_fit() -> None:
    fit = advice(shipped(QWEN_7B), replace(ON_A_GPU, lora=Lora(), engine_share=0.1), CARD)
    assert not fit.fits
    assert fit.message == "the engine needs 15.3 GiB for its weights and one sequence, and has 7.9 GiB"
    assert fit.cure == "set train.gpu_memory_utilization: 0.20"
    assert fits(shipped(QWEN_7B), replace(ON_A_GPU, lora=Lora(), engine_share=0.0), CARD)  # it runs elsewhere


def test_what_is_written_to_the_disk_and_loaded_on_the_host() -> None:
    shape, lora = shipped(QWEN_7B), replace(ON_A_GPU, lora=Lora())
    assert checkpoint_bytes(shape, ON_A_GPU) == 12 * shape.parameters
    assert checkpoint_bytes(shape, lora) == 12 * shape.adapters(16)
    assert (model_bytes(shape, "float32"), model_bytes(shape, "bfloat16")) == (
        4 * shape.parameters,
        2 * shape.parameters,
    )
    ranks = replace(ON_A_GPU, ranks=8)
    assert loading_bytes(shape, ranks) == 8 * 2 * 4 * shape.parameters
    assert loading_bytes(shape, replace(ranks, sharding="fsdp2")) == 2 * 4 * shape.parameters
    assert loading_bytes(shape, replace(ranks, reference=False)) == 8 * 4 * shape.parameters
    assert loading_bytes(shape, replace(ranks, lora=Lora())) == 8 * 4 * shape.parameters
    assert loading_bytes(shape, ON_A_GPU) == loading_bytes(shape, replace(ON_A_CPU, ranks=2)) == 0


@pytest.mark.parametrize(
    ("model", "changed", "part", "cure"),
    [
        (SMALL, {"micro_batch_size": 64}, "the activations, 41.8", "set train.micro_batch_size: 32"),
        (
            SMALL,
            {"gradient_checkpointing": False, "tokens": 16_384, "micro_batch_size": 1},
            "the activations, 67.1",
            "set train.gradient_checkpointing: true",
        ),
        (SMALL, {"tokens": 65_536, "micro_batch_size": 1}, "the activations, 28.6", "set train.engine_sleep: true"),
        (SMALL, {"engine_share": 0.8}, "the engine, 63.2", "set train.gpu_memory_utilization: 0.55"),
        (QWEN_7B, {"ranks": 4}, "Adam's moments, 56.7", "set train.sharding: fsdp2"),
        (
            QWEN_7B,
            {},
            "Adam's moments, 56.7",
            "set train.sharding: fsdp2, train.devices: 4 GPUs; or train.lora",
        ),
        (
            QWEN_7B,
            {"gradient_checkpointing": False, "batch_size": 1, "micro_batch_size": 1},
            "Adam's moments, 56.7",
            "set train.gradient_checkpointing: true, train.lora",
        ),
        ("Qwen/Qwen2.5-72B-Instruct", {}, "the engine needs 137.1", "train a smaller model"),
    ],
    ids=str,
)
def test_advice_names_the_largest_part_and_the_least_change(
    model: str, changed: dict[str, Any], part: str, cure: str
) -> None:
    setup = replace(ON_A_GPU, **changed)
    fit = advice(shipped(model), setup, CARD)
    assert (fit.fits, fit.cure) == (False, cure)
    assert part in fit.message
    if fit.cures:
        needed = fit.parts.total / GIB
        assert fit.message.startswith(
            f"each training process needs {needed:.1f} GiB and has 79.0 GiB; the largest part "
        )


@pytest.mark.parametrize(
    ("gib", "cure"),
    [
        (12, "set train.micro_batch_size: 2"),
        (8, "set train.micro_batch_size: 1"),
        (7, "set train.micro_batch_size: 1, train.gradient_checkpointing: true"),
        (6, "set train.micro_batch_size: 1, engine.cpu_kv_cache_gib: 0.25"),
        (1, "train a smaller model"),
    ],
)
def test_advice_on_a_cpu_leaves_out_what_only_gpus_have(gib: int, cure: str) -> None:
    setup = replace(ON_A_CPU, cpu_kv_cache=2 * GIB, engine_share=0.9)
    assert advice(shipped("HuggingFaceTB/SmolLM2-135M"), setup, gib * GIB).cure == cure


def test_a_setup_that_fits_needs_no_advice() -> None:
    fit = advice(shipped(SMALL), ON_A_GPU, CARD)
    assert (fit.fits, fit.cures, fit.cure) == (True, (), None)
    assert fit.parts == parts(shipped(SMALL), ON_A_GPU)


SHAPES = st.sampled_from([shipped(name) for name in SHIPPED])
ROOMS = st.integers(1, 160).map(lambda gib: gib * GIB)


@st.composite
def setups(draw: st.DrawFn) -> Setup:
    ranks, micro, steps = draw(st.integers(1, 8)), draw(st.integers(1, 16)), draw(st.sampled_from([1, 2, 3, 8]))
    on_gpu = draw(st.booleans())
    return Setup(
        dtype=draw(st.sampled_from(["float32", "bfloat16"])) if on_gpu else "float32",
        batch_size=ranks * micro * steps,
        micro_batch_size=micro,
        tokens=draw(st.integers(1, 8192)),
        card=draw(ROOMS) if on_gpu else None,
        ranks=ranks,
        sharding=draw(st.sampled_from(["none", "fsdp2"])),
        reference=draw(st.booleans()),
        lora=draw(st.none() | st.builds(Lora, st.integers(1, 64))),
        gradient_checkpointing=draw(st.booleans()),
        engine_share=draw(st.sampled_from([0.0, 0.05, 0.3, 0.9])),
        engine_sleep=draw(st.booleans()),
    )


@given(SHAPES, setups(), st.integers(1, 8))
@settings(max_examples=100, deadline=None)
def test_more_ranks_that_share_a_model_never_need_more_each(shape: Shape, setup: Setup, more: int) -> None:
    sharded = replace(setup, sharding="fsdp2")
    wider = parts(shape, replace(sharded, ranks=setup.ranks + more))
    assert wider.total < parts(shape, sharded).total


@given(SHAPES, setups(), st.integers(1, 16))
@settings(max_examples=100, deadline=None)
def test_more_sequences_or_tokens_never_need_less(shape: Shape, setup: Setup, more: int) -> None:
    least = parts(shape, setup).total
    assert parts(shape, replace(setup, micro_batch_size=setup.micro_batch_size + more)).total >= least
    assert parts(shape, replace(setup, tokens=setup.tokens + more)).total >= least


@given(SHAPES, setups(), ROOMS)
@settings(max_examples=100, deadline=None)
def test_the_largest_micro_batch_fits_and_the_next_one_does_not(shape: Shape, setup: Setup, room: int) -> None:
    best = largest_micro_batch(shape, setup, room)
    fitting = [
        size
        for size in range(1, setup.share + 1)
        if setup.share % size == 0 and fits(shape, replace(setup, micro_batch_size=size), room)
    ]
    assert best == max(fitting, default=None)


@given(SHAPES, setups(), ROOMS)
@settings(max_examples=150, deadline=None)
def test_every_setting_that_is_advised_makes_the_run_fit(shape: Shape, setup: Setup, room: int) -> None:
    fit = advice(shape, setup, room)
    assert fit.fits == fits(shape, setup, room)
    for cure in fit.cures:
        assert fits(shape, cure, room)
        assert cure.batch_size == setup.batch_size == cure.ranks * cure.share
        assert cure.share % cure.micro_batch_size == 0
        assert cure.micro_batch_size <= setup.micro_batch_size
        named = changes(setup, cure)
        assert named
        assert fit.cure is not None
        assert ", ".join(named) in fit.cure
