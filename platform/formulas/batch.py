"""Formulas from JSON: types by name, values read and written, one case evaluated on any back end.

This is what ``ratoon formula`` and the conformance tests run. A case is a mapping ``{"id", "formula", "dialect",
"blanks", "fields": {name: {"type", "scale"?, "formula"?}}, "record": {name: value}, "returns"}``.
A field with a formula of its own is computed when it is read. Numbers are JSON strings (exact), percents in percent
units, dates ``2026-11-21``, moments ``2026-11-21T08:00:00Z``, times ``08:00:00.000``, a blank is ``null``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Numeric, cast, literal, null, select
from sqlalchemy.types import TypeEngine

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.columns import Choices, ExactDecimal, UtcDateTime
from ratoon.platform.formulas.formula import Formula, compile_formula
from ratoon.platform.formulas.functions import FunctionSet
from ratoon.platform.formulas.scopes import Names
from ratoon.platform.formulas.sql import SQL_TYPES, Sql
from ratoon.platform.formulas.sqlite import RESULTS, DecimalText
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


class Case:
    """One case, its names resolved and its formulas compiled when needed."""

    def __init__(self, case: Mapping[str, Any], functions: FunctionSet | None = None) -> None:
        if not isinstance(case.get("formula"), str):
            raise BadCase("a case needs a formula")
        self.fields: Mapping[str, Mapping[str, Any]] = case.get("fields") or {}
        self._options: dict[str, Any] = {
            "dialect": case.get("dialect") or "native",
            "blanks": case.get("blanks") or "blank",
            "functions": functions,
        }
        if self._options["dialect"] not in ("native", "salesforce"):
            raise BadCase(f"dialect is native or salesforce, not {self._options['dialect']}")
        if self._options["blanks"] not in ("zero", "blank"):
            raise BadCase(f"blanks is zero or blank, not {self._options['blanks']}")
        self.kinds = {name: type_named(spec["type"]) for name, spec in self.fields.items()}
        self.percent = str(case.get("returns") or "").lower() == "percent"
        record = case.get("record") or {}
        self.record = {name: read_value(record.get(name), kind) for name, kind in self.kinds.items()}
        self.scope = Names(
            {
                name: Name(name, kind, percent=self.fields[name]["type"].lower() == "percent" and not self._own(name))
                for name, kind in self.kinds.items()
            }
        )
        self._compiled: dict[str, Formula] = {}
        self._open: list[str] = []
        self.source: str = case["formula"]

    def _own(self, name: str) -> str | None:
        return self.fields[name].get("formula")

    def formula(self) -> Formula:
        """The compiled formula of the case."""
        return compile_formula(self.source, self.scope, **self._options)

    def nested(self, name: str) -> Formula | None:
        """The compiled formula of a formula field; ``None`` for a stored one. Raises ``FormulaError`` for a circle."""
        source = self._own(name)
        if source is None:
            return None
        if name in self._open:
            raise FormulaError("circle", "The formula of {name} needs itself", name=name)
        if name not in self._compiled:
            self._compiled[name] = compile_formula(source, self.scope, **self._options)
        return self._compiled[name]

    def evaluate(self, context: EvalContext) -> Any:
        """The value in Python. Raises ``FormulaError``."""
        return self.formula().evaluate(_Row(self, context), context)

    def query(self, connection: Connection, context: EvalContext) -> Any:
        """The value that the database gives. Raises ``FormulaError`` for what does not compile to SQL."""
        dialect = connection.dialect.name
        stored = {
            name: _bound(self.record[name], kind, dialect) for name, kind in self.kinds.items() if not self._own(name)
        }
        labels = [value.label(name) for name, value in stored.items()] or [literal(1).label("one")]
        rows = select(*labels).offset(0).subquery("record")

        def column(key: str) -> Sql:
            own = self.nested(key)
            if own is None:
                return rows.c[key]
            self._open.append(key)
            try:
                return own.sql_value(column, context, dialect)
            finally:
                self._open.pop()

        formula = self.formula()
        expression = formula.sql_value(column, context, dialect)
        kind = (RESULTS if dialect == "sqlite" else SQL_TYPES).get(formula.type)
        value = connection.execute(select(expression).select_from(rows)).scalar()
        return _decoded(value, kind, connection)


def _decoded(value: Any, kind: TypeEngine[Any] | None, connection: Connection) -> Any:
    if isinstance(value, str) and isinstance(kind, DecimalText):
        return Decimal(value)
    return value if value != "" else None


class _Row(dict[str, Any]):
    """The record; formula fields are computed when they are read."""

    def __init__(self, case: Case, context: EvalContext) -> None:
        super().__init__({k: v for k, v in case.record.items() if not case.fields[k].get("formula")})
        self._case = case
        self._context = context

    def __missing__(self, key: str) -> Any:
        own = self._case.nested(key)
        if own is None:
            raise KeyError(key)
        self._case._open.append(key)
        try:
            self[key] = own.evaluate(self, self._context)
        finally:
            self._case._open.pop()
        return self[key]

    def get(self, key: str, default: Any = None) -> Any:
        """The value; computed when it is a formula field's."""
        return self[key] if key in self or self._case.fields.get(key) else default


def _bound(value: Any, kind: Type, dialect: str) -> Sql:
    """A value as a column would keep it."""
    column: TypeEngine[Any] = SQL_TYPES[kind]
    if kind is Type.NUMBER:
        scale = max(0, -int(value.as_tuple().exponent)) if value is not None else 2
        precision = max(18, scale + 6)
        column = ExactDecimal(precision, scale)
        if dialect == "sqlite" and value is not None and abs(value.scaleb(scale)) >= 2**63:
            column = DecimalText()
        elif dialect == "postgresql":
            column = Numeric()
    elif kind is Type.MULTI:
        column = Choices()
    elif kind is Type.DATETIME:
        column = UtcDateTime()
    if value is None:
        return cast(null(), column)
    return literal(value, column)


def error_json(error: FormulaError) -> Mapping[str, Any]:
    """A refusal as JSON."""
    return {"code": error.error_code, "message": str(error), "position": error.position}


def infer_fields(record: Mapping[str, Any], prefix: str = "") -> dict[str, Name]:
    """Names and types out of a JSON record alone: numbers, texts that look like numbers or dates, records inside."""
    names = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            names[key] = Name(key, Type.REFERENCE, Names(infer_fields(value)))
        else:
            names[key] = Name(key, infer_type(value))
    return names


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
        else:
            row[prefix + key] = read_value(value, names[key].type)
    return row
