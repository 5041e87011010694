"""The tiny model's tokenizer: every number, every word of its worlds and every piece of JSON between two words is one
token, any other text falls to bytes.

It needs no training: the vocabulary is the byte alphabet, the numbers, and the pieces of the worlds' texts, and
``ignore_merges`` takes a whole piece where the vocabulary has it. The class is named ``PreTrainedTokenizerFast``
because that one leaves tokenizer.json alone: the class that transformers 5 would choose for some architectures (Qwen2,
for one) replaces the stored pre-tokenizer, and digits are split without a warning.
"""

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from . import countdown_world, function_world

PAD = "<|pad|>"
END = "<|end|>"
ROLES = {role: f"<|{role}|>" for role in ("system", "user", "assistant")}

TOOL_CALL = ("<tool_call>", "</tool_call>")

# Tools are shown as function_world.present shows them; the tags tell the format of calls, as larger models' do.
CHAT_TEMPLATE = (
    "{% if tools %}<|system|>{% for tool in tools %}{{ tool.function.name }}"
    "{% for name in tool.function.parameters.properties %} {{ name }}{% endfor %}{{ '\\n' }}{% endfor %}"
    "<tool_call></tool_call><|end|>{% endif %}"
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

_PIECES = r' ?[A-Za-z_]+|\d{1,3}|(?:, )?[\[\]{}"][\[\]{}":, ]*|\s|[^\sA-Za-z_\d]'


def make_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer, complete with chat template; the same on every machine."""
    splitter = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    specials = [PAD, END, *ROLES.values()]
    texts = (*countdown_world.TEXTS, *function_world.texts())
    words = {piece for text in texts for piece, _ in splitter.pre_tokenize_str(text)}
    numbers = [str(number) for number in range(countdown_world.MAX_TARGET + 1)]
    # dict.fromkeys: in order, each entry once.
    entries = dict.fromkeys([*specials, *sorted(pre_tokenizers.ByteLevel.alphabet()), *numbers, *sorted(words)])
    vocabulary = {entry: index for index, entry in enumerate(entries)}

    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    # Not special, so that they stay in a completion's text: as in the families that write them.
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in TOOL_CALL])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=PAD)
    fast.chat_template = CHAT_TEMPLATE
    return fast
