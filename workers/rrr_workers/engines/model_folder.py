"""A model's folder, looked at without loading it: what would fail in the engine, minutes later, without its cause."""

import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rrr_workers.errors import UserError

_WEIGHTS = ("*.safetensors", "*.bin", "*.pt")
#: Files of these names are no weights of a model.
_OTHERS = re.compile(r"adapter_|training_args|optimizer|scheduler|rng_state|consolidated")
_INDICES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_TOKENIZERS = ("tokenizer.json", "*.model", "vocab.json", "vocab.txt", "*.tiktoken", "tekken.json")
TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json", "tokenizer_config.json")
_LFS = b"version https://git-lfs"
_SHARD = re.compile(r"(.*-)(\d{5})(-of-)(\d{5})(\..*)")
_POSITIONS = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "seq_length")
_AGAIN = "copy or download the folder again"


def check_folder(folder: Path, max_model_len: int) -> None:
    """Raise :class:`UserError` for what keeps a model in ``folder`` from being loaded, sampled and trained."""
    files = weight_files(folder)
    if not files:
        raise _no_weights(folder)
    config = read_json(folder / "config.json")
    for index in _INDICES:
        if (folder / index).is_file():
            named = set(read_json(folder / index).get("weight_map", {}).values())
            _refuse_missing(folder, sorted(named - {file.name for file in folder.iterdir()}))
    _refuse_missing(folder, sorted(_missing_shards(files)))
    for file in files:
        _check_weights(file)
    _check_tokenizer(folder)
    check_length(config, max_model_len, str(folder))


def weight_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if is_weights(file.name)) if folder.is_dir() else []


def is_weights(name: str) -> bool:
    """Whether a file of a model's folder holds weights of it, by its name."""
    return any(fnmatchcase(name, pattern) for pattern in _WEIGHTS) and not _OTHERS.match(name)


def chat_template(files: Mapping[str, Path]) -> str | None:
    """The template among ``files`` of a model, by name; None where it has none, or several."""
    if "chat_template.jinja" in files:
        return files["chat_template.jinja"].read_text(encoding="utf-8")
    for name in ("chat_template.json", "tokenizer_config.json"):
        template = read_json(files[name]).get("chat_template") if name in files else None
        if isinstance(template, str):
            return template
    return None


def control_tokens(files: Mapping[str, Path]) -> list[str]:
    """The special tokens that ``files`` of a model's tokenizer declare, by name of the file."""
    added = read_json(files["tokenizer.json"]).get("added_tokens") or [] if "tokenizer.json" in files else []
    if "tokenizer_config.json" in files:
        added = [*added, *(read_json(files["tokenizer_config.json"]).get("added_tokens_decoder") or {}).values()]
    return sorted({str(token["content"]) for token in added if token.get("special")})


def check_length(config: Mapping[str, Any], max_model_len: int, model: str) -> None:
    """Raise :class:`UserError` where the model's config.json says that it has fewer positions. Where they are scaled,
    the engine itself knows how many there are."""
    config = config.get("text_config") or config
    rope = config.get("rope_scaling") or config.get("rope_parameters") or {}
    scaled = "factor" in rope or any(isinstance(each, dict) for each in rope.values())
    known = [(config[key], key) for key in _POSITIONS if isinstance(config.get(key), int)]
    if known and not scaled and max_model_len > min(known)[0]:
        positions, key = min(known)
        raise UserError(
            f"model.max_model_len {max_model_len}: {model} has {positions} positions ({key} of its config.json)",
            cure=f"write model.max_model_len: {positions} or less, and lower the limits in the sampling section",
        )


def _no_weights(folder: Path) -> UserError:
    if (folder / "adapter_config.json").is_file():
        return UserError(
            f"{folder} holds a LoRA adapter, no whole model",
            cure="merge it into its base model (peft: merge_and_unload, then save_pretrained) and name that folder; "
            "rrr train leaves the merged model in train/model",
        )
    if any(folder.glob("*.gguf")):
        return UserError(
            f"{folder} holds a model in GGUF, which can't be trained", cure="name the model it was made from"
        )
    return UserError(f"{folder} has no weights ({', '.join(_WEIGHTS)})", cure="save the model again")


def _refuse_missing(folder: Path, missing: Sequence[str]) -> None:
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise UserError(f"{folder} lacks a part of its weights: {', '.join(missing[:3])}{more}", cure=_AGAIN)


def _missing_shards(files: Sequence[Path]) -> Iterator[str]:
    names = {file.name for file in files}
    for name in names:
        if shard := _SHARD.fullmatch(name):
            head, _, of, count, tail = shard.groups()
            yield from {f"{head}{number:05}{of}{count}{tail}" for number in range(1, int(count) + 1)} - names


def _check_weights(file: Path) -> None:
    size = file.stat().st_size
    with file.open("rb") as opened:
        start = opened.read(8)
        _refuse_pointer(file, start)
        if file.suffix == ".safetensors":
            length = int.from_bytes(start, "little")
            header = opened.read(length) if 8 + length <= size else b""
            wanted = _length_of(header) + 8 + length
        else:
            zipped = start.startswith(b"PK")
            wanted = size + 1 if size == 0 or (zipped and not zipfile.is_zipfile(file)) else size
    if size < wanted:
        raise UserError(f"{file} is cut: it has {size} bytes, and must have at least {wanted}", cure=_AGAIN)


def _length_of(header: bytes) -> int:
    """Bytes of the tensors behind a header of safetensors."""
    try:
        tensors = json.loads(header or b"{}")
        return max(
            (int(each["data_offsets"][1]) for name, each in tensors.items() if name != "__metadata__"), default=0
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return 0


def _refuse_pointer(file: Path, start: bytes) -> None:
    if start == _LFS[: len(start)] and start:
        raise UserError(
            f"{file} is only a pointer to the file: it was cloned without git-lfs",
            cure=f"install git-lfs, then: git -C {file.parent} lfs pull",
        )


def _check_tokenizer(folder: Path) -> None:
    found = [file for pattern in _TOKENIZERS for file in folder.glob(pattern)]
    if not found:
        raise UserError(
            f"{folder} has no tokenizer ({', '.join(_TOKENIZERS)})",
            cure="copy the tokenizer's files from the model it was made from",
        )
    for file in found:
        with file.open("rb") as opened:
            _refuse_pointer(file, opened.read(8))
        if file.name == "tokenizer.json":
            read_json(file)
    about = folder / "tokenizer_config.json"
    templates = (
        any((folder / name).is_file() for name in TEMPLATE_FILES[:2]) or (folder / "additional_chat_templates").is_dir()
    )
    if about.is_file() and not templates and not read_json(about).get("chat_template"):
        raise UserError(f"{folder} has no chat template", cure="use an instruct model, or add a chat_template.jinja")


def read_json(path: Path) -> dict[str, Any]:
    """The object that a file of a model holds. Raises :class:`UserError`."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path.parent} has no {path.name}", cure=_AGAIN) from None
    _refuse_pointer(path, text[:8])
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}", cure=_AGAIN) from None
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged: it holds no object", cure=_AGAIN)
    return value
