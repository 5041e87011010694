"""Are these the reference calls? Every reference call exactly once and no other; order is free.

A :class:`Reference` is what a row's answers say, prepared once; :meth:`Reference.judge` compares a completion's calls
with it and, where they differ, says how (most general difference first):

    no_call, unknown_tool, wrong_number_of_calls, wrong_tool, missing_argument, extra_argument, wrong_argument

Three ways to match a value: ``exact``, equality of the decoded JSON (:func:`bounded_json.freeze`); ``accepted``, one of
a set of accepted values, in which ``""`` only means "may be left out"; ``bfcl``, one of them by the laxer rules of the
Berkeley function-calling leaderboard (:mod:`bfcl`), whose data has these sets.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rrr_workers.tasks.base import Verdict
from rrr_workers.tasks.bounded_json import freeze, show
from rrr_workers.tasks.function_calling.bfcl import Parameter
from rrr_workers.tasks.function_calling.tool_calls import Call

PASSED = Verdict(True, "passed")


@dataclass(frozen=True, slots=True)
class ReferenceCall:
    """One call that must be made. ``matches`` judges an argument's value; those in ``optional`` may be left out."""

    name: str
    arguments: Mapping[str, Any]
    optional: frozenset[str]
    matches: Callable[[Any, Any], bool]

    def fits(self, call: Call) -> bool:
        return self.name == call.name and self.difference(call) is None

    def difference(self, call: Call) -> Verdict | None:
        """How a call of the same tool differs, None where it doesn't."""
        wanted, given = self.arguments, call.arguments
        if missing := [key for key in wanted if key not in given and key not in self.optional]:
            return Verdict(False, "missing_argument", f"{show(call.name)}: {show(missing[0])}")
        if extra := [key for key in given if key not in wanted]:
            return Verdict(False, "extra_argument", f"{show(call.name)}: {show(extra[0])}")
        for key, value in given.items():
            if not self.matches(value, wanted[key]):
                return Verdict(False, "wrong_argument", f"{show(call.name)}: {show(key)} is {show(value)}")
        return None


@dataclass(frozen=True, slots=True)
class Reference:
    """The calls of one row. ``frozen`` is their multiset when equality decides, None for accepted sets."""

    calls: tuple[ReferenceCall, ...]
    frozen: Counter[Any] | None
    in_order: bool = False

    @classmethod
    def exact(cls, calls: Sequence[Call]) -> "Reference":
        return cls(
            tuple(ReferenceCall(call.name, call.arguments, frozenset(), _equal) for call in calls),
            Counter(map(_freeze_call, calls)),
        )

    @classmethod
    def accepted(cls, calls: Sequence[tuple[str, Mapping[str, list[Any]]]]) -> "Reference":
        return cls(
            tuple(
                ReferenceCall(name, arguments, frozenset(key for key in arguments if "" in arguments[key]), _accepted)
                for name, arguments in calls
            ),
            None,
        )

    @classmethod
    def bfcl(cls, calls: Sequence[tuple[str, Mapping[str, Parameter]]]) -> "Reference":
        """Each reference takes the first call that fits it, as BFCL's checker does, even where another needs it."""
        return cls(
            tuple(
                ReferenceCall(name, parameters, _may_be_left_out(parameters), _passes_in_bfcl)
                for name, parameters in calls
            ),
            None,
            in_order=True,
        )

    def judge(self, calls: Sequence[Call], offered: Callable[[], Collection[str]]) -> Verdict:
        """The verdict on ``calls``; ``offered`` gives the names of the tools, and is called only when needed."""
        if not calls:
            return Verdict(False, "no_call")
        if self.frozen is not None and len(calls) == len(self.calls) and self._equals(calls):
            return PASSED
        names = Counter(call.name for call in self.calls)
        if strange := [call.name for call in calls if call.name not in names]:
            tools = offered()
            if unknown := [name for name in strange if name not in tools]:
                return Verdict(False, "unknown_tool", show(unknown[0]))
        if len(calls) != len(self.calls):
            return Verdict(False, "wrong_number_of_calls", f"{len(calls)} instead of {len(self.calls)}")
        if names != Counter(call.name for call in calls):
            return Verdict(False, "wrong_tool", ", ".join(show(call.name) for call in calls[:4]))
        return self._first_difference(calls)

    def _equals(self, calls: Sequence[Call]) -> bool:
        if len(calls) == 1:
            return _freeze_call(calls[0]) in self.frozen  # type: ignore[operator]  # the caller checked for None
        return Counter(map(_freeze_call, calls)) == self.frozen

    def _first_difference(self, calls: Sequence[Call]) -> Verdict:
        """Pair the calls off; the first one left, against the first reference of its tool left."""
        partner = (_pair_in_order if self.in_order else _pair)(calls, self.calls)
        left = [reference for index, reference in enumerate(self.calls) if index not in partner]
        matched = set(partner.values())
        for index, call in enumerate(calls):
            if index not in matched:
                difference = next(reference for reference in left if reference.name == call.name).difference(call)
                if difference is None:
                    raise AssertionError("a call was left although it fits a reference that was left")
                return difference
        return PASSED


def _pair(calls: Sequence[Call], references: Sequence[ReferenceCall]) -> dict[int, int]:
    """A largest pairing {reference: call} of calls that fit (augmenting paths: accepted sets may overlap)."""
    fits = [[r for r, reference in enumerate(references) if reference.fits(call)] for call in calls]
    partner: dict[int, int] = {}

    def place(call: int, seen: set[int]) -> bool:
        for reference in fits[call]:
            if reference not in seen:
                seen.add(reference)
                if reference not in partner or place(partner[reference], seen):
                    partner[reference] = call
                    return True
        return False

    for call in range(len(calls)):
        place(call, set())
    return partner


def _pair_in_order(calls: Sequence[Call], references: Sequence[ReferenceCall]) -> dict[int, int]:
    """A pairing {reference: call} in which every reference took the first call left that fits it."""
    partner: dict[int, int] = {}
    left = list(range(len(calls)))
    for index, reference in enumerate(references):
        if (found := next((call for call in left if reference.fits(calls[call])), None)) is not None:
            partner[index] = found
            left.remove(found)
    return partner


def _may_be_left_out(parameters: Mapping[str, Parameter]) -> frozenset[str]:
    return frozenset(key for key, parameter in parameters.items() if parameter.may_be_left_out)


def _passes_in_bfcl(value: Any, parameter: Parameter) -> bool:
    return parameter.accepts(value)


def _freeze_call(call: Call) -> Any:
    return (call.name, freeze(call.arguments))


def _equal(value: Any, wanted: Any) -> bool:
    if type(value) is str:
        return bool(value == wanted)
    return bool(freeze(value) == freeze(wanted))


def _accepted(value: Any, alternatives: list[Any]) -> bool:
    """``""`` among the alternatives is no value: it says that there may be none."""
    return any(_is_alternative(value, alternative) for alternative in alternatives if alternative != "")


def _is_alternative(value: Any, alternative: Any) -> bool:
    """Objects in an accepted set hold accepted sets themselves, lists are compared item by item."""
    if isinstance(alternative, dict):
        return (
            isinstance(value, dict)
            and all(key in alternative and _accepted(item, alternative[key]) for key, item in value.items())
            and all(key in value or "" in alternative[key] for key in alternative)
        )
    if isinstance(alternative, list):
        return (
            isinstance(value, list) and len(value) == len(alternative) and all(map(_is_alternative, value, alternative))
        )
    return _equal(value, alternative)
