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
MAX_PYTHON = 16_384
SPACE = " \t\n\r"


class Bad(Exception):
    pass


# --- Reading ------------------------------------------------------------


class Num(tuple[Any, ...]):
    """("num", digits, exponent), equal to that tuple; ``value`` as Python reads the literal."""

    value: int | float

    def __new__(cls, digits: str, exponent: int, literal: str) -> "Num":
        made = super().__new__(cls, ("num", digits, exponent))
        made.value = float(literal) if set(literal) & set(".eE") else int(literal)
        return made


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
        return Num("0", 0, text[start:i]), i
    sign_text = "-" if text[start] == "-" else ""
    return Num(sign_text + stripped, scale + len(digits) - len(stripped), text[start:i]), i


def digits_at(text: str, i: int) -> str:
    end = i
    while end < len(text) and text[end] in "0123456789":
        end += 1
    return text[i:end]


# --- Formats ------------------------------------------------------------


def parse_calls(text: str, style: str) -> list[tuple[str, dict[str, Any]]]:
    text = without_reasoning(text)
    if style == "hermes":
        return hermes(text)
    if style == "llama3_json":
        return llama(text)
    if style in ("phi4_mini", "phi4_mini_json"):
        return phi(text)
    if style == "pythonic":
        return pythonic(text)
    return xlam(text) if style == "xlam" else plain_list(text)


def hermes(text: str) -> list[tuple[str, dict[str, Any]]]:
    values: list[Any] = []
    i = 0
    while "<tool_call>" in text[i:]:
        value, i = bounded_read(text, text.index("<tool_call>", i) + len("<tool_call>"))
        if i < len(text) and text[i : i + len("</tool_call>")] != "</tool_call>":
            raise Bad("after the call")
        values.append(as_call(value))
        if len(values) > MAX_CALLS:
            raise Bad("calls")
    return values


def plain_list(text: str) -> list[tuple[str, dict[str, Any]]]:
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
    return as_calls(value)


def xlam(text: str) -> list[tuple[str, dict[str, Any]]]:
    begin = text.lstrip(SPACE)
    bare = begin[:1] == "{" or (begin[:1] == "[" and begin[:12] != "[TOOL_CALLS]")
    places = sorted((text.index(mark), mark) for mark in ("[TOOL_CALLS]", "<tool_call>", "```") if mark in text)
    if bare or not places:
        if not set("[{") & set(text):
            return []
        value, end = bounded_read(text, 0)
        if end < len(text):
            raise Bad("trailing")
    else:
        at, mark = places[0]
        start = at + len(mark)
        if mark == "```" and text[start : start + 4] == "json":
            start += 4
        value, end = bounded_read(text, start)
        if end < len(text):
            if mark == "[TOOL_CALLS]":
                spaces = end
                while text[spaces - 1] in SPACE:
                    spaces -= 1
                if "\n" not in text[spaces:end]:
                    raise Bad("behind the list")
            else:
                closing = {"<tool_call>": "</tool_call>", "```": "```"}[mark]
                if text[end : end + len(closing)] != closing:
                    raise Bad("before the closing mark")
                end += len(closing)
            if any(other in text[end:] for other in ("[TOOL_CALLS]", "<tool_call>", "```")):
                raise Bad("two lists")
    if value[0] == "obj":
        value = value[1].get("tool_calls", value)
    return as_calls(value, as_text=True)


def llama(text: str) -> list[tuple[str, dict[str, Any]]]:
    calls: list[tuple[str, dict[str, Any]]] = []
    end = 0
    while "{" in text[end:]:
        start = text.index("{", end)
        at = end
        while calls and at < start:
            for mark in ("<|python_tag|>", "```json", "```", *SPACE, ";", ","):
                if text.startswith(mark, at) and at + len(mark) <= start:
                    at += len(mark)
                    break
            else:
                raise Bad("between the calls")
        value, end = bounded_read(text, start)
        calls.append(as_call(value, ("arguments", "parameters")))
        if len(calls) > MAX_CALLS:
            raise Bad("calls")
    return calls


def phi(text: str) -> list[tuple[str, dict[str, Any]]]:
    marks = ("functools[", "<|tool_call|>")
    places = sorted((text.index(mark), mark) for mark in marks if mark in text)
    if not places:
        return []
    at, mark = places[0]
    value, end = bounded_read(text, at + len("functools" if mark == marks[0] else mark))
    if mark == marks[1] and end < len(text) and not text.startswith("<|/tool_call|>", end):
        raise Bad("before the closing mark")
    if any(other in text[end:] for other in marks):
        raise Bad("two lists")
    return as_calls(value, keys=("arguments", "parameters"))


class Python:
    """[name(name=value, ...), ...], read character by character."""

    def __init__(self, text: str):
        self.text, self.at, self.depth = text, 0, 0

    def next(self) -> str:
        self.at = skip(self.text, self.at)
        return self.text[self.at : self.at + 1]

    def expect(self, char: str) -> None:
        if self.next() != char:
            raise Bad(char)
        self.at += 1

    def sequence(self, opening: str, closing: str, item: Any) -> tuple[list[Any], bool]:
        """The items, and whether a comma stands behind the last."""
        self.expect(opening)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Bad("depth")
        found: list[Any] = []
        comma = False
        while self.next() != closing:
            if found and not comma:
                raise Bad("comma")
            found.append(item())
            comma = self.next() == ","
            self.at += comma
        self.at += 1
        self.depth -= 1
        return found, comma

    def name(self) -> str:
        self.next()
        end = self.at
        while end < len(self.text) and self.text[end] not in "()[]{}'\",=\r\n":
            end += 1
        name = self.text[self.at : end].rstrip()
        if not name or name[0].isspace():
            raise Bad("name")
        self.at += len(name)
        return name

    def call(self) -> tuple[str, dict[str, Any]]:
        name = self.name()
        return name, unique(self.sequence("(", ")", lambda: self.pair(self.name, "="))[0])

    def pair(self, key: Any, mark: str) -> tuple[str, Any]:
        found = key()
        self.expect(mark)
        return found, self.value()

    def value(self) -> Any:
        char = self.next()
        if char == "[":
            return ("arr", self.sequence("[", "]", self.value)[0])
        if char == "(":
            items, comma = self.sequence("(", ")", self.value)
            return ("arr", items) if len(items) != 1 or comma else items[0]
        if char == "{":
            return ("obj", unique(self.sequence("{", "}", lambda: self.pair(self.string, ":"))[0]))
        if char in ("'", '"'):
            return ("str", self.string())
        digits = self.at + (char == "-")
        if digits_at(self.text, digits):
            literal = python_number(self.text, self.at)
            value, end = read_number(literal, 0)
            if end != len(literal):
                raise Bad("number")
            self.at += end
            return value
        word = self.name()
        words = {"True": True, "true": True, "False": False, "false": False}
        if word in words:
            return ("bool", words[word])
        if word in ("None", "null"):
            return ("null",)
        raise Bad("value")

    def string(self) -> str:
        char = self.next()
        if char not in ("'", '"'):
            raise Bad("string")
        quote = char * 3 if self.text.startswith(char * 3, self.at) else char
        self.at += len(quote)
        out: list[str] = []
        while not self.text.startswith(quote, self.at):
            char = self.text[self.at : self.at + 1]
            if not char or (len(quote) == 1 and char in "\r\n"):
                raise Bad("string")
            if char == "\\":
                out.append(self.escape())
            elif char == "\r":  # a line break, as in a file of Python
                self.at += 2 if self.text.startswith("\r\n", self.at) else 1
                out.append("\n")
            else:
                out.append(char)
                self.at += 1
        self.at += len(quote)
        return "".join(out)

    def escape(self) -> str:
        code = self.text[self.at + 1 : self.at + 2]
        self.at += 2
        if code in ("\n", "\r") and code:
            if code == "\r" and self.text.startswith("\n", self.at):
                self.at += 1
            return ""
        if code and code in "ntrabfv\\'\"":
            return "\n\t\r\a\b\f\v\\'\""["ntrabfv\\'\"".index(code)]
        if code and code in "01234567":
            number = code
            while len(number) < 3 and (digit := self.text[self.at : self.at + 1]) and digit in "01234567":
                number += digit
                self.at += 1
            return chr(int(number, 8))
        if code and code in "xuUN":
            size = {"x": 2, "u": 4, "U": 8, "N": 0}[code]
            digits = self.text[self.at : self.at + size]
            self.at += size
            if not size or len(digits) < size or set(digits) - set("0123456789abcdefABCDEF"):
                raise Bad("escape")
            if int(digits, 16) > 0x10FFFF:
                raise Bad("escape")
            return chr(int(digits, 16))
        return "\\" + code


def python_number(text: str, start: int) -> str:
    at = start + text.startswith("-", start)
    at += len(digits_at(text, at))
    if text[at : at + 1] == "." and digits_at(text, at + 1):
        at += 1 + len(digits_at(text, at + 1))
    if text[at : at + 1] in ("e", "E"):
        sign = text[at + 1 : at + 2] in ("+", "-")
        if power := digits_at(text, at + 1 + sign):
            at += 1 + sign + len(power)
    return text[start:at]


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise Bad("twice")
    return dict(pairs)


def pythonic(text: str) -> list[tuple[str, dict[str, Any]]]:
    if "[" not in text:
        return []
    text = text.strip(SPACE)
    if text[:16] == "<|python_start|>":
        text = text[16:]
    if text[-14:] == "<|python_end|>":
        text = text[:-14]
    if len(text) > MAX_PYTHON:
        raise Bad("long")
    reader = Python(text)
    calls, _ = reader.sequence("[", "]", reader.call)
    if reader.next() or len(calls) > MAX_CALLS:
        raise Bad("behind the list, or calls")
    return calls


def bounded_read(text: str, start: int) -> tuple[Any, int]:
    if len(text) > MAX_CHARS:
        raise Bad("long")
    return read(text, start)


def as_calls(
    value: Any, *, keys: tuple[str, ...] = ("arguments",), as_text: bool = False
) -> list[tuple[str, dict[str, Any]]]:
    if value[0] != "arr" or len(value[1]) > MAX_CALLS:
        raise Bad("list")
    return [as_call(item, keys, as_text=as_text) for item in value[1]]


def as_call(value: Any, keys: tuple[str, ...] = ("arguments",), *, as_text: bool = False) -> tuple[str, dict[str, Any]]:
    if value[0] != "obj" or value[1].get("name", ("",))[0] != "str":
        raise Bad("call")
    arguments: Any = next((value[1][key] for key in keys if key in value[1]), ("",))
    if as_text and arguments[0] == "str":
        text = arguments[1]
        arguments, end = bounded_read(text, 0)
        if end < len(text):
            raise Bad("trailing")
    if arguments[0] != "obj":
        raise Bad("call")
    return value[1]["name"][1], arguments[1]


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


TYPES = {
    "str": str, "string": str, "any": str, "int": int, "integer": int, "float": float, "number": float, "bool": bool,
    "boolean": bool, "list": list, "array": list, "tuple": list, "dict": dict, "object": dict,
}  # fmt: skip


def python_value(value: Any) -> Any:
    if value[0] == "num":
        return value.value
    if value[0] == "arr":
        return [python_value(item) for item in value[1]]
    if value[0] == "obj":
        return {key: python_value(item) for key, item in value[1].items()}
    return None if value[0] == "null" else value[1]


def standard(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    return "".join('"' if char == "'" else char for char in text if char not in " ,./-_*^").lower()


def type_of_first(options: Any) -> type | None:
    others = [option for option in options if option != ""]
    return type(others[0]) if others else None


def bfcl_accepts(given: Any, accepted_set: Any, declared: str | None, items: str | None) -> bool:
    """Step by step as BFCL's checker: the type, then the value by its type, then equality."""
    options = [python_value(option) for option in accepted_set[1]]
    value: Any = python_value(given)
    first: Any = type_of_first(options)
    expected: Any = TYPES.get(declared or "", first)
    nested = TYPES.get(items or "") if expected is list else None
    if expected is float and type(value) is int and abs(value) < 1e308:
        value = float(value)
    is_variable = False
    if type(value) is expected:
        if nested is not None:
            flags = []
            for option in options:
                flags.append(
                    not isinstance(option, list) or all(type(item) in (nested, type_of_first(option)) for item in value)
                )
            if True not in flags:
                return False
        is_variable = first is not None and first != expected
    elif first is not None and type(value) is first:
        is_variable = True
    else:
        return False
    if is_variable or expected not in (str, list, dict):
        return value in options
    if expected is str:
        return standard(value) in [standard(option) for option in options if isinstance(option, str)]
    if expected is dict:
        return any(bfcl_object(value, option) for option in options)
    for option in options:
        if isinstance(option, list | str) and len(option) == len(value):
            if nested is dict:
                if all(bfcl_object(item, part) for item, part in zip(value, option, strict=True)):
                    return True
            elif [standard(item) for item in value] == [standard(part) for part in option]:
                return True
    return False


def bfcl_object(value: Any, option: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(option, dict) or set(value) - set(option):
        return False
    for key, choices in option.items():
        if key not in value:
            if "" not in choices:
                return False
        elif standard(value[key]) not in [standard(choice) for choice in choices]:
            return False
    return True


def fits(call: Any, reference: Any, case: "Case") -> bool:
    return not differences(call, reference, case)


def differences(call: Any, reference: Any, case: "Case") -> list[str]:
    """Kinds in which a call differs from a reference, most important first."""
    (name, given), (wanted_name, wanted) = call, reference
    if name != wanted_name:
        return ["wrong_tool"]
    declared = case.types.get(name) if case.match == "bfcl" else None
    unknown = {key for key in wanted if declared is not None and key not in declared}
    hidden = {key for key in unknown if ("str", "") in wanted[key][1]}
    kinds = []
    for key in wanted:
        optional = case.match != "exact" and ("str", "") in wanted[key][1]
        if declared is not None and key in declared and declared[key][2]:
            optional = False
        if key not in given and not optional:
            kinds.append("missing_argument")
            break
    if set(given) - (set(wanted) - hidden):
        kinds.append("extra_argument")
    for key in set(given) & (set(wanted) - hidden):
        if case.match == "exact":
            right = given[key] == wanted[key]
        elif case.match == "accepted":
            right = is_accepted(given[key], wanted[key])
        elif key in unknown:
            right = False
        else:
            declared_type, items, _ = declared[key] if declared is not None else (None, None, False)
            right = bfcl_accepts(given[key], wanted[key], declared_type, items)
        if not right:
            kinds.append("wrong_argument")
            break
    return kinds


def pass_in_order(calls: list[Any], references: list[Any], case: "Case") -> bool:
    """Each reference takes the first call left that fits."""
    left = list(calls)
    for reference in references:
        found = [index for index, call in enumerate(left) if fits(call, reference, case)]
        if not found:
            return False
        del left[found[0]]
    return True


def pass_somehow(calls: list[Any], references: list[Any], case: "Case") -> bool:
    return any(
        all(fits(call, reference, case) for call, reference in zip(calls, order, strict=True))
        for order in itertools.permutations(references)
    )


def expected_kinds(case: "Case") -> set[str]:
    """Kinds that a right judge may give: one, but for accepted sets, where more than one pairing may be the largest."""
    cut = case.finish_reason == "length"
    try:
        calls = parse_calls(case.completion, case.style)
    except Bad:
        return {"truncated" if cut else "not_parsable"}
    references = [(name, tagged(arguments)[1]) for name, arguments in case.reference]
    passes = pass_in_order if case.match == "bfcl" else pass_somehow
    if len(calls) == len(references) and passes(calls, references, case):
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
    if case.match != "exact":
        pairs = itertools.product(calls, references)
        return {found[0] for call, ref in pairs if call[0] == ref[0] and (found := differences(call, ref, case))}
    left = list(references)
    strangers = [call for call in calls if not take(left, call, case)]
    reference = next(reference for reference in left if reference[0] == strangers[0][0])
    return {differences(strangers[0], reference, case)[0]}


def take(left: list[Any], call: Any, case: "Case") -> bool:
    for index, reference in enumerate(left):
        if fits(call, reference, case):
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
    "PARIS",
    "pa-ri. s",
    "it's",
    'IT"S',
    5.0,
    'q"\\',
    "</tool_call>",
    "٣",
    "😀",
]
STYLES = [
    "json",
    "json",
    "hermes",
    "hermes",
    "xlam",
    "xlam",
    "llama3_json",
    "phi4_mini",
    "phi4_mini_json",
    "pythonic",
    "pythonic",
]
HOSTILE = [
    "99**99**99", "[" * 10_000, "{" * 10_000, "[" * 70, "9" * 5_000, "1e400", "1e-400", "1e" + "9" * 60, "NaN",
    "Infinity", "-Infinity", "\ud800", "\\ud800", "\\u00e9", "\\ud83d\\ude00", "٣", "５", "×", "−1", "\x00",
    "\u2028", "\ufeff", "```", "```json\n", "<tool_call>", "</tool_call>", "<think>", "</think>",
    "__import__('os').system('true')", '{"a": 1, "a": 1}', '"', "\\", ",", ":", "]", "}", "[]", "null", "true",
    "[TOOL_CALLS]", "<|python_tag|>", "<|tool_call|>", "<|/tool_call|>", "functools", "functools[", '{"tool_calls": ',
    "=", "(", ")", "f(", "None", "'" * 3, "'" * 300, "(" * 300, "\\x4", "\\N{DIGIT ONE}", "\\777", "\r", "\n", ";",
    "<|python_start|>", "<|python_end|>", "01", "1.", "-", "'", "//", "\u00a0", '{"a":' * 100, "<tool_call>" * 3_000,
]  # fmt: skip


class Case:
    """One row, one completion."""

    def __init__(self, rng: random.Random):
        self.style = rng.choice(STYLES)
        self.match = rng.choice(["exact", "exact", "accepted", "bfcl"])
        self.offered = rng.sample(NAMES, rng.randint(1, 4))
        calls = [
            (rng.choice(self.offered[:2]), random_arguments(rng)) for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 4]))
        ]
        if self.match != "exact":
            self.reference = [(name, {k: accepted_set(rng, v) for k, v in args.items()}) for name, args in calls]
        else:
            self.reference = calls
        #: Of each tool that is called: parameter -> [its type, that of its items, whether it is required].
        self.types: dict[str, dict[str, Any]] = {name: {} for name, _ in calls} if rng.random() < 0.95 else {}
        for name, arguments in calls if self.types else ():
            self.types[name] |= {key: declared(rng, value) for key, value in arguments.items() if rng.random() < 0.95}
        self.answers = [{"name": name, "arguments": arguments} for name, arguments in calls]
        self.completion = random_completion(rng, self.style, calls)
        self.finish_reason = "length" if rng.random() < 0.1 else "stop"


def declared(rng: random.Random, value: Any) -> list[Any]:
    """Most often the type of ``value``."""
    names = {str: ["str", "string", "any"], int: ["int", "integer", "float"], float: ["float", "number"],
             bool: ["bool", "boolean"], list: ["list", "array", "tuple"], dict: ["dict", "object"]}  # fmt: skip
    word = rng.choice(names.get(type(value), [None])) if rng.random() < 0.85 else rng.choice([None, *TYPES])
    items = None
    if word in ("list", "array", "tuple") and isinstance(value, list) and rng.random() < 0.8:
        items = declared(rng, value[0] if value else "")[0]
    return [word, items, rng.random() < 0.5]


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
    text = written(rng, style, calls)
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


def written(rng: random.Random, style: str, calls: list[tuple[str, dict[str, Any]]]) -> str:
    """``calls`` in the style, in one of the ways to write it."""
    if style == "pythonic":
        text = (
            f"[{blank(rng)}"
            + f",{blank(rng)}".join(python_call(rng, *call) for call in calls)
            + rng.choice(["", "", ","])
            + "]"
        )
        return rng.choice(["", "\n\n", " "]) + (f"<|python_start|>{text}<|python_end|>" if rng.random() < 0.1 else text)
    key = (
        rng.choice(["arguments", "parameters"])
        if style in ("llama3_json", "phi4_mini", "phi4_mini_json")
        else "arguments"
    )
    as_text = style == "xlam" and rng.random() < 0.2
    texts = [spell_call(rng, name, arguments, key, as_text=as_text) for name, arguments in calls]
    listed = "[" + ",".join(texts) + "]"
    if style == "hermes":
        return "".join(f"<tool_call>{blank(rng)}{call}{blank(rng)}</tool_call>{blank(rng)}" for call in texts)
    if style == "llama3_json":
        between = rng.choice([";", "; ", ",", "\n", "<|python_tag|>", ";<|python_tag|>", "```\n```json", " and "])
        text = between.join(texts)
        return rng.choice(["", "<|python_tag|>", "```json\n", "Sure: "]) + text + rng.choice(["", "\n```", " Done."])
    if style in ("phi4_mini", "phi4_mini_json"):
        text = (
            f"functools{listed}"
            if rng.random() < 0.5
            else f"<|tool_call|>{blank(rng)}{listed}{blank(rng)}<|/tool_call|>"
        )
        return rng.choice(["", "", "Sure: "]) + text + rng.choice(["", "", " Done."])
    if style == "xlam":
        if rng.random() < 0.4:
            listed = "{" + rng.choice(["", '"thought":"I call",']) + f'"tool_calls":{listed}' + "}"
        before, after = rng.choice(
            [
                ("", ""),
                ("```json\n", "\n```"),
                ("```", "```"),
                ("<tool_call>", "</tool_call>"),
                ("[TOOL_CALLS]", rng.choice(["", "\n"])),
            ]
        )
        return rng.choice(["", "", "Sure:\n"]) + before + listed + after + rng.choice(["", "", "\nDone.", " Done."])
    if rng.random() < 0.2:
        return f"Sure:\n```{rng.choice(['json', ''])}\n{listed}\n```" + rng.choice(["", "\nDone.", "```"])
    return listed


def python_call(rng: random.Random, name: str, arguments: dict[str, Any]) -> str:
    items = list(arguments.items())
    rng.shuffle(items)
    return f"{name}({', '.join(f'{key}{blank(rng)}={blank(rng)}{python_spell(rng, value)}' for key, value in items)})"


def python_spell(rng: random.Random, value: Any) -> str:
    if value is None or isinstance(value, bool):
        return rng.choice([str(value), spell(rng, value)])
    if isinstance(value, str):
        quote: str = rng.choice(["'", '"', "'''", '"""'])
        return quote + "".join(python_char(rng, char) for char in value) + quote
    if isinstance(value, list):
        left, right = rng.choice([("[", "]"), ("[", "]"), ("(", ")")])
        return (
            left
            + f"{blank(rng)},".join(python_spell(rng, item) for item in value)
            + rng.choice(["", ","] if value else [""])
            + right
        )
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(f"{python_spell(rng, key)}:{blank(rng)}{python_spell(rng, item)}" for key, item in value.items())
            + "}"
        )
    return spell(rng, value)


def python_char(rng: random.Random, char: str) -> str:
    point = ord(char)
    if char in "'\"\\" or rng.random() < 0.1:
        ways = (
            [f"\\U{point:08x}"]
            + [f"\\u{point:04x}"] * (point < 0x10000)
            + [f"\\x{point:02x}", f"\\{point:03o}"] * (point < 0x100)
        )
        return rng.choice(ways)
    return char


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


def spell_call(
    rng: random.Random, name: str, arguments: dict[str, Any], key: str = "arguments", *, as_text: bool = False
) -> str:
    value = spell(rng, arguments)
    if as_text:
        value = spell(rng, value)
    parts = [f'"name":{spell(rng, name)}', f'"{key}":{blank(rng)}{value}']
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
