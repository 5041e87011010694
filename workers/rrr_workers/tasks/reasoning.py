"""What of a completion is the answer, where a model reasons first: ``<think> ... </think> answer``."""

import re

_TOKEN = re.compile(r'</?think>|\\["\\]|"|\n')


def answer_part(completion: str, *, opened: bool = False) -> tuple[str, bool]:
    """(the completion without its reasoning, whether the reasoning has an end).

    Nothing inside of reasoning counts, so a draft in it is no answer. ``opened``: the prompt ended with ``<think>``.
    Where a ``</think>`` stands without a ``<think>``, everything before it is reasoning. A tag inside of a JSON string
    of the answer is text of that string; a JSON string never spans lines.
    """
    if opened or completion.startswith("<think>"):
        _, closing, answer = completion.partition("</think>")
        if "think>" not in answer:  # as most completions are
            return answer, bool(closing)
    elif "think>" not in completion:
        return completion, True
    parts: list[str] = []
    inside, quoted, end = opened, False, 0
    for token in _TOKEN.finditer(completion):
        if token[0] == '"':
            quoted = not quoted
        elif token[0] == "\n":
            quoted = False
        elif token[0] in ("<think>", "</think>") and (inside or not quoted):
            if token[0] == "<think>":
                parts += [] if inside else [completion[end : token.start()]]
            elif not inside:
                parts.clear()
            inside, quoted, end = token[0] == "<think>", False, token.end()
    return "".join([*parts, "" if inside else completion[end:]]), not inside
