"""What of a completion is the answer, where a model reasons first: ``<think> ... </think> answer``."""

import re

_TAG = re.compile(r"</?think>")


def answer_part(completion: str, *, opened: bool = False) -> tuple[str, bool]:
    """(the completion without its reasoning, whether the reasoning has an end).

    Nothing inside of reasoning counts, so a draft in it is no answer. ``opened``: the prompt ended with ``<think>``.
    Where a ``</think>`` stands without a ``<think>``, everything before it is reasoning. A tag inside of a JSON string
    is text of that string: a JSON string never spans lines, so it is one behind an odd number of quotes on its line.
    """
    if "think>" not in completion:
        return ("", False) if opened else (completion, True)
    parts: list[str] = []
    inside, end = opened, 0
    for tag in _TAG.finditer(completion):
        if not inside and _in_json_string(completion, tag.start()):
            continue
        if tag[0] == "<think>":
            parts += [] if inside else [completion[end : tag.start()]]
        elif not inside:
            parts.clear()
        inside, end = tag[0] == "<think>", tag.end()
    return "".join([*parts, "" if inside else completion[end:]]), not inside


def _in_json_string(text: str, index: int) -> bool:
    line = text[text.rfind("\n", 0, index) + 1 : index]
    return (line.count('"') - line.count('\\"')) % 2 == 1
