"""Logic: IF, CASE, AND, OR, NOT, blanks, errors, and what changed.

Logic has three values. A comparison with a blank number or date is blank (unknown), AND and OR reckon with it as SQL
does, and IF, rules and filters take only *true* for true.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.functions import Run, define
from ratoon.platform.formulas.tree import Constant, Read, Typed
from ratoon.platform.formulas.types import Type


def both(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
    """AND: false as soon as one is false, blank when none is false and one is blank."""
    if len(args) == 2:
        left, right = args

        def two(row: Any, context: Any) -> bool | None:
            first = left(row, context)
            if first is False:
                return False
            second = right(row, context)
            if second is False:
                return False
            return True if first and second else None

        return two
    parts = tuple(args)

    def many(row: Any, context: Any) -> bool | None:
        result: bool | None = True
        for part in parts:
            value = part(row, context)
            if value is False:
                return False
            if value is None:
                result = None
        return result

    return many


def either(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
    """OR: true as soon as one is true, blank when none is true and one is blank."""
    parts = tuple(args)

    def many(row: Any, context: Any) -> bool | None:
        result: bool | None = False
        for part in parts:
            value = part(row, context)
            if value:
                return True
            if value is None:
                result = None
        return result

    return many


def negate(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
    """NOT: blank stays blank."""
    (only,) = args

    def run(row: Any, context: Any) -> bool | None:
        value = only(row, context)
        return None if value is None else not value

    return run


def _if(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
    test, yes, no = args if len(args) == 3 else (*args, _blank)
    if isinstance(nodes[0], Read) and nodes[0].type is Type.BOOLEAN:
        key = nodes[0].key

        def by_key(row: Any, context: Any) -> Any:
            return yes(row, context) if row.get(key) is True else no(row, context)

        return by_key

    def run(row: Any, context: Any) -> Any:
        return yes(row, context) if test(row, context) else no(row, context)

    return run


def _ifs(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
    pairs = tuple(zip(args[0:-1:2], args[1::2], strict=False))
    default = args[-1] if len(args) % 2 else _blank

    def run(row: Any, context: Any) -> Any:
        for test, value in pairs:
            if test(row, context):
                return value(row, context)
        return default(row, context)

    return run


def _case(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
    subject, default = args[0], args[-1]
    if all(isinstance(n, Constant) for n in nodes[1:-1:2]):
        table: dict[Any, Run] = {}
        for node, value in zip(nodes[1:-1:2], args[2:-1:2], strict=True):
            if isinstance(node, Constant) and node.value not in (None, ""):
                table.setdefault(node.value, value)
        find = table.get

        def lookup(row: Any, context: Any) -> Any:
            value = subject(row, context)
            return default(row, context) if value is None else find(value, default)(row, context)

        return lookup
    pairs = tuple(zip(args[1:-1:2], args[2:-1:2], strict=True))

    def run(row: Any, context: Any) -> Any:
        value = subject(row, context)
        if value is not None and value != "":
            for when, result in pairs:
                if value == when(row, context):
                    return result(row, context)
        return default(row, context)

    return run


def _is_blank(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
    (only,) = args

    def run(row: Any, context: Any) -> bool:
        value = only(row, context)
        return value is None or value == ""

    return run


def _is_null(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
    if nodes[0].type in (Type.TEXT, Type.PICKLIST):  # a text is never null, only empty
        return lambda row, context: False
    return _is_blank(args, nodes)


def _blank_value(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
    first, second = args

    def run(row: Any, context: Any) -> Any:
        value = first(row, context)
        return second(row, context) if value is None or value == "" else value

    return run


def _null_value(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
    return args[0] if nodes[0].type in (Type.TEXT, Type.PICKLIST) else _blank_value(args, nodes)


def _if_error(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
    first, second = args

    def run(row: Any, context: Any) -> Any:
        try:
            return first(row, context)
        except (FormulaError, ArithmeticError, ValueError):
            return second(row, context)

    return run


def _blank(row: Any, context: Any) -> None:
    return None


def _is_new(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
    return lambda row, context: context.old is None


def _key(node: Typed) -> str:
    assert isinstance(node, Read)  # the checker has seen to it
    return node.key


def _is_changed(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
    key = _key(nodes[0])

    def plain(value: Any) -> Any:  # an empty text, no choices and an unticked box are blank; zero is not
        return None if value is False or value == "" or value == () else value

    def run(row: Any, context: Any) -> bool:
        return context.old is not None and bool(plain(row.get(key)) != plain(context.old.get(key)))

    return run


def _prior_value(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
    current = args[0]

    def run(row: Any, context: Any) -> Any:
        return current(row if context.old is None else context.old, context)

    return run


FUNCTIONS = (
    define(
        "IF",
        "test: boolean, then: T, else: T?",
        "T",
        build=_if,
        strict=False,
        group="Logic",
        doc="The second value when the test is true, otherwise the third (blank when left out).",
        examples=[('IF(2 > 1, "yes", "no")', "yes"), ('IF(1 > NULL, "yes", "no")', "no")],
    ),
    define(
        "IFS",
        "test: boolean, then: T, more: any*",
        "T",
        build=_ifs,
        strict=False,
        group="Logic",
        doc="Pairs of test and value: the value of the first test that is true; a last single value is the else.",
        examples=[('IFS(FALSE, "a", TRUE, "b", "c")', "b")],
    ),
    define(
        "CASE",
        "subject: any, when: any, then: T, more: any*",
        "T",
        build=_case,
        strict=False,
        group="Logic",
        doc="Compares the subject with each following value and gives the result beside it; the last argument is the "
        "result when none fits. A blank subject always takes the last.",
        examples=[('CASE(2, 1, "one", 2, "two", "many")', "two"), ('CASE("", "", "empty", "else")', "else")],
    ),
    define(
        "AND",
        "boolean, more: boolean*",
        "boolean",
        build=both,
        strict=False,
        group="Logic",
        doc="True when every argument is true.",
        examples=[("AND(TRUE, 2 > 1)", True), ("AND(TRUE, FALSE)", False)],
    ),
    define(
        "OR",
        "boolean, more: boolean*",
        "boolean",
        build=either,
        strict=False,
        group="Logic",
        doc="True when at least one argument is true.",
        examples=[("OR(FALSE, 2 > 1)", True)],
    ),
    define(
        "XOR",
        "boolean, other: boolean",
        "boolean",
        lambda first, second: first is not second,
        group="Logic",
        doc="True when exactly one of the two is true.",
        examples=[("XOR(TRUE, FALSE)", True), ("XOR(TRUE, TRUE)", False)],
    ),
    define(
        "NOT",
        "boolean",
        "boolean",
        build=negate,
        strict=False,
        group="Logic",
        doc="True when the argument is false. What is unknown stays unknown.",
        examples=[("NOT(FALSE)", True), ('IF(NOT(NULL), "yes", "no")', "no")],
    ),
    define(
        "ISBLANK",
        "any",
        "boolean",
        build=_is_blank,
        strict=False,
        group="Logic",
        doc="True when there is no value (an empty text is no value).",
        examples=[('ISBLANK("")', True), ("ISBLANK(0)", False)],
    ),
    define(
        "ISNULL",
        "any",
        "boolean",
        build=_is_null,
        strict=False,
        group="Logic",
        doc="Like ISBLANK, but a text is never null. Prefer ISBLANK.",
        examples=[('ISNULL("")', False), ("ISNULL(NULL)", True)],
    ),
    define(
        "BLANKVALUE",
        "value: T, instead: T",
        "T",
        build=_blank_value,
        strict=False,
        group="Logic",
        doc="The value, or the second argument when it is blank.",
        examples=[('BLANKVALUE("", "none")', "none")],
    ),
    define(
        "NULLVALUE",
        "value: T, instead: T",
        "T",
        build=_null_value,
        strict=False,
        group="Logic",
        doc="Like BLANKVALUE, but a text is never null. Prefer BLANKVALUE.",
        examples=[("NULLVALUE(NULL, 3)", "3"), ('NULLVALUE("", "none")', None)],
    ),
    define(
        "IFERROR",
        "value: T, instead: T",
        "T",
        build=_if_error,
        strict=False,
        group="Logic",
        doc="The value, or the second argument when computing it fails.",
        examples=[("IFERROR(1 / 0, -1)", "-1")],
    ),
    define(
        "ISNEW",
        "",
        "boolean",
        build=_is_new,
        strict=False,
        group="Change",
        doc="True while a record is being created.",
        examples=[("ISNEW()", True)],
    ),
    define(
        "ISCHANGED",
        "field",
        "boolean",
        build=_is_changed,
        strict=False,
        group="Change",
        doc="True when the change being saved gives the field another value.",
        examples=[],
    ),
    define(
        "PRIORVALUE",
        "field: T",
        "T",
        build=_prior_value,
        strict=False,
        group="Change",
        doc="The field's value before the change being saved; for a new record its present value.",
        examples=[],
    ),
)
