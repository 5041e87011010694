"""Folders that are no model, or not all of one: refused with the cause before an engine is started."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest
from jinja2 import TemplateError
from pydantic import AfterValidator, TypeAdapter, ValidationError

from harness import resolved_config
from rrr_workers.config import parse_config
from rrr_workers.data.model_check import check_model, check_system_prompt
from rrr_workers.engines.chat import ChatEncoder
from rrr_workers.engines.chat_template import refusal
from rrr_workers.engines.model_folder import check_folder, check_length
from rrr_workers.engines.vllm_args import declared_config, first_reason
from rrr_workers.errors import UserError
from rrr_workers.tasks.base import message

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 2907072\n"
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{{ message['content'] | trim }}{% endfor %}"
)


def tensors(*names: str) -> bytes:
    """A safetensors file with four bytes a tensor."""
    about = {name: {"dtype": "F32", "shape": [1], "data_offsets": [4 * i, 4 * i + 4]} for i, name in enumerate(names)}
    header = json.dumps({"__metadata__": {"format": "pt"}, **about}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(4 * len(names))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model that nothing is wrong with."""
    (tmp_path / "config.json").write_text('{"model_type": "llama", "max_position_embeddings": 4096}')
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}')
    (tmp_path / "model.safetensors").write_bytes(tensors("a", "b"))
    return tmp_path


def shards(folder: Path, *numbers: int, index: bool = True) -> None:
    (folder / "model.safetensors").unlink()
    names = [f"model-{number:05}-of-00003.safetensors" for number in (1, 2, 3)]
    for number in numbers:
        (folder / names[number - 1]).write_bytes(tensors(f"t{number}"))
    if index:
        weight_map = {f"t{number}": name for number, name in enumerate(names, start=1)}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def adapter(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text("{}")


def test_whole_models_pass(folder: Path) -> None:
    check_folder(folder, 4096)
    adapter(folder)  # beside the weights it does no harm
    (folder / "model.safetensors").write_bytes(tensors("a"))
    check_folder(folder, 4096)
    shards(folder, 1, 2, 3)
    check_folder(folder, 4096)


BROKEN: list[tuple[Callable[[Path], object], str, str]] = [
    (lambda folder: (folder / "model.safetensors").write_text(POINTER), "is only a pointer", "git -C .* lfs pull"),
    (lambda folder: (folder / "tokenizer.json").write_text(POINTER), "tokenizer.json is only a pointer", "lfs pull"),
    (lambda folder: (folder / "config.json").write_text(POINTER), "config.json is only a pointer", "lfs pull"),
    (lambda folder: cut(folder / "model.safetensors", -1), r"is cut: it has \d+ bytes, and must have", "download"),
    (lambda folder: cut(folder / "model.safetensors", 30), "is cut: it has 30 bytes", "download"),
    (lambda folder: cut(folder / "model.safetensors", 0), "is cut: it has 0 bytes", "download"),
    (
        lambda folder: (folder / "pytorch_model.bin").write_bytes(b"PK\x03\x04 half"),
        "pytorch_model.bin is cut",
        "again",
    ),
    (lambda folder: shards(folder, 1, 3), "lacks a part of its weights: model-00002-of-00003.safetensors$", "again"),
    (lambda folder: shards(folder, 1, index=False), "lacks .* model-00002-of-00003.*, model-00003", "again"),
    (lambda folder: cut(folder / "config.json", 9), "config.json is damaged", "again"),
    (lambda folder: (folder / "tokenizer.json").unlink(), "has no tokenizer", "copy the tokenizer's files"),
    (lambda folder: (folder / "tokenizer_config.json").write_text("{}"), "has no chat template", "instruct model"),
    (adapter, "holds a LoRA adapter, no whole model", "merge_and_unload.*train/model"),
    (lambda folder: (folder / "model.safetensors").rename(folder / "model.gguf"), "in GGUF", "it was made from"),
    (lambda folder: (folder / "model.safetensors").unlink(), "has no weights", "save the model again"),
]


@pytest.mark.parametrize(("spoil", "said", "cure"), BROKEN)
def test_what_is_broken_is_named_with_its_cure(
    folder: Path, spoil: Callable[[Path], object], said: str, cure: str
) -> None:
    spoil(folder)
    with pytest.raises(UserError, match=said) as caught:
        check_model(parse_config(resolved_config(model={"name": str(folder), "max_model_len": 256})))
    assert str(folder) in str(caught.value)
    assert re.search(cure, caught.value.cure or "")


def test_more_positions_than_the_model_has_are_refused(folder: Path) -> None:
    with pytest.raises(
        UserError, match=r"max_model_len 4097: .* has 4096 positions \(max_position_embeddings"
    ) as caught:
        check_folder(folder, 4097)
    assert "model.max_model_len: 4096 or less" in (caught.value.cure or "")
    with pytest.raises(UserError, match="has 64 positions"):
        check_length({"text_config": {"max_position_embeddings": 64}}, 65, "m")
    for unknown in ({}, {"max_position_embeddings": 64, "rope_scaling": {"rope_type": "linear", "factor": 4.0}}):
        check_length(unknown, 65, "m")


def test_a_template_that_refuses_a_system_message_does_so_before_the_weights_are_read(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text(GEMMA)
    config = parse_config(resolved_config(model={"name": str(folder), "max_model_len": 256}))
    with pytest.raises(UserError, match="refuses a system message: System role not supported") as caught:
        check_system_prompt(config, "Be brief.")
    assert "task.prompts.system" in (caught.value.cure or "")
    check_system_prompt(config, None)
    (folder / "chat_template.jinja").unlink()  # the one in tokenizer_config.json
    check_system_prompt(config, "Be brief.")
    # What needs more than is at hand without the tokenizer is no refusal.
    for template in ("{% generation %}x", "{{ nothing.at.all }}", "{{ 1 + 'a' }}", "{{ strftime_now('%Y') }}"):
        assert refusal(template, [message("user", "x")]) is None


def test_a_conversation_that_a_template_refuses_is_told_as_such() -> None:
    class Tokenizer:
        chat_template = GEMMA

        def apply_chat_template(self, messages: object, **_: object) -> list[int]:
            raise TemplateError("System role not supported")

    encoder = ChatEncoder(Tokenizer(), "gemma")
    for role, key in (("system", "system"), ("user", "question")):
        with pytest.raises(UserError, match="template of gemma refuses this conversation: System role") as caught:
            encoder.encode([message(role, "x")])
        assert f"task.prompts.{key}" in (caught.value.cure or "")


def test_an_architecture_that_nobody_knows(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "nonesuch", "architectures": ["NonesuchForCausalLM"]}')
    with pytest.raises(UserError, match=r"transformers can't read the config of .*nonesuch") as caught:
        declared_config(str(folder), None)
    assert "\n" not in str(caught.value)
    assert "transformers" in sys.modules
    assert first_reason(ValueError("one\ntwo")) == "one"
    assert len(first_reason(ValueError("one" * 999))) == 300
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(Annotated[int, AfterValidator(refuse)]).validate_python(1)
    assert first_reason(refused.value) == "Model architectures ['Nonesuch'] are not supported"


def refuse(_: int) -> int:
    """As vLLM's configs do."""
    raise ValueError("Model architectures ['Nonesuch'] are not supported\nSupported: ...")
