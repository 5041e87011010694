"""The published rules of the Berkeley function-calling leaderboard (BFCL) for one argument, so that numbers compare.

After ``ast_checker.py`` of bfcl-eval 2026.3.23, Python categories, oddities included:

* A value must have the type that the tool declares, or that of the first accepted value. An integer will do for a
  float, but 5.0 is no integer, and 1 no float within a list. ``any`` means text.
* Text is compared without case, blanks and ``, . / - _ * ^``, and ``'`` is ``"``: also the items of a list and the
  values of an object, but not what lies deeper. Everything else is compared as Python's ``==`` does.
* ``""`` among accepted values says that the argument may be left out, unless the tool requires it, and accepts an empty
  text or list as well.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

_IGNORED = str.maketrans("", "", " ,./-_*^")
_TYPES: dict[str, type] = {
    **dict.fromkeys(("str", "string", "any"), str),
    **dict.fromkeys(("int", "integer"), int),
    **dict.fromkeys(("float", "number"), float),
    **dict.fromkeys(("bool", "boolean"), bool),
    **dict.fromkeys(("list", "array", "tuple", "set"), list),
    **dict.fromkeys(("dict", "object"), dict),
}


class Parameter:
    """The values that one parameter accepts, and the types that its tool declares (None: none that BFCL knows)."""

    def __init__(self, accepted: Sequence[Any], declared: str | None, items: str | None, *, required: bool):
        self.may_be_left_out = "" in accepted and not required
        self._accepted = [_plain(value) for value in accepted]
        self._first_type = _first_type(self._accepted)
        self._type = _TYPES.get(declared or "", self._first_type)
        self._item_type = _TYPES.get(items or "") if self._type is list else None
        #: Whether the accepted values aren't of the declared type: they are then compared as they are.
        self._other_type = self._first_type not in (None, self._type)

    def accepts(self, given: Any) -> bool:
        """Whether BFCL's checker would let ``given``, a decoded value, pass."""
        value = _plain(given)
        if self._type is float and type(value) is int:
            value = _as_float(value)
        kind = type(value)
        if kind is not self._type:
            return kind is self._first_type and value in self._accepted
        if self._item_type is not None and not any(self._has_items_for(value, each) for each in self._accepted):
            return False
        if not self._other_type:
            if self._type is str:
                return any(type(each) is str and _standard(each) == _standard(value) for each in self._accepted)
            if self._type is dict:
                return any(_is_object(value, each) for each in self._accepted)
            if self._type is list:
                return any(self._is_list(value, each) for each in self._accepted)
        return value in self._accepted

    def _has_items_for(self, value: list[Any], alternative: Any) -> bool:
        """Whether the items of ``value`` have the declared type, or that of the first of ``alternative``."""
        if type(alternative) is not list:
            return True
        types = (self._item_type, _first_type(alternative))
        return all(type(item) in types for item in value)

    def _is_list(self, value: list[Any], alternative: Any) -> bool:
        if type(alternative) not in (list, str) or len(alternative) != len(value):
            return False
        pairs = zip(value, alternative, strict=True)
        if self._item_type is dict:
            return all(_is_object(item, each) for item, each in pairs)
        return all(_standard(item) == _standard(each) for item, each in pairs)


def _is_object(value: Any, alternative: Any) -> bool:
    """Each key of an alternative has accepted values of its own."""
    if type(value) is not dict or type(alternative) is not dict:
        return False
    return all(
        key in alternative and any(_standard(item) == _standard(each) for each in alternative[key])
        for key, item in value.items()
    ) and all(key in value or "" in options for key, options in alternative.items())


def _standard(value: Any) -> Any:
    return value.translate(_IGNORED).lower().replace("'", '"') if type(value) is str else value


def _first_type(values: Sequence[Any]) -> type | None:
    return next((type(value) for value in values if value != ""), None)


def _plain(value: Any) -> Any:
    """A decoded value with floats in place of decimals."""
    if type(value) is Decimal:
        return float(value)
    if type(value) is list:
        return [_plain(item) for item in value]
    if type(value) is dict:
        return {key: _plain(item) for key, item in value.items()}
    return value


def _as_float(value: int) -> float | int:
    try:
        return float(value)
    except OverflowError:
        return value


def parameters_of_calls(
    calls: Sequence[tuple[str, Mapping[str, list[Any]]]], types: Mapping[str, Mapping[str, Sequence[Any]]]
) -> list[tuple[str, dict[str, Parameter]]]:
    """(tool, parameter -> what it accepts) for ``calls``, each a (tool, parameter -> accepted values).

    ``types``: tool -> parameter -> (its type, that of its items, whether it must be given). A parameter that its tool
    doesn't declare accepts nothing.
    """
    made = []
    for name, arguments in calls:
        declared = types.get(name)
        parameters = {}
        for key, accepted in arguments.items():
            if declared is None or key in declared:
                kind, items, required = declared[key] if declared is not None else (None, None, False)
                parameters[key] = Parameter(accepted, kind, items, required=required)
            elif "" not in accepted:
                parameters[key] = Parameter((), None, None, required=True)
        made.append((name, parameters))
    return made
