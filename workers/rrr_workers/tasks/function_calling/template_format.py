"""Which format a model writes its calls in, told from its chat template."""

import re
from dataclasses import dataclass

# What a chat template that knows tools writes, most telling first -> the parser of that family.
_MARKERS = (
    ("functools", "phi4_mini_json"),
    ("<|/tool|>", "phi4_mini"),
    ("[func_name1(params_name1=params_value1", "pythonic"),
    ("make calls in a single JSON array", "xlam"),
    ("<function=", "qwen3_coder"),
    ("<tool_call>", "hermes"),
    ("[TOOL_CALLS]", "mistral"),
    ("<|python_tag|>", "llama3_json"),
    ('"parameters": dictionary of argument name and its value', "llama3_json"),
)
#: The variable, not a text, a key (Phi-4-mini's message['tools']) or a part of a longer name.
_TOOLS = re.compile(r"(?<![\w.'\"])tools\b(?!['\"])")


@dataclass(frozen=True, slots=True)
class TemplateFormat:
    """``name`` of a format, and ``why`` it is that one."""

    name: str
    why: str


def detect_format(chat_template: str | None) -> TemplateFormat:
    """The format of a chat template: "json" where it doesn't mention tools in a way that is known here."""
    if not chat_template or "tools" not in chat_template:
        return TemplateFormat("json", "the chat template knows no tools")
    for marker, name in _MARKERS:
        if marker in chat_template:
            return TemplateFormat(name, f"the chat template has {marker!r}")
    return TemplateFormat("json", "the chat template writes calls in no way that is known here")


def shows_tools(chat_template: str | None) -> bool:
    """Whether a chat template shows the tools that it is given."""
    return bool(chat_template) and _TOOLS.search(chat_template or "") is not None
