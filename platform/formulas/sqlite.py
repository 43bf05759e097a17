"""SQLite: simple conditions as SQL, everything else by the Python back end inside the database's own process.

SQLite has no decimal type and few functions, but it runs in our process and can call us. So a part that is more than a
condition on bare columns becomes ``ratoon_formula(source, fields, context, values …)``: the formula's own text, how
its columns are stored, and the columns. The answer is then the Python answer by construction.
``register_sqlite_functions`` puts that function into a connection; storage calls it whenever it opens one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import Boolean, Date, Dialect, Integer, Numeric, Text, Time, and_, func, literal, or_, type_coerce
from sqlalchemy.types import TypeDecorator, TypeEngine

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas import closures
from ratoon.platform.formulas.builtin import builtin_functions
from ratoon.platform.formulas.check import Checker
from ratoon.platform.formulas.columns import Choices, ExactDecimal, UtcDateTime
from ratoon.platform.formulas.functions import FunctionSet, Run
from ratoon.platform.formulas.money import read_rates
from ratoon.platform.formulas.numeric import plain, settle
from ratoon.platform.formulas.parse import parse
from ratoon.platform.formulas.sql import Sql, SqlBuilder
from ratoon.platform.formulas.tree import MANY, Apply, Constant, Global, Read, Reference, Typed, relation_of, walk
from ratoon.platform.formulas.types import EvalContext, Name, NoRates, Type

FUNCTION = "ratoon_formula"
LONGEST_LIKE = 1000
"""Characters that are looked for with LIKE, of which SQLite takes 50,000 bytes with everything escaped."""
LOWERED_TO_ASCII = ("\u0130", "\u212a")
"""İ, which is i with a dot in small letters, and the sign for Kelvin."""
RATED = frozenset({"CONVERT", "CURRENCYRATE"})


class DecimalText(TypeDecorator[Decimal]):
    """A computed number on SQLite: its digits as text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        return None if value is None else plain(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(str(value))


RESULTS: Mapping[Type, TypeEngine[Any]] = {
    Type.NUMBER: DecimalText(),
    Type.BOOLEAN: Boolean(),
    Type.DATE: Date(),
    Type.DATETIME: UtcDateTime(),
    Type.TIME: Time(),
    Type.MULTI: Choices(),
}


class SqliteBuilder(SqlBuilder):
    """Expressions for SQLite."""

    dialect = "sqlite"

    def apply(self, node: Apply) -> Sql:
        """The part as a call of ``ratoon_formula``."""
        return self._call(node)

    def read(self, node: Read) -> Sql:
        """A column; numbers that formulas see otherwise than stored go through ``ratoon_formula``."""
        if node.type is Type.BOOLEAN:
            return func.coalesce(self.column(node.key), 0, type_=Boolean())
        if node.type is Type.NUMBER and (node.name.percent or self.blanks == "zero"):
            return self._call(node)
        return self.column(node.key)

    def literal(self, node: Constant) -> Sql:
        """A known value; a number by its digits."""
        if node.type is Type.NUMBER and node.value is not None:
            return literal(node.value, DecimalText())
        return super().literal(node)

    def native_pair(self, left: Read, right: Read) -> bool:
        """True for columns stored alike."""
        if self.blanks == "zero" and left.type is Type.NUMBER:
            return False
        return stored_as(self.column(left.key).type) == stored_as(self.column(right.key).type) and (
            left.name.percent == right.name.percent
        )

    def top(self, node: Typed) -> Sql:
        """A whole formula; a truth is never NULL."""
        node = self.fold(node)
        if node.type is Type.BOOLEAN:
            return func.coalesce(self.value(node), 0, type_=Boolean())
        return self.value(node)

    def compare_values(self, node: Apply, operator: str) -> Sql:
        """Any other comparison is a call."""
        return self._call(node)

    def begins(self, column: Sql, text: str) -> Sql:
        """A range of texts, which an index can answer."""
        after = _next_text(text)
        if after is None:
            return func.substr(column, 1, len(text)) == text
        return and_(column >= literal(text, Text()), column < literal(after, Text()))

    def contains(self, column: Sql, text: str) -> Sql:
        """``instr`` minds capitals; LIKE would not."""
        return func.instr(column, text) > 0

    def contains_lowered(self, node: Apply, column: Sql, text: str) -> Sql | None:
        """LIKE minds no capitals among the ASCII letters, which is all there is to mind if the text has no others.

        Two characters besides have ASCII among their small letters: texts with one of them are worked out.
        """
        plainly = len(text) <= LONGEST_LIKE and all(c.isascii() or c == c.lower() == c.upper() for c in text)
        if not plainly or "\0" in text or text != text.lower():
            return None
        special = column.op("GLOB")(f"*[{''.join(LOWERED_TO_ASCII)}]*")
        return or_(column.contains(text, autoescape=True), and_(special, self._call(node)))

    def _call(self, node: Apply | Read) -> Sql:
        fields: dict[str, list[Any]] = {}
        values: list[Any] = []
        several: dict[str, dict[str, Any]] = {}
        moment: list[str] | None = None
        labelled = any(isinstance(part, Apply) and part.name == "LABEL" for part in walk(node))
        for part in walk(node):
            if isinstance(part, Apply) and part.overload.context:
                moment = moment or [self.context.now.isoformat(), str(self.context.time_zone)]
                if part.name in RATED:
                    moment[2:] = [self.context.rates.as_json()]
            if not isinstance(part, Read | Global) or part.written in fields:
                continue
            relation = relation_of(part.key) if isinstance(part, Read) else None
            if relation is not None:
                several.setdefault(relation, {})[part.written] = part
            elif isinstance(part, Read):
                column = self.column(part.key)
                labels = {v: self.context.words(label) for v, label in (part.name.labels or {}).items()}
                fields[part.written] = [part.type.value, stored_as(column.type), part.name.percent]
                fields[part.written] += [labels] if labels and labelled else []
                values.append(column)
            else:
                fields[part.written] = [part.type.value, "value", part.percent]
                values.append(literal(_store(self._global(part)), Text()))
        for relation, reads in several.items():
            shapes, rows = self._several(relation, list(reads.values()))
            steps = next(iter(reads)).split(".")[: relation.count(".") + 1]
            fields[".".join(steps)] = ["many", shapes]
            values.append(rows)
        spec = orjson.dumps([self.language, self.blanks, list(fields.items())]).decode()
        source = self.source[node.position : node.end]
        call = func.ratoon_formula(source, spec, orjson.dumps(moment).decode(), *values)
        return type_coerce(call, RESULTS.get(node.type, Text()))

    def _several(self, relation: str, reads: Sequence[Read]) -> tuple[list[Any], Sql]:
        """How the related records are stored, and all of them as one JSON text."""
        _, related = self.related(reads)
        with self.inside(relation, related):
            columns = [self.column(read.key) for read in reads]
        shapes = [
            [read.written, read.type.value, stored_as(column.type), read.name.percent]
            for read, column in zip(reads, columns, strict=True)
        ]
        rows = func.json_group_array(func.json_array(*columns), type_=Text())
        return shapes, related.query.with_only_columns(rows).scalar_subquery()

    def _global(self, node: Global) -> Any:
        spaces = {"$user": self.context.user, "$organization": self.context.organization}
        return spaces.get(node.space, self.context.source).get(node.key)


def register_sqlite_functions(dbapi_connection: Any, functions: FunctionSet | None = None) -> None:
    """Makes formulas callable in a new SQLite connection; ``functions`` are those the formulas may use."""
    known = functions or builtin_functions()

    @functools.lru_cache(maxsize=1024)
    def compiled(source: str, spec: str) -> tuple[Run, tuple[tuple[str, Callable[[Any], Any]], ...]]:
        return _compile(source, spec, known)

    @functools.lru_cache(maxsize=64)
    def context_of(moment: str) -> EvalContext:
        parts = orjson.loads(moment)
        if parts is None:
            return EvalContext()
        rates = read_rates(parts[2]) if len(parts) > 2 else NoRates()
        return EvalContext(now=datetime.fromisoformat(parts[0]), time_zone=ZoneInfo(parts[1]), rates=rates)

    def ratoon_formula(source: str, spec: str, moment: str, *values: Any) -> Any:
        run, readers = compiled(source, spec)
        try:
            row = {k: None if v is None else decode(v) for (k, decode), v in zip(readers, values, strict=True)}
            return _store(run(row, context_of(moment)))
        except (FormulaError, ArithmeticError, ValueError):
            return None

    dbapi_connection.create_function(FUNCTION, -1, ratoon_formula, deterministic=True)


def _compile(
    source: str, spec: str, functions: FunctionSet
) -> tuple[Run, tuple[tuple[str, Callable[[Any], Any]], ...]]:
    language, blanks, fields = orjson.loads(spec)
    names: dict[str, Any] = {}
    readers: list[tuple[str, Callable[[Any], Any]]] = []
    for written, (kind, *shape) in fields:
        if kind == "many":
            _level(names, written)[MANY] = True
            relation = written + MANY
            inside = []
            for path, inner, code, percent in shape[0]:
                if path != written:
                    _level(names, path)[""] = (Type(inner), percent)
                inside.append((relation + (path[len(written) :] or ".id"), _decoder(code, Type(inner))))
            readers.append((relation, functools.partial(_rows, tuple(inside))))
        else:
            code, percent, *labels = shape
            _level(names, written)[""] = (Type(kind), percent, *labels)
            readers.append((written, _decoder(code, Type(kind))))
    tree = _RowChecker(_Written(names), functions, language).check(parse(source, language))
    return closures.build(tree, blanks), tuple(readers)


def _level(names: dict[str, Any], written: str) -> dict[str, Any]:
    for step in written.split("."):
        names = names.setdefault(step, {})
    return names


def _rows(inside: Sequence[tuple[str, Callable[[Any], Any]]], value: str) -> list[dict[str, Any]]:
    """Related records out of their JSON text."""
    return [
        {key: None if found is None else decode(found) for (key, decode), found in zip(inside, row, strict=True)}
        for row in orjson.loads(value)
    ]


class _RowChecker(Checker):
    """Here ``$user.id`` comes with the row like any other value."""

    def context_name(self, node: Reference) -> Typed:
        return super().context_name(node) if len(node.steps) == 1 else self.path(node)


class _Written:
    """The names that a part of a formula uses, as they are written in it."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = names

    def name(self, name: str) -> Name | None:
        """What ``name`` means here."""
        found = self._names.get(name.lower())
        if found is None or (MANY in found and "" not in found):
            return None
        kind, percent, *labels = found.get("", (Type.REFERENCE, False))
        target = None if MANY in found else _Written(found)
        return Name(name.lower(), kind, target, percent=percent, labels=labels[0] if labels else None)

    def related(self, name: str) -> Name | None:
        """What ``name`` means as a relationship."""
        found = self._names.get(name.lower())
        if found is None or MANY not in found:
            return None
        return Name(name.lower() + MANY, Type.REFERENCE, _Written(found), many=True)

    def names(self) -> Iterable[str]:
        """Every name."""
        return self._names


def stored_as(kind: TypeEngine[Any]) -> str:
    """How a column type is stored on SQLite, as a word."""
    if isinstance(kind, ExactDecimal):
        return f"decimal {kind.scale}"
    words: tuple[tuple[type[Any], str], ...] = (
        (UtcDateTime, "datetime"), (Choices, "choices"), (Boolean, "boolean"), (Integer, "integer"), (Date, "date"),
        (Time, "time"), (DecimalText, "value"), (Numeric, "value"),
    )  # fmt: skip
    return next((word for cls, word in words if isinstance(kind, cls)), "text")


def _decoder(code: str, kind: Type) -> Callable[[Any], Any]:
    if code.startswith("decimal "):
        return functools.partial(_unscale, -int(code[8:]))
    if code == "value" and kind is not Type.NUMBER:
        code = kind.value
    return DECODERS.get(code, _same)


def _exact(value: Any) -> Decimal:
    return Decimal(str(value))


def _unscale(places: int, value: int) -> Decimal:
    return Decimal(value).scaleb(places)


def _same(value: Any) -> Any:
    return value


DECODERS: Mapping[str, Callable[[Any], Any]] = {
    "choices": lambda value: tuple(value.strip(";").split(";")),
    "integer": Decimal,
    "boolean": bool,
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
    "time": time.fromisoformat,
    "value": _exact,
}
"""What is stored → what formulas see."""


def _store(value: Any) -> Any:
    """A value as SQLite keeps it; an empty text is NULL."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return format(settle(value) if value else abs(value), "f")
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, time):
        return value.isoformat("microseconds")
    if isinstance(value, tuple):
        return ";" + ";".join(value) + ";" if value else None
    return value.isoformat() if isinstance(value, date) else value or None


def _next_text(text: str) -> str | None:
    """The first text after all that begin with ``text``; ``None`` when there is none to name."""
    last = ord(text[-1])
    if last >= 0x10FFFF or 0xD7FF <= last < 0xE000:
        return None
    return text[:-1] + chr(last + 1)
