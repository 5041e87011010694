"""Where the answer is in a completion: the last complete ``<answer>...</answer>`` or ``\\boxed{...}``.

One that is only mentioned ("in <answer> </answer> tags", "between <answer> and </answer>") counts where there is no
other. Time is linear in the text, whatever it holds.
"""

import re

OPEN, CLOSE = "<answer>", "</answer>"
_BOXED = "\\boxed"

_MOST_MENTIONS = 100  # further ones hide what stands before them
MOST_SEARCHED = 65_536  # characters from the end that are searched for a box

_BRACE = re.compile(r"\\boxed\s*\{|\\[{}]|[{}]")
_MARKS = " \t\r\n.,\u2026`'\"/&"
_MENTIONS = frozenset(("", "and", "or", "to"))  # what stands between two tags that are only named


def last_tagged(text: str) -> str | None:
    """What the last complete pair of tags holds; None where there is none. A tag without its partner is text."""
    last: str | None = None
    end = text.rfind(CLOSE)
    for _ in range(_MOST_MENTIONS):
        start = text.rfind(OPEN, 0, end) if end >= 0 else -1
        if start < 0:
            break
        answer = text[start + len(OPEN) : text.find(CLOSE, start)]
        if not _is_mention(answer):
            return answer
        if last is None:
            last = answer
        end = text.rfind(CLOSE, 0, start)
    return last


def last_boxed(text: str) -> str | None:
    """What the last complete ``\\boxed{...}`` holds; None where there is none. Braces inside of it are matched."""
    begin = text.find(_BOXED, max(0, len(text) - MOST_SEARCHED))
    if begin < 0:
        return None
    boxes: list[tuple[int, int]] = []
    open_braces: list[int] = []  # where the content of a box starts, -1 for any other brace
    for token in _BRACE.finditer(text, begin):
        if token[0] == "}":
            if open_braces and (start := open_braces.pop()) >= 0:
                boxes.append((start, token.start()))
        elif token[0] == "{":
            open_braces.append(-1)
        elif token[0] not in ("\\{", "\\}"):
            open_braces.append(token.end())
    for start, end in reversed(boxes[-_MOST_MENTIONS:]):
        if not _is_mention(text[start:end]):
            return text[start:end]
    return text[slice(*boxes[-1])] if boxes else None


def _is_mention(answer: str) -> bool:
    return answer.strip(_MARKS) in _MENTIONS
