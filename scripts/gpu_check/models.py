"""Models of known shapes with random weights, made without a model hub.

    python -m gpu_check.models SHAPE FOLDER

Their tokenizer has a token for each id, so that whatever such a model writes can be read again, to the same tokens: all
but the bytes and the chat template's are words of three syllables. Its merges spell them out, because transformers
gives a model of this type Qwen2's tokenizer, which looks at nothing else.
"""

import json
import shutil
import sys
from itertools import islice, product
from pathlib import Path
from typing import Any

from rrr_workers.training.shapes import SHIPPED, Shape

_TINY = {
    **{"model_type": "qwen2", "hidden_size": 128, "num_hidden_layers": 2, "intermediate_size": 256},
    **{"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 4096, "tie_word_embeddings": True},
}
#: config.json of each shape, as far as it tells the shape.
SHAPES: dict[str, dict[str, Any]] = {
    "1.5b": SHIPPED["Qwen/Qwen2.5-1.5B-Instruct"],
    "7b": SHIPPED["Qwen/Qwen2.5-7B-Instruct"],
    "tiny": _TINY,
}
_PAD, _END, *_ROLES = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
_CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_DONE = "made"  # an empty file that is written last


def shape_of(name: str) -> Shape:
    return Shape.of(SHAPES[name])


def is_made(folder: Path) -> bool:
    return (folder / _DONE).exists()


def make_tokenizer(size: int) -> Any:
    """``size`` tokens, complete with chat template."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    syllables = ["".join(letters) for letters in product("bcdfghjklmnpqrstvwxyz", "aeiou")]
    merges: list[tuple[str, str]] = [(syllable[0], syllable[1]) for syllable in syllables]
    merges += [("Ġ", syllable) for syllable in syllables]  # Ġ: a blank, in the alphabet of bytes
    merges += [(f"Ġ{first}", second) for first, second in product(syllables, repeat=2)]
    merges += [(f"Ġ{''.join(two)}", last) for *two, last in islice(product(syllables, repeat=3), size)]

    specials = [_PAD, _END, *_ROLES]
    base = [*specials, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    merges = merges[: size - len(base)]
    vocabulary = {token: index for index, token in enumerate([*base, *("".join(merge) for merge in merges)])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=_END, pad_token=_PAD, unk_token=_PAD)
    fast.chat_template = _CHAT_TEMPLATE
    return fast


def make(name: str, folder: Path) -> None:
    """On a GPU, where there is one, in bfloat16; else in float32."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    gpu = torch.cuda.is_available()
    shape = {key: value for key, value in SHAPES[name].items() if key != "model_type"}
    tokenizer = make_tokenizer(shape["vocab_size"])
    config = AutoConfig.for_model(
        SHAPES[name]["model_type"],
        **shape,
        max_position_embeddings=4096,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    with torch.device("cuda" if gpu else "cpu"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16 if gpu else torch.float32)
    counted = sum(each.numel() for each in model.parameters())
    if counted != shape_of(name).parameters:
        raise SystemExit(f"{name} has {counted} parameters, and shapes.py counts {shape_of(name).parameters}")
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / _DONE).touch()
    print(json.dumps({"model": str(folder), "parameters": counted}))


if __name__ == "__main__":
    make(sys.argv[1], Path(sys.argv[2]))
