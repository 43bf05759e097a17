"""Formulas from JSON: types by name, values read and written, one case evaluated on any back end.

This is what ``ratoon formula`` and the conformance tests run. A case is a mapping ``{"id", "formula", "dialect",
"blanks", "fields": {name: {"type", "scale"?, "formula"?}}, "record": {name: value}, "returns"}``.
A field with a formula of its own is computed when it is read. Numbers are JSON strings (exact), percents in percent
units, dates ``2026-11-21``, moments ``2026-11-21T08:00:00Z``, times ``08:00:00.000``, a blank is ``null``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any

import orjson
from sqlalchemy import Connection, Numeric, Select, bindparam, cast, create_engine, event, literal, select, type_coerce
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.columns import Choices, ExactDecimal, UtcDateTime
from ratoon.platform.formulas.formula import Formula, compile_formula
from ratoon.platform.formulas.functions import FunctionSet
from ratoon.platform.formulas.scopes import Names, dotted
from ratoon.platform.formulas.sql import SQL_TYPES, Sql
from ratoon.platform.formulas.sqlite import DecimalText, register_sqlite_functions
from ratoon.platform.formulas.tree import MANY
from ratoon.platform.formulas.types import EvalContext, Name, Type

_NUMBERS = (
    "number",
    "double",
    "integer",
    "int",
    "long",
    "decimal",
    "currency",
    "percent",
    "duration",
    "rollup",
    "autonumber",
)
TYPE_NAMES: Mapping[str, Type] = MappingProxyType(
    {
        **dict.fromkeys(_NUMBERS, Type.NUMBER),
        **dict.fromkeys(("boolean", "checkbox", "bool"), Type.BOOLEAN),
        **dict.fromkeys(("date", "dateonly"), Type.DATE),
        "datetime": Type.DATETIME,
        **dict.fromkeys(("time", "timeonly"), Type.TIME),
        **dict.fromkeys(("picklist", "stage"), Type.PICKLIST),
        **dict.fromkeys(("multipicklist", "multi"), Type.MULTI),
        **dict.fromkeys(("lookup", "reference", "id", "user", "master_detail", "hierarchy"), Type.REFERENCE),
        **dict.fromkeys(("null", "blank"), Type.BLANK),
    }
)
"""Field types and plain type names → formula types; every other name is a text."""


class BadCase(ValueError):
    """A case that is not written as it should be; the text says what is wrong."""


def type_named(word: str) -> Type:
    """The formula type of a field type's name."""
    return TYPE_NAMES.get(word.lower().replace("_", ""), TYPE_NAMES.get(word.lower(), Type.TEXT))


def read_value(value: Any, kind: Type) -> Any:
    """A JSON value as a formula sees it. Raises ``BadCase``."""
    if value is None or value == "":
        return None
    try:
        return _read(value, kind)
    except (ValueError, TypeError, InvalidOperation):
        raise BadCase(f"{value!r} is not a {kind.value}") from None


def _read(value: Any, kind: Type) -> Any:
    if kind is Type.NUMBER:
        return Decimal(str(value).strip())
    if kind is Type.BOOLEAN:
        return value if isinstance(value, bool) else str(value).strip().lower() in ("true", "1")
    if kind is Type.DATE:
        return date.fromisoformat(str(value)[:10])
    if kind is Type.DATETIME:
        moment = datetime.fromisoformat(str(value))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if kind is Type.TIME:
        return time.fromisoformat(str(value))
    if kind is Type.MULTI:
        return tuple(value) if isinstance(value, list) else tuple(str(value).split(";"))
    return str(value)


def write_value(value: Any, *, percent: bool = False) -> Any:
    """A value as JSON."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Decimal | int):
        number = Decimal(value) * 100 if percent else Decimal(value)
        return format(number if number else abs(number), "f")
    if isinstance(value, datetime):
        text = value.astimezone(UTC).isoformat(timespec="milliseconds" if value.microsecond else "seconds")
        return text.replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        return value.isoformat("milliseconds")
    return [write_value(v) for v in value] if isinstance(value, tuple) else value


class Shape:
    """What cases with the same formula and fields share: the scope and the compiled formulas."""

    def __init__(self, case: Mapping[str, Any], functions: FunctionSet | None = None) -> None:
        self.source = case.get("formula")
        if not isinstance(self.source, str):
            raise BadCase("a case needs a formula")
        self.fields: Mapping[str, Mapping[str, Any]] = case.get("fields") or {}
        self.dialect: Any = case.get("dialect") or "native"
        self.blanks: Any = case.get("blanks") or "blank"
        if self.dialect not in ("native", "salesforce"):
            raise BadCase(f"dialect is native or salesforce, not {self.dialect}")
        if self.blanks not in ("zero", "blank"):
            raise BadCase(f"blanks is zero or blank, not {self.blanks}")
        self.kinds = {name: type_named(str(spec.get("type") or "text")) for name, spec in self.fields.items()}
        self.percent = str(case.get("returns") or "").lower() == "percent"
        self._functions = functions
        self._scope = dotted({name: self._name(name) for name in self.fields})
        self._compiled: dict[str, Formula] = {}
        self.statements: dict[Any, Select[Any]] = {}
        """Statements that were built, by database, context and column types."""

    def _name(self, name: str) -> Name:
        percent = str(self.fields[name].get("type")).lower() == "percent" and not self.own(name)
        return Name(name, self.kinds[name], percent=percent)

    def own(self, name: str) -> str | None:
        """The formula of a formula field; ``None`` for a stored one."""
        return self.fields[name].get("formula")

    def compiled(self, source: str) -> Formula:
        """A formula in this scope. Raises ``FormulaError``."""
        if source not in self._compiled:
            self._compiled[source] = compile_formula(
                source, self._scope, dialect=self.dialect, blanks=self.blanks, functions=self._functions
            )
        return self._compiled[source]


class Case:
    """One case: a shape and a record."""

    def __init__(self, shape: Shape, record: Mapping[str, Any]) -> None:
        self.shape = shape
        self.record = {name: read_value(record.get(name), kind) for name, kind in shape.kinds.items()}
        self._open: list[str] = []

    @contextmanager
    def nested(self, name: str) -> Iterator[Formula | None]:
        """The compiled formula of a formula field while it is worked out. Raises ``FormulaError`` for a circle."""
        source = self.shape.own(name)
        if source is None:
            yield None
            return
        if name in self._open:
            raise FormulaError("circle", "The formula of {field} needs itself", field=name)
        self._open.append(name)
        try:
            yield self.shape.compiled(source)
        finally:
            self._open.pop()

    def row(self, context: EvalContext) -> Mapping[str, Any]:
        """The record; formula fields are computed when they are read."""
        return _Row(self, context)

    def evaluate(self, context: EvalContext) -> Any:
        """The value in Python. Raises ``FormulaError``."""
        return self.shape.compiled(str(self.shape.source)).evaluate(_Row(self, context), context)

    def query(self, connection: Connection, context: EvalContext) -> Any:
        """The value that the database gives. Raises ``FormulaError`` for what does not compile to SQL."""
        dialect = connection.dialect.name
        stored = {name: kind for name, kind in self.shape.kinds.items() if not self.shape.own(name)}
        types = {name: _column_type(self.record[name], kind, dialect) for name, kind in stored.items()}
        key = (dialect, id(context), tuple(map(_type_key, types.values())))
        if key not in self.shape.statements:
            self.shape.statements[key] = self._statement(types, context, dialect)
        value = connection.execute(self.shape.statements[key], {n: self.record[n] for n in types}).scalar()
        return value if value != "" else None

    def _statement(self, types: Mapping[str, TypeEngine[Any]], context: EvalContext, dialect: str) -> Select[Any]:
        typed = cast if dialect == "postgresql" else type_coerce  # a cast would change the value on SQLite
        values = [typed(bindparam(name, type_=kind), kind).label(name) for name, kind in types.items()]
        rows = select(*(values or [literal(1).label("one")])).offset(0).subquery("record")

        def column(key: str) -> Sql:
            with self.nested(key) as own:
                return rows.c[key] if own is None else own.sql_value(column, context, dialect)

        formula = self.shape.compiled(str(self.shape.source))
        return select(formula.sql_value(column, context, dialect)).select_from(rows)


class _Row(dict[str, Any]):
    """The record; formula fields are computed when they are read."""

    def __init__(self, case: Case, context: EvalContext) -> None:
        super().__init__({k: v for k, v in case.record.items() if not case.shape.own(k)})
        self._case = case
        self._context = context

    def __missing__(self, key: str) -> Any:
        with self._case.nested(key) as own:
            if own is None:
                raise KeyError(key)
            self[key] = own.evaluate(self, self._context)
        return self[key]

    def get(self, key: str, default: Any = None) -> Any:
        """The value; computed when it is a formula field's."""
        return self[key] if key in self._case.shape.fields else default


@contextmanager
def open_connection(url: str) -> Iterator[Connection]:
    """A connection for ``Case.query``; every statement stands for itself."""
    if url.startswith(("postgresql://", "postgres://")):
        url = "postgresql+psycopg://" + url.split("://", 1)[1]
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, record: register_sqlite_functions(connection))
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def run_batch(
    cases: Iterable[Mapping[str, Any]], context: EvalContext, connection: Connection | None
) -> Iterator[Mapping[str, Any]]:
    """For each case ``{"id", "value"}`` or ``{"id", "error"}``; in Python, or in the database of the connection."""
    shapes: dict[bytes, Shape] = {}
    for case in cases:
        try:
            key = orjson.dumps([case.get(k) for k in ("formula", "dialect", "blanks", "fields", "returns")])
            if key not in shapes:
                shapes[key] = Shape(case)
            made = Case(shapes[key], case.get("record") or {})
            value = made.evaluate(context) if connection is None else made.query(connection, context)
            yield {"id": case.get("id"), "value": write_value(value, percent=shapes[key].percent)}
        except FormulaError as error:
            yield {"id": case.get("id"), "error": error_json(error)}
        except BadCase as error:
            yield {"id": case.get("id"), "error": {"code": "bad_case", "message": str(error), "position": None}}
        except DBAPIError as error:
            yield {"id": case.get("id"), "error": {"code": "database", "message": str(error.orig), "position": None}}


def _column_type(value: Any, kind: Type, dialect: str) -> TypeEngine[Any]:
    """The type of a column that would keep the value."""
    if kind is Type.NUMBER:
        scale = max(0, -int(value.as_tuple().exponent)) if value is not None else 2
        if dialect == "postgresql":
            return Numeric()
        if value is not None and abs(value.scaleb(scale)) >= 2**63:
            return DecimalText()
        return ExactDecimal(max(18, scale + 6), scale)
    if kind is Type.MULTI:
        return Choices()
    return UtcDateTime() if kind is Type.DATETIME else SQL_TYPES[kind]


def _type_key(kind: TypeEngine[Any]) -> tuple[str, Any]:
    return type(kind).__name__, getattr(kind, "scale", None)


def error_json(error: FormulaError) -> Mapping[str, Any]:
    """A refusal as JSON."""
    return {"code": error.error_code, "message": str(error), "position": error.position}


def infer_fields(record: Mapping[str, Any]) -> dict[str, Name]:
    """Names and types out of a JSON record alone: numbers, texts that look like numbers or dates, records inside, and
    lists of records, which are related records (``SUM(lines.price)``)."""
    names = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            names[key] = Name(key, Type.REFERENCE, Names(infer_fields(value)))
        elif _related(value):
            names[key] = Name(key + MANY, Type.REFERENCE, Names(infer_fields(_merged(value))), many=True)
        else:
            names[key] = Name(key, infer_type(value))
    return names


def _related(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(one, Mapping) for one in value)


def _merged(records: Iterable[Any]) -> dict[str, Any]:
    """Every key of some records with a value one of them has."""
    found: dict[str, Any] = {}
    for record in records:
        if not isinstance(record, Mapping):
            raise BadCase(f"{record!r} is not a record")
        for key, value in record.items():
            if found.get(key) is None:
                found[key] = value
    return found


def infer_type(value: Any) -> Type:
    """The type that a JSON value most likely has."""
    if value is None:
        return Type.BLANK
    if isinstance(value, bool):
        return Type.BOOLEAN
    if isinstance(value, int | float | Decimal):
        return Type.NUMBER
    if isinstance(value, list):
        return Type.MULTI
    for kind in (Type.NUMBER, Type.DATE, Type.DATETIME):
        try:
            if kind is not Type.DATE or len(value) == 10:
                _read(value, kind)
                return kind
        except (ValueError, TypeError, InvalidOperation):
            continue
    return Type.TEXT


def flatten(record: Mapping[str, Any], names: Mapping[str, Name], prefix: str = "") -> dict[str, Any]:
    """A JSON record with records inside → the flat row that formulas read."""
    row: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            inner = names[key].target
            assert isinstance(inner, Names)
            row[prefix + key] = value.get("id", key)
            row.update(flatten(value, infer_fields(value), f"{prefix}{key}."))
        elif _related(value):
            relation, inside = prefix + names[key].key, infer_fields(_merged(value))
            row[relation] = [
                {f"{relation}.id": str(at), **flatten(one, inside, f"{relation}.")} for at, one in enumerate(value)
            ]
        else:
            row[prefix + key] = read_value(value, names[key].type)
    return row
