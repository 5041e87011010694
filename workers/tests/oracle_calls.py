"""An independent judge of function calls, and generated completions to try the real one with.

Written from the rules, sharing no code with rrr_workers: JSON is read character by character into tagged values,
numbers are compared as digits and exponent, calls are matched by trying every permutation.
"""

# ruff: noqa: RUF001 - look-alike characters are part of the test

import itertools
import random
from typing import Any

from oracle_reasoning import without_reasoning

MAX_CHARS, MAX_DEPTH, MAX_NUMBER, MAX_CALLS, MAX_EXPONENT = 65_536, 64, 400, 100, 999_999
SPACE = " \t\n\r"


class Bad(Exception):
    pass


# --- Reading ------------------------------------------------------------


def read(text: str, i: int, depth: int = 0) -> tuple[Any, int]:
    """The JSON value at ``i`` as a tagged tuple, and the index behind it and the spaces that follow."""
    i = skip(text, i)
    char = text[i : i + 1]
    if char and char in "[{":
        if depth == MAX_DEPTH:
            raise Bad("depth")
        value, i = read_array(text, i + 1, depth + 1) if char == "[" else read_object(text, i + 1, depth + 1)
    elif char == '"':
        value, i = read_string(text, i + 1)
        value = ("str", value)
    else:
        for word, meaning in (("true", ("bool", True)), ("false", ("bool", False)), ("null", ("null",))):
            if text.startswith(word, i):
                return meaning, skip(text, i + len(word))
        value, i = read_number(text, i)
    return value, skip(text, i)


def skip(text: str, i: int) -> int:
    while i < len(text) and text[i] in SPACE:
        i += 1
    return i


def read_array(text: str, i: int, depth: int) -> tuple[Any, int]:
    items: list[Any] = []
    i = skip(text, i)
    if text[i : i + 1] == "]":
        return ("arr", items), i + 1
    while True:
        value, i = read(text, i, depth)
        items.append(value)
        if text[i : i + 1] == "]":
            return ("arr", items), i + 1
        if text[i : i + 1] != ",":
            raise Bad("array")
        i += 1


def read_object(text: str, i: int, depth: int) -> tuple[Any, int]:
    items: dict[str, Any] = {}
    i = skip(text, i)
    if text[i : i + 1] == "}":
        return ("obj", items), i + 1
    while True:
        i = skip(text, i)
        if text[i : i + 1] != '"':
            raise Bad("key")
        key, i = read_string(text, i + 1)
        i = skip(text, i)
        if text[i : i + 1] != ":" or key in items:
            raise Bad("colon or duplicate")
        items[key], i = read(text, i + 1, depth)
        if text[i : i + 1] == "}":
            return ("obj", items), i + 1
        if text[i : i + 1] != ",":
            raise Bad("object")
        i += 1


def read_string(text: str, i: int) -> tuple[str, int]:
    units: list[int] = []
    while True:
        char = text[i : i + 1]
        if not char or ord(char) < 32:
            raise Bad("string")
        i += 1
        if char == '"':
            break
        if char != "\\":
            units.append(ord(char))
            continue
        escape = text[i : i + 1]
        i += 1
        if escape and escape in '"\\/':
            units.append(ord(escape))
        elif escape and escape in "bfnrt":
            units.append(ord("\b\f\n\r\t"["bfnrt".index(escape)]))
        elif escape == "u":
            digits = text[i : i + 4]
            if len(digits) < 4 or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
                raise Bad("escape")
            units.append(-int(digits, 16))  # negative: an escaped unit, which may pair with the next escaped one
            i += 4
        else:
            raise Bad("escape")
    out = []
    at = 0
    while at < len(units):
        unit = units[at]
        following = units[at + 1] if at + 1 < len(units) else 0
        if -0xDBFF <= unit <= -0xD800 and -0xDFFF <= following <= -0xDC00:
            out.append(chr(0x10000 + ((-unit - 0xD800) << 10) + (-following - 0xDC00)))
            at += 2
        else:
            out.append(chr(abs(unit)))
            at += 1
    return "".join(out), i


def read_number(text: str, i: int) -> tuple[Any, int]:
    start = i
    i += text[i : i + 1] == "-"
    whole = digits_at(text, i)
    if not whole:
        raise Bad("value")
    if whole[0] == "0":
        whole = "0"
    i += len(whole)
    fraction = exponent = ""
    if text[i : i + 1] == "." and (fraction := digits_at(text, i + 1)):
        i += 1 + len(fraction)
    if text[i : i + 1] in ("e", "E"):
        sign = 1 if text[i + 1 : i + 2] in ("+", "-") else 0
        if power := digits_at(text, i + 1 + sign):
            exponent = text[i + 1 : i + 1 + sign] + power
            i += 1 + sign + len(power)
    digits = (whole + fraction).lstrip("0")
    scale = int(exponent[:50] or 0) - len(fraction)
    if i - start > MAX_NUMBER or ((fraction or exponent) and abs(scale + max(len(digits), 1) - 1) > MAX_EXPONENT):
        raise Bad("number")
    stripped = digits.rstrip("0")
    if not stripped:
        return ("num", "0", 0), i
    sign_text = "-" if text[start] == "-" else ""
    return ("num", sign_text + stripped, scale + len(digits) - len(stripped)), i


def digits_at(text: str, i: int) -> str:
    end = i
    while end < len(text) and text[end] in "0123456789":
        end += 1
    return text[i:end]


# --- Formats ------------------------------------------------------------


def parse_calls(text: str, style: str) -> list[tuple[str, dict[str, Any]]]:
    text = without_reasoning(text)
    values: list[Any] = []
    if style == "hermes":
        i = 0
        while "<tool_call>" in text[i:]:
            value, i = bounded_read(text, text.index("<tool_call>", i) + len("<tool_call>"))
            if i < len(text) and text[i : i + len("</tool_call>")] != "</tool_call>":
                raise Bad("after the call")
            as_call(value)
            values.append(value)
            if len(values) > MAX_CALLS:
                raise Bad("calls")
    else:
        start, fenced = 0, False
        if text.lstrip()[:1] != "[" and "```" in text:
            fenced = True
            start = text.index("```") + 3
            start += 4 if text[start : start + 4] == "json" else 0
        elif not set("[{") & set(text):
            return []
        value, end = bounded_read(text, start)
        if end < len(text) and not (fenced and text[end : end + 3] == "```"):
            raise Bad("trailing")
        if fenced and text.count("```", end) > 1:
            raise Bad("blocks")
        if value[0] != "arr" or len(value[1]) > MAX_CALLS:
            raise Bad("list")
        values = value[1]
    return [as_call(value) for value in values]


def bounded_read(text: str, start: int) -> tuple[Any, int]:
    if len(text) > MAX_CHARS:
        raise Bad("long")
    return read(text, start)


def as_call(value: Any) -> tuple[str, dict[str, Any]]:
    if value[0] != "obj" or value[1].get("name", ("",))[0] != "str" or value[1].get("arguments", ("",))[0] != "obj":
        raise Bad("call")
    return value[1]["name"][1], value[1]["arguments"][1]


# --- Judging ------------------------------------------------------------


def is_accepted(value: Any, accepted_set: Any) -> bool:
    """``""`` in an accepted set is no value: it says that there may be none."""
    return any(is_alternative(value, alternative) for alternative in accepted_set[1] if alternative != ("str", ""))


def is_alternative(value: Any, alternative: Any) -> bool:
    if alternative[0] == "arr":
        same = value[0] == "arr" and len(value[1]) == len(alternative[1])
        return same and all(is_alternative(v, a) for v, a in zip(value[1], alternative[1], strict=True))
    if alternative[0] == "obj":
        if value[0] != "obj" or set(value[1]) - set(alternative[1]):
            return False
        return all(
            is_accepted(value[1][key], options) if key in value[1] else ("str", "") in options[1]
            for key, options in alternative[1].items()
        )
    return bool(value == alternative)


def fits(call: Any, reference: Any, match: str) -> bool:
    return not differences(call, reference, match)


def differences(call: Any, reference: Any, match: str) -> list[str]:
    """Kinds in which a call differs from a reference, most important first."""
    (name, given), (wanted_name, wanted) = call, reference
    if name != wanted_name:
        return ["wrong_tool"]
    accepted = match == "accepted"
    kinds = []
    if any(key not in given and not (accepted and ("str", "") in wanted[key][1]) for key in wanted):
        kinds.append("missing_argument")
    if set(given) - set(wanted):
        kinds.append("extra_argument")
    shared = set(given) & set(wanted)
    if any(not is_accepted(given[k], wanted[k]) if accepted else given[k] != wanted[k] for k in shared):
        kinds.append("wrong_argument")
    return kinds


def expected_kinds(case: "Case") -> set[str]:
    """Kinds that a right judge may give: one, but for accepted sets, where more than one pairing may be the largest."""
    cut = case.finish_reason == "length"
    try:
        calls = parse_calls(case.completion, case.style)
    except Bad:
        return {"truncated" if cut else "not_parsable"}
    references = [(name, tagged(arguments)[1]) for name, arguments in case.reference]
    if len(calls) == len(references) and any(
        all(fits(call, reference, case.match) for call, reference in zip(calls, order, strict=True))
        for order in itertools.permutations(references)
    ):
        return {"passed"}
    if cut and len(calls) < len(references):
        return {"truncated"}
    if not calls:
        return {"no_call"}
    known = set(case.offered) | {name for name, _ in references}
    if any(name not in known for name, _ in calls):
        return {"unknown_tool"}
    if len(calls) != len(references):
        return {"wrong_number_of_calls"}
    if sorted(name for name, _ in calls) != sorted(name for name, _ in references):
        return {"wrong_tool"}
    if case.match == "accepted":
        pairs = itertools.product(calls, references)
        return {found[0] for call, ref in pairs if call[0] == ref[0] and (found := differences(call, ref, case.match))}
    left = list(references)
    strangers = [call for call in calls if not take(left, call)]
    reference = next(reference for reference in left if reference[0] == strangers[0][0])
    return {differences(strangers[0], reference, case.match)[0]}


def take(left: list[Any], call: Any) -> bool:
    for index, reference in enumerate(left):
        if fits(call, reference, "exact"):
            del left[index]
            return True
    return False


def tagged(value: Any) -> Any:
    """A plain Python value (int, bool, str, None, list, dict) as :func:`read` would give it."""
    if value is None:
        return ("null",)
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, int | float):
        return read_number(repr(value), 0)[0]
    if isinstance(value, str):
        return ("str", value)
    if isinstance(value, list):
        return ("arr", [tagged(item) for item in value])
    return ("obj", {key: tagged(item) for key, item in value.items()})


# --- Generating ------------------------------------------------------------

NAMES = ["f", "g", "get weather", "math.sqrt", "ü_tool", "__import__"]
KEYS = ["a", "b", "city", "", "é"]
SCALARS = [
    0,
    1,
    5,
    -3,
    10**20,
    0.5,
    2.25,
    True,
    False,
    None,
    "",
    "5",
    "1",
    "true",
    "Paris",
    'q"\\',
    "</tool_call>",
    "٣",
    "😀",
]
HOSTILE = [
    "99**99**99", "[" * 10_000, "{" * 10_000, "[" * 70, "9" * 5_000, "1e400", "1e-400", "1e" + "9" * 60, "NaN",
    "Infinity", "-Infinity", "\ud800", "\\ud800", "\\u00e9", "\\ud83d\\ude00", "٣", "５", "×", "−1", "\x00",
    "\u2028", "\ufeff", "```", "```json\n", "<tool_call>", "</tool_call>", "<think>", "</think>",
    "__import__('os').system('true')", '{"a": 1, "a": 1}', '"', "\\", ",", ":", "]", "}", "[]", "null", "true",
    "01", "1.", "-", "'", "//", "\u00a0", '{"a":' * 100, "<tool_call>" * 3_000,
]  # fmt: skip


class Case:
    """One row, one completion."""

    def __init__(self, rng: random.Random):
        self.style = rng.choice(["json", "json", "hermes"])
        self.match = rng.choice(["exact", "exact", "accepted"])
        self.offered = rng.sample(NAMES, rng.randint(1, 4))
        calls = [
            (rng.choice(self.offered[:2]), random_arguments(rng)) for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 4]))
        ]
        if self.match == "accepted":
            self.reference = [(name, {k: accepted_set(rng, v) for k, v in args.items()}) for name, args in calls]
        else:
            self.reference = calls
        self.answers = [{"name": name, "arguments": arguments} for name, arguments in calls]
        self.completion = random_completion(rng, self.style, calls)
        self.finish_reason = "length" if rng.random() < 0.1 else "stop"


def random_value(rng: random.Random, depth: int = 0) -> Any:
    roll = rng.random()
    if roll < 0.75 or depth > 2:
        return rng.choice(SCALARS)
    if roll < 0.88:
        return [random_value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return {rng.choice(KEYS): random_value(rng, depth + 1) for _ in range(rng.randint(0, 2))}


def random_arguments(rng: random.Random) -> dict[str, Any]:
    return {key: random_value(rng) for key in rng.sample(KEYS, rng.randint(0, 3))}


def accepted_set(rng: random.Random, value: Any) -> list[Any]:
    options = [as_alternative(rng, value)] + [rng.choice(SCALARS) for _ in range(rng.choice([0, 0, 1, 2]))]
    rng.shuffle(options)
    return options


def as_alternative(rng: random.Random, value: Any) -> Any:
    if isinstance(value, list):
        return [as_alternative(rng, item) for item in value]
    if isinstance(value, dict):
        return {key: accepted_set(rng, item) for key, item in value.items()}
    return value


def random_completion(rng: random.Random, style: str, calls: list[tuple[str, dict[str, Any]]]) -> str:
    if rng.random() < 0.03:
        return "".join(rng.choice(HOSTILE) for _ in range(rng.randint(0, 4)))
    calls = list(calls)
    rng.shuffle(calls)
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2])):
        calls = changed(rng, calls)
    texts = [spell_call(rng, name, arguments) for name, arguments in calls]
    if style == "hermes":
        text = "".join(f"<tool_call>{blank(rng)}{call}{blank(rng)}</tool_call>{blank(rng)}" for call in texts)
    else:
        text = "[" + ",".join(texts) + "]"
        if rng.random() < 0.2:
            text = f"Sure:\n```{rng.choice(['json', ''])}\n{text}\n```" + rng.choice(["", "\nDone.", "```"])
    if rng.random() < 0.1:
        text = (
            rng.choice(["<think>", "<think>", "", "Hm.<think>\n"])
            + 'hm [1] "'
            + rng.choice(["</think>", "</think>\n", ""])
            + text
        )
    for _ in range(rng.choice([0, 0, 0, 0, 0, 1, 1, 2])):
        at = rng.randrange(len(text) + 1)
        end = at + rng.choice([0, 0, 1, 1, 3])
        text = text[:at] + rng.choice([*HOSTILE, "", "", "", "1", ".0", "e0", " "]) + text[end:]
    return text


def changed(rng: random.Random, calls: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, dict[str, Any]]]:
    if not calls:
        return [(rng.choice(NAMES), {})]
    at = rng.randrange(len(calls))
    name, arguments = calls[at]
    kind = rng.randrange(6)
    if kind == 0:
        return calls[:at] + calls[at + 1 :]
    if kind == 1:
        return [*calls, rng.choice(calls)]
    if kind == 2:
        name = rng.choice(NAMES)
    elif kind == 3 and arguments:
        arguments = {key: value for key, value in arguments.items() if key != rng.choice(list(arguments))}
    elif kind == 4:
        arguments = {**arguments, rng.choice(KEYS): random_value(rng)}
    elif arguments:
        arguments = {**arguments, rng.choice(list(arguments)): random_value(rng)}
    return [*calls[:at], (name, arguments), *calls[at + 1 :]]


def spell_call(rng: random.Random, name: str, arguments: dict[str, Any]) -> str:
    parts = [f'"name":{spell(rng, name)}', f'"arguments":{blank(rng)}{spell(rng, arguments)}']
    if rng.random() < 0.05:
        parts.append('"id":1')
    rng.shuffle(parts)
    return "{" + ",".join(parts) + "}"


def spell(rng: random.Random, value: Any) -> str:
    """A JSON spelling of ``value``: 5, 5.0, 50e-1; escapes; spaces; keys in any order."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return rng.choice([f"{value}", f"{value}", f"{value}.0", f"{value}0e-1", f"{value}E0"])
    if isinstance(value, float):
        return rng.choice([f"{value}", f"{value}0", f"{value}e+00"])
    if isinstance(value, str):
        return '"' + "".join(spell_char(rng, char) for char in value) + '"'
    if isinstance(value, list):
        return "[" + f"{blank(rng)},".join(spell(rng, item) for item in value) + blank(rng) + "]"
    items = list(value.items())
    rng.shuffle(items)
    return "{" + ",".join(f"{blank(rng)}{spell(rng, key)}{blank(rng)}:{spell(rng, item)}" for key, item in items) + "}"


def spell_char(rng: random.Random, char: str) -> str:
    if char in '"\\' or (ord(char) < 0x10000 and rng.random() < 0.1):
        return f"\\u{ord(char):04x}"
    if ord(char) > 0xFFFF and rng.random() < 0.5:
        high, low = divmod(ord(char) - 0x10000, 0x400)
        return f"\\u{0xD800 + high:04X}\\u{0xDC00 + low:04X}"
    return char


def blank(rng: random.Random) -> str:
    return rng.choice(["", "", "", " ", "\n"])
