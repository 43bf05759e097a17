"""What type an applied function gives: that of its overload, or one that its arguments decide together.

``IF``, ``CASE`` and their like answer with the type that all their results share; ``SPECIAL`` has those that look at
more than types, such as whether a picklist has the value that a formula compares it with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.functions import Overload
from ratoon.platform.formulas.refusing import nearest, unknown, wrong
from ratoon.platform.formulas.tree import Constant, Node, Read, Typed
from ratoon.platform.formulas.types import Type

TEXTUAL = frozenset({Type.TEXT, Type.PICKLIST, Type.REFERENCE})


def unify(left: Type, right: Type) -> Type | None:
    """The type of a value that is one or the other; ``None`` when they do not go together."""
    if left is right or right is Type.BLANK:
        return left
    if left is Type.BLANK:
        return right
    return Type.TEXT if left in TEXTUAL and right in TEXTUAL else None


def fits(found: Type, wanted: frozenset[Type]) -> bool:
    """True when a value of type ``found`` may stand where one of ``wanted`` is expected."""
    return found in wanted or found is Type.BLANK


def result_type(overload: Overload, args: Sequence[Typed]) -> Type:
    """The type of an overload's answer; where it returns ``T``, the one that all arguments of that type share."""
    together: Type | None = None
    for index, arg in enumerate(args):
        if overload.param(index).spec == "T":
            together = _same(together, arg)
    if overload.returns == "T":
        return together or Type.BLANK
    return Type(overload.returns)


def _same(together: Type | None, arg: Typed) -> Type:
    if together is None:
        return arg.type
    joined = unify(together, arg.type)
    if joined is None:
        raise wrong(arg.position, [together.value], arg.type)
    return joined


def _case_type(overload: Overload, args: Sequence[Typed], node: Node) -> Type:
    if len(args) < 4 or len(args) % 2:
        raise FormulaError(
            "arguments", "CASE takes a subject, pairs of value and result, and a last result", position=node.position
        )
    subject = args[0].type
    for when in args[1:-1:2]:
        subject = _same(subject, when)
        check_choice(args[0], when)
    together: Type | None = None
    for result in (*args[2:-1:2], args[-1]):
        together = _same(together, result)
    return together or Type.BLANK


def _ifs_type(overload: Overload, args: Sequence[Typed], node: Node) -> Type:
    values = [*args[1::2], *([args[-1]] if len(args) % 2 else [])]
    for test in args[0:-1:2]:
        if not fits(test.type, frozenset({Type.BOOLEAN})):
            raise wrong(test.position, ["boolean"], test.type)
    together: Type | None = None
    for value in values:
        together = _same(together, value)
    return together or Type.BLANK


def check_choice(subject: Typed, value: Typed) -> None:
    """Refuses a value that the picklist does not have."""
    if not (isinstance(subject, Read) and subject.name.values is not None and isinstance(value, Constant)):
        return
    if subject.type not in (Type.PICKLIST, Type.MULTI) or not value.value or value.value in subject.name.values:
        return
    hint = nearest(str(value.value), subject.name.values)
    raise unknown("unknown_value", "This picklist has no value {name}", value.position, str(value.value), hint)


def _choice(overload: Overload, args: Sequence[Typed], node: Node) -> Type:
    check_choice(args[0], args[1])
    return Type.BOOLEAN


def _compare(overload: Overload, args: Sequence[Typed], node: Node) -> Type:
    check_choice(args[0], args[1])
    check_choice(args[1], args[0])
    return Type.BOOLEAN


def _field(overload: Overload, args: Sequence[Typed], node: Node) -> Type:
    argument = args[0]
    if not isinstance(argument, Read) or "." in argument.key:
        raise FormulaError(
            "not_a_field", "{function} needs a field of this record", position=argument.position, function=overload.name
        )
    return Type.BOOLEAN if overload.returns == "boolean" else argument.type


SPECIAL: MappingProxyType[str, Callable[[Overload, Sequence[Typed], Node], Type]] = MappingProxyType(
    {
        "CASE": _case_type,
        "IFS": _ifs_type,
        "ISPICKVAL": _choice,
        "INCLUDES": _choice,
        "=": _compare,
        "<>": _compare,
        "ISCHANGED": _field,
        "PRIORVALUE": _field,
    }
)
