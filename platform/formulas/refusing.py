"""How the type checker refuses: what was expected and found, and the nearest name there is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from types import MappingProxyType

from ratoon.platform.errors import FormulaError, Text, say
from ratoon.platform.formulas.functions import Function
from ratoon.platform.formulas.types import Type


def nearest(word: str, names: Iterable[str]) -> str:
    """The name most like ``word``, or an empty text."""
    by_lower = {n.lower(): n for n in names}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else ""


_TYPES: MappingProxyType[str, Text] = MappingProxyType(
    {
        "number": say("number"),
        "text": say("text"),
        "boolean": say("boolean"),
        "date": say("date"),
        "datetime": say("datetime"),
        "time": say("time"),
        "picklist": say("picklist"),
        "multipicklist": say("multipicklist"),
        "reference": say("reference"),
        "geolocation": say("geolocation"),
        "blank": say("blank"),
    }
)
"""What the types are called, for people."""


def wrong(position: int, expected: Iterable[str], found: Type) -> FormulaError:
    """The refusal of a part that is of another type than those expected."""
    named = [_TYPES.get(name, name) for name in expected]
    wanted = named[0]
    for name in named[1:]:
        wanted = say("{one} or {other}", one=wanted, other=name)
    return FormulaError(
        "wrong_type", "Expected {expected}, found {found}", position=position, expected=wanted,
        found=_TYPES[found.value],
    )  # fmt: skip


SUGGESTING: MappingProxyType[str, str] = MappingProxyType(
    {
        "There is no {name}": "There is no {name}; did you mean {nearest}?",
        "There is no field {name}": "There is no field {name}; did you mean {nearest}?",
        "There is no function {name}": "There is no function {name}; did you mean {nearest}?",
        "This picklist has no value {name}": "This picklist has no value {name}; did you mean {nearest}?",
    }
)
"""Each refusal of a name, and the same with the nearest one there is."""


def unknown(code: str, message: str, position: int, name: str, hint: str) -> FormulaError:
    """The refusal of a name nobody knows, with the nearest one where there is one."""
    template = SUGGESTING[message] if hint else message
    return FormulaError(code, template, position=position, name=name, nearest=hint)


def arguments(function: Function, found: int, position: int) -> FormulaError:
    """The refusal of a call with too few or too many arguments."""
    return FormulaError(
        "arguments", "{function} takes {expected}, found {found} argument(s)", position=position,
        function=function.name, expected=" or ".join(o.signature for o in function.overloads), found=found,
    )  # fmt: skip
