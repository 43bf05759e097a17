"""PostgreSQL: every built-in function and operator as an SQL expression.

The forms of functions are in ``postgresql_forms.py`` (one entry per overload); here is what needs the tree: logic,
branches, comparison, errors. An expression never raises for what is an error in Python: ``fails(node)`` says when that
would be, and whatever could hide such an error (ISBLANK, IF …) becomes NULL then.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from sqlalchemy import (
    Boolean,
    Date,
    Numeric,
    String,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    null,
    or_,
    type_coerce,
)
from sqlalchemy.types import Integer

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.bare_conditions import FLIPPED, compare
from ratoon.platform.formulas.closures import SETTLED, inexact
from ratoon.platform.formulas.columns import Choices, ExactDecimal, Id
from ratoon.platform.formulas.dates import today, zone_named
from ratoon.platform.formulas.patterns import for_postgresql
from ratoon.platform.formulas.picklists import labels_under
from ratoon.platform.formulas.postgresql_aggregates import aggregate, aggregate_fails
from ratoon.platform.formulas.postgresql_forms import FAILURES, FORMS
from ratoon.platform.formulas.postgresql_numbers import rate_of
from ratoon.platform.formulas.postgresql_refusal import AGGREGATES, BRANCHES, HIDING, RATED, ZONED
from ratoon.platform.formulas.sql import SQL_TYPES, TEXTUAL, Sql, SqlBuilder
from ratoon.platform.formulas.tree import Apply, Constant, Read, Typed
from ratoon.platform.formulas.types import Type


class PostgresBuilder(SqlBuilder):
    """Expressions for PostgreSQL."""

    dialect = "postgresql"
    _inside_guard = False

    def read(self, node: Read) -> Sql:
        """The column as formulas see it."""
        column = self.column(node.key)
        if node.type is Type.BOOLEAN:
            return func.coalesce(column, false(), type_=Boolean())
        if node.type is Type.NUMBER:
            if isinstance(column.type, Integer):
                column = cast(column, Numeric())
            if node.name.percent:
                column = column * literal(Decimal("0.01"), Numeric())
            if self.blanks == "zero":
                column = func.coalesce(column, literal(Decimal(0), Numeric()), type_=Numeric())
        elif isinstance(column.type, Id):
            column = cast(column, Text())
        return column

    def native_pair(self, left: Read, right: Read) -> bool:
        """True for columns of one kind that formulas see as stored."""
        if left.type is Type.NUMBER:
            return self.blanks == "blank" and left.name.percent == right.name.percent
        first, second = self.column(left.key).type, self.column(right.key).type
        if isinstance(first, Id) or isinstance(second, Id):
            return isinstance(first, Id) and isinstance(second, Id)
        return left.type is right.type or (left.type in TEXTUAL and right.type in TEXTUAL)

    def begins(self, column: Sql, text: str) -> Sql:
        """LIKE with the text in front."""
        return column.startswith(text, autoescape=True)

    def contains(self, column: Sql, text: str) -> Sql:
        """``strpos`` minds capitals and knows no wildcards."""
        return func.strpos(column, literal(text, Text())) > 0

    def part(self, node: Typed) -> Sql:
        """The value of a part, its number settled when it is inexact."""
        value = self.value(node)
        return func.round(value, 32, type_=Numeric()) if inexact(node) else value

    def top(self, node: Typed) -> Sql:
        """A whole formula; a truth is never NULL."""
        if node.type is Type.BOOLEAN:
            return func.coalesce(self._logic_value(node), false(), type_=Boolean())
        return type_coerce(self.part(node), Choices()) if node.type is Type.MULTI else self.part(node)

    def apply(self, node: Apply) -> Sql:
        """Branches, comparisons, and the forms of functions."""
        form = node.overload.form
        if form in AGGREGATES:
            return aggregate(self, node, form)
        if form in BRANCHES:
            return self._guarded(node, lambda: self._branch(node, form))
        if form in ("compare", "compare_text"):
            return self.compare_values(node, node.name)
        if form in HIDING:
            return self._guarded(node, lambda: self._condition(node, form))
        if node.overload.sql is not None:
            return node.overload.sql([self.value(a) for a in node.args], "postgresql")
        if form == "LABEL":
            return self._label(node)
        if form in ZONED:
            zone = self._zone(node)
            return cast(null(), SQL_TYPES[node.type]) if zone is None else FORMS[ZONED[form]](
                literal(zone, String()), self.value(node.args[0])
            )  # fmt: skip
        if form in RATED:
            return self._rated(node, form)
        if form == "REGEX":
            return self._guarded(node, lambda: self._regex(node))
        if form == "DISTANCE":
            return FORMS[form](*self._place(node.args[0]), *self._place(node.args[1]), self.value(node.args[2]))
        args = self._arguments(node)
        if form in NEEDS_ZONE:
            return FORMS[form](literal(str(self.context.time_zone), String()), *args)
        return FORMS[form](*args)

    def _arguments(self, node: Apply) -> list[Sql]:
        """The values of the arguments; a bare NULL in the type of its parameter."""
        get = self.part if node.name in SETTLED else self.value
        args = []
        alike = next((a.type for a in node.args if a.type is not Type.BLANK), Type.TEXT)
        for index, arg in enumerate(node.args):
            types = node.overload.param(index).types
            kind = next(iter(types)) if len(types) == 1 else Type.TEXT
            kind = alike if node.overload.param(index).spec == "T" else kind
            args.append(cast(null(), SQL_TYPES[kind]) if arg.type is Type.BLANK else get(arg))
        return args

    def _zone(self, node: Apply) -> str | None:
        """The time zone that is named; ``None`` for a blank or unknown one."""
        named = self.fold(node.args[1])
        assert isinstance(named, Constant)  # refusal() has seen to it
        try:
            return zone_named(named.value).key if named.value else None
        except FormulaError:
            return None

    def _label(self, node: Apply) -> Sql:
        value = self.value(node.args[0])
        labels = labels_under(node.args[0])
        known = [(value == option, literal(self.context.words(label), Text())) for option, label in labels.items()]
        return case(*known, else_=value) if known else value

    def _rated(self, node: Apply, form: str) -> Sql:
        """CONVERT and CURRENCYRATE; NULL where a rate is missing."""
        args = self._arguments(node)
        day = args[-1] if len(args) in (2, 4) else literal(today(self.context), Date())
        rates = literal(self.context.rates.as_json(), Text())
        if form == "CURRENCYRATE":
            return rate_of(args[0], day, rates)
        amount, source, target = args[:3]
        converted = FORMS["divide"](amount * rate_of(source, day, rates), rate_of(target, day, rates))
        whole = converted if len(args) == 3 else case((day.is_not(None), converted), else_=null())
        same = func.upper(source) == func.upper(target)
        return case((and_(same, day.is_not(None)), amount), else_=whole)

    def _regex(self, node: Apply) -> Sql:
        pattern = self.fold(node.args[1])
        assert isinstance(pattern, Constant)  # refusal() has seen to it
        written = for_postgresql(pattern.value or "") or ""
        return func.coalesce(self.value(node.args[0]), "").op("~", is_comparison=True)(literal(written, Text()))

    def _place(self, node: Typed) -> tuple[Sql, Sql]:
        node = self.fold(node)
        if isinstance(node, Constant):
            latitude, longitude = node.value or (None, None)
            return tuple(  # type: ignore[return-value]
                self.literal(Constant(0, 0, Type.NUMBER, v)) for v in (latitude, longitude)
            )
        assert isinstance(node, Apply)
        return self.value(node.args[0]), self.value(node.args[1])

    def compare_values(self, node: Apply, operator: str) -> Sql:
        """Two values of one type; blank when one is blank."""
        multiplied = self._multiplied(node.args[0], operator, node.args[1])
        if multiplied is None:
            multiplied = self._multiplied(node.args[1], FLIPPED[operator], node.args[0])
        if multiplied is not None:
            return multiplied
        left, right = self.part(node.args[0]), self.part(node.args[1])
        if node.overload.form == "compare_text":
            left, right = (func.nullif(v, "", type_=Text()).collate("C") for v in (left, right))
        return compare(left, operator, right)

    def _multiplied(self, quotient: Typed, operator: str, other: Typed) -> Sql | None:
        """``a / b > c`` as ``a > c * b`` (turned round where b is negative): the same answer without dividing.

        Quotients count with 32 decimals. With as many digits as ``b`` can have here, what is not equal differs by more
        than that; ``None`` when that is not known.
        """
        if not isinstance(quotient, Apply) or quotient.overload.form != "divide":
            return None
        dividend, divisor = quotient.args
        parts = (dividend, divisor, other)
        if any(inexact(part) or part.scale is None or part.type is not Type.NUMBER for part in parts):
            return None
        digits = self._digits(self.fold(divisor))
        if digits is None or digits + (dividend.scale or 0) + (divisor.scale or 0) + (other.scale or 0) > 31:
            return None
        left, by = self.value(dividend), self.value(divisor)
        right = self.value(other) * by
        return case((by > 0, compare(left, operator, right)), (by < 0, compare(right, operator, left)), else_=null())

    def _digits(self, node: Typed) -> int | None:
        """How many digits before the point a column's values can have; ``None`` when it is more than a column."""
        if not isinstance(node, Read):
            return None
        kind = self.column(node.key).type
        if isinstance(kind, ExactDecimal):
            return kind.precision - kind.scale
        return 19 if isinstance(kind, Integer) else None

    def _condition(self, node: Apply, form: str) -> Sql:
        args = self._arguments(node)
        match form:
            case "ISBLANK":
                return _blank(args[0], node.args[0])
            case "ISNULL":
                return false() if node.args[0].type in (Type.TEXT, Type.PICKLIST) else args[0].is_(None)
            case "same_text" | "ISPICKVAL" | "EXACT":
                same = _text(args[0]) == _text(args[1])
                return func.coalesce(~same if node.name == "<>" else same, false(), type_=Boolean())
            case "IN":
                equal = or_(*[args[0] == option for option in args[1:]])
                present = ~_blank(args[0], node.args[0])
                return and_(present, func.coalesce(equal, false(), type_=Boolean()))
        return FORMS[form](*args)

    def _branch(self, node: Apply, form: str) -> Sql:
        if form == "IFERROR":
            failed = self.fails(node.args[0])
            first = self._result(node.args[0], node)
            return first if failed is None else case((failed, self._result(node.args[1], node)), else_=first)
        whens, default = self._whens(node)
        other = cast(null(), SQL_TYPES[node.type]) if default is None else self._result(default, node)
        return case(*[(test, self._result(part, node)) for test, part in whens], else_=other) if whens else other

    def _whens(self, node: Apply) -> tuple[list[tuple[Sql, Typed]], Typed | None]:
        """The conditions of a branching function with the argument each leads to, and the argument for the rest."""
        args = node.args
        match node.overload.form:
            case "IF":
                return [(self.truth(args[0]), args[1])], args[2] if len(args) > 2 else None
            case "IFS":
                pairs = zip(args[0:-1:2], args[1::2], strict=False)
                return [(self.truth(test), part) for test, part in pairs], args[-1] if len(args) % 2 else None
            case "BLANKVALUE":
                return [(_blank(self._result(args[0], node), args[0]), args[1])], args[0]
            case "NULLVALUE":
                textual = args[0].type in (Type.TEXT, Type.PICKLIST)
                return [] if textual else [(self._result(args[0], node).is_(None), args[1])], args[0]
        subject = self.part(args[0])
        whens: list[tuple[Sql, Typed]] = []
        for when, part in zip(args[1:-1:2], args[2:-1:2], strict=True):
            test = subject == self.part(when)
            whens.append((and_(test, subject != "") if args[0].type in TEXTUAL else test, part))
        return whens, args[-1]

    def _result(self, part: Typed, node: Apply) -> Sql:
        """A branch's value in the type of the whole."""
        if part.type is Type.BLANK:
            return cast(null(), SQL_TYPES[node.type])
        return self.value(part)

    # --- errors

    def _guarded(self, node: Apply, build: Callable[[], Sql]) -> Sql:
        """NULL where Python would raise: a failed part must not pass for a blank one. The outermost guard is enough."""
        if self._inside_guard:
            return build()
        self._inside_guard = True
        try:
            failed = self.fails(node)
            expression = build()
        finally:
            self._inside_guard = False
        return expression if failed is None else case((failed, null()), else_=expression)

    def fails(self, node: Typed) -> Sql | None:
        """True when computing the part fails in Python; ``None`` when it cannot fail."""
        node = self.fold(node)
        if not isinstance(node, Apply):
            return None
        form = node.overload.form
        if form in AGGREGATES:
            return aggregate_fails(self, node)
        if form == "IFERROR":
            return self.fails(node.args[1])
        if form in BRANCHES:
            return self._branches_fail(node)
        if form in ("AND", "OR"):
            return self._logic_fails(node, form)
        reasons = [reason for a in node.args if (reason := self.fails(a)) is not None]
        own = FAILURES.get(form)
        if form in ZONED and self._zone(node) is None:
            reasons.append(and_(*[a.is_not(None) for a in self._arguments(node)]))
        if form in RATED:
            present = [a.is_not(None) for a in self._arguments(node)]
            reasons.append(and_(*present, self._rated(node, form).is_(None)))
        if own is not None:
            reasons.append(func.coalesce(own(*self._arguments(node)), false(), type_=Boolean()))
        return or_(*reasons) if reasons else None

    def _branches_fail(self, node: Apply) -> Sql | None:
        """A branch that is not taken cannot fail."""
        count = {"IF": 1, "BLANKVALUE": 1, "NULLVALUE": 1}.get(node.overload.form)
        tested = node.args[:count] if count else (*node.args[0:1], *node.args[1:-1:2])
        if node.overload.form == "IFS":
            tested = node.args[0:-1:2]
        failing = {id(part): reason for part in node.args if (reason := self.fails(part)) is not None}
        reasons = [failing[id(part)] for part in tested if id(part) in failing]
        if failing:
            whens, default = self._whens(node)
            fails = [(test, failing.get(id(part), false())) for test, part in whens]
            other = failing.get(id(default), false())
            reasons.append(case(*fails, else_=other) if fails else other)
        return or_(*reasons) if reasons else None

    def _logic_fails(self, node: Apply, form: str) -> Sql | None:
        """What stands behind the part that decides is not computed."""
        reasons = []
        undecided: list[Sql] = []
        for part in node.args:
            reason = self.fails(part)
            if reason is not None:
                reasons.append(and_(*undecided, reason))
            decided = self.falsity(part) if form == "AND" else self.truth(part)
            undecided.append(~func.coalesce(decided, false(), type_=Boolean()))
        return or_(*reasons) if reasons else None


NEEDS_ZONE = frozenset({"DATEVALUE_DATETIME", "TIMEVALUE_DATETIME", "DATETIMEVALUE_DATE"})


def _text(value: Sql) -> Sql:
    return func.coalesce(value, "", type_=Text())


def _blank(value: Sql, node: Typed) -> Sql:
    if node.type is Type.TEXT:
        return or_(value.is_(None), value == "")
    return value.is_(None)
