"""Whether an engine that was started with one model can hold another: all but the weights must be the same."""

from typing import Any

from rrr_workers.engines.vllm_args import declared_config

#: What config.json says of how it was written, or that the engine takes from elsewhere.
_NO_MATTER = {"_name_or_path", "transformers_version", "use_cache", "dtype", "torch_dtype"}
#: Of these only the ends of an answer matter, which are compared for themselves.
_SPECIAL_TOKENS = {"bos_token_id", "eos_token_id", "pad_token_id"}


def difference(model: str, revision: str | None, other: str, *, dtype_too: bool) -> str | None:
    """What keeps an engine of ``model`` from holding ``other``, for people; None where nothing does.

    ``dtype_too``: the engine's dtype followed from the model's.
    """
    of_one, of_two = declared_config(model, revision), declared_config(other, None)
    one, two = of_one.to_dict(), of_two.to_dict()
    ignored = _SPECIAL_TOKENS | (_NO_MATTER - {"dtype"} if dtype_too else _NO_MATTER)
    for key in sorted((one.keys() | two.keys()) - ignored):
        if one.get(key) != two.get(key):
            return f"config.json: {key} is {one.get(key)!r} in {model}, {two.get(key)!r} in {other}"
    if "quantization_config" in one:
        return f"{model} is quantized"
    if _ends(model, revision, of_one) != _ends(other, None, of_two):
        return f"{model} and {other} end an answer with other tokens (generation_config.json, eos_token_id)"
    if _tokenizer(model, revision) != _tokenizer(other, None):
        return f"{model} and {other} have different tokenizers or chat templates"
    return None


def _ends(model: str, revision: str | None, config: Any) -> set[int]:
    """As vLLM finds them: in generation_config.json, without one in config.json."""
    from transformers import GenerationConfig

    try:
        ends = GenerationConfig.from_pretrained(model, revision=revision).eos_token_id
    except OSError:  # there is none
        ends = config.eos_token_id
    return set(ends) if isinstance(ends, list) else {ends} - {None}


def _tokenizer(model: str, revision: str | None) -> list[Any]:
    """All that makes token ids of messages, and text of token ids."""
    from transformers import AutoTokenizer

    made: Any = AutoTokenizer.from_pretrained(model, revision=revision)
    rules = made.backend_tokenizer.to_str() if made.is_fast else sorted(made.get_vocab().items())
    return [type(made).__name__, rules, made.chat_template, made.special_tokens_map, len(made)]
