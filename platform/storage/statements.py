"""Statements that are compiled once and then run straight on the driver.

SQLAlchemy writes the SQL and knows how each column type travels; for a statement that runs thousands of times a second
that work is done once. A ``Statement`` keeps the SQL text, the order of its parameters with their converters, and the
columns with their decoders, and hands rows out as plain dicts. It must be used inside ``Database.write()`` or
``Database.read()``, which turn the driver's errors into the product's.

Lists of values travel as *one* parameter (a JSON array on SQLite, an array on PostgreSQL), so that a statement's text
does not depend on how many there are: see ``one_of``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from operator import itemgetter
from types import MappingProxyType
from typing import Any

import orjson
from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    Boolean,
    ColumnElement,
    Connection,
    Date,
    Dialect,
    Integer,
    Numeric,
    String,
    Text,
    any_,
    bindparam,
    column,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.sql.expression import Executable, Select
from sqlalchemy.sql.visitors import replacement_traverse
from sqlalchemy.types import TypeDecorator, TypeEngine

from ratoon.platform.formulas.columns import ExactDecimal, Id, UtcDateTime
from ratoon.platform.storage.database import executor

Row = dict[str, Any]
Convert = Callable[[Any], Any]
NUMERIC_OID = 1700
EMPTY: Mapping[str, Any] = MappingProxyType({})


def sql_dialect(name: str) -> Dialect:
    """A SQLAlchemy dialect for compiling, with positional parameters; ``name`` is ``sqlite`` or ``postgresql``."""
    if name == "sqlite":
        return SQLiteDialect_pysqlite(paramstyle="qmark")
    dialect = PGDialect_psycopg(paramstyle="format")
    dialect._backslash_escapes = False
    return dialect


def encoder(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    """How a Python value of this column type is handed to the driver; ``None`` = as it is."""
    if isinstance(kind, (Id, Boolean)):
        return None
    if dialect.name == "postgresql" and isinstance(kind, (UtcDateTime, ExactDecimal)):
        return None
    if isinstance(kind, UtcDateTime):
        return _moment_text
    if isinstance(kind, Date) and dialect.name == "sqlite":
        return _day_text
    if isinstance(kind, ExactDecimal):
        return _scaled(kind.scale)
    processor: Convert | None = kind.dialect_impl(dialect).bind_processor(dialect)
    if isinstance(kind, ListArray) and processor is not None:
        return partial(_array, processor)
    return processor


def _array(processor: Convert, value: Any) -> Any:
    return value.written if isinstance(value, Texts) else processor(value)


def decoder(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    """How what the driver returns becomes the Python value; ``None`` = as it is. Never called with ``None``."""
    if isinstance(kind, Id) or (dialect.name == "postgresql" and isinstance(kind, (UtcDateTime, ExactDecimal))):
        return None
    if isinstance(kind, UtcDateTime):
        return datetime.fromisoformat
    if isinstance(kind, ExactDecimal):
        return _unscaled(kind.scale)
    impl = kind.dialect_impl(dialect)
    inner = impl.impl_instance if isinstance(impl, TypeDecorator) else impl
    return impl.result_processor(dialect, NUMERIC_OID if isinstance(inner, Numeric) else None)


def _moment_text(value: datetime | None) -> str | None:
    if value is None:
        return None
    m = value if value.tzinfo is UTC else value.astimezone(UTC)
    # Half of what ``isoformat`` takes, which asks the time zone for the offset that is known here.
    parts = (m.year, m.month, m.day, m.hour, m.minute, m.second, m.microsecond)
    return "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ" % parts  # noqa: UP031 (an f-string takes longer)


def _day_text(value: date | None) -> str | None:
    return None if value is None else date.isoformat(value)


def _scaled(scale: int) -> Convert:
    unit = Decimal(10**scale)

    def encode(value: Decimal | int | None) -> int | None:
        return None if value is None else int((value * unit).to_integral_value())

    return encode


def _unscaled(scale: int) -> Convert:
    return Decimal(1).scaleb(-scale).__mul__


class Texts(list[str]):
    """Texts that know how PostgreSQL writes them as an array: the driver would write each of them at every run."""

    def __init__(self, values: Iterable[str]) -> None:
        super().__init__(values)
        quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in self)
        self.written = "{" + ",".join(f'"{value}"' for value in quoted) + "}"


class JsonArray(TypeDecorator[Any]):
    """SQLite only: a list of values of one column type as one JSON text, read back by ``json_each``."""

    impl = Text
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def process_bind_param(self, value: Iterable[Any] | None, dialect: Dialect) -> str:
        convert = encoder(self.item, dialect)
        items = list(value or ())
        return orjson.dumps([convert(v) for v in items] if convert else items).decode()


class JsonTuples(TypeDecorator[Any]):
    """SQLite only: a list of tuples of values as one JSON text."""

    impl = Text
    cache_ok = False

    def __init__(self, items: Sequence[TypeEngine[Any]]) -> None:
        super().__init__()
        self.items = tuple(items)

    def process_bind_param(self, value: Iterable[Sequence[Any]] | None, dialect: Dialect) -> str:
        converts = [encoder(item, dialect) for item in self.items]
        return orjson.dumps(
            [[c(v) if c else v for c, v in zip(converts, values, strict=True)] for values in value or ()]
        ).decode()


class ListArray(TypeDecorator[Any]):
    """PostgreSQL only: a list of values of one column type as an array."""

    impl = ARRAY(Text)
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(ARRAY(self.item))

    def process_bind_param(self, value: Iterable[Any] | None, dialect: Dialect) -> list[Any]:
        return list(value or ())


def one_of(of: ColumnElement[Any], name: str, dialect: str) -> ColumnElement[bool]:
    """``of`` is one of the values in the parameter ``name`` (any number of them, no ``None`` among them)."""
    if dialect == "sqlite":
        values = bindparam(name, type_=JsonArray(of.type))
        return of.in_(select(func.json_each(values).table_valued("value").c.value))
    return of == any_(bindparam(name, type_=ListArray(of.type)))


def among(of: ColumnElement[Any], name: str, dialect: str, single: bool) -> ColumnElement[bool]:
    """The same for a set of which is known whether it has a ``single`` value; the parameter is ``only_or_all`` of it.

    Most sets have. PostgreSQL would plan anew at every run for an array: it cannot know that it is that short.
    """
    return of == parameter(name, of.type) if single else one_of(of, name, dialect)


def only_or_all(values: Collection[Any]) -> Any:
    """The value of a set that has just one, otherwise the set: what ``among`` takes."""
    return next(iter(values)) if len(values) == 1 else values


def same_as_one(of: ColumnElement[Any], values: Sequence[Any], dialect: str) -> ColumnElement[bool]:
    """``of`` is one of these values: like ``one_of``, with the values bound. Without values it is never true."""
    if dialect == "sqlite":
        given = bindparam(None, list(values), type_=JsonArray(of.type), unique=True)
        return of.in_(select(func.json_each(given).table_valued("value").c.value))
    given_values = Texts(values) if isinstance(of.type, String) else list(values)
    return of == any_(bindparam(None, given_values, type_=ListArray(of.type), unique=True))


def array_in_text(values: Iterable[str]) -> ColumnElement[Any]:
    """These texts as an array that is part of the statement's text: each set of them is a statement of its own."""
    written = Texts(values).written.replace("'", "''")
    return literal_column(f"'{written}'::text[]", ARRAY(Text))


def values_in_text(condition: ColumnElement[bool], dialect: str) -> ColumnElement[bool]:
    """The condition of a rule that is always the same with its texts and whole numbers as part of the statement's text.

    PostgreSQL then plans it once, knowing the values; it would plan anew at every run for values that it is given.
    Other values, and conditions on SQLite, which plans once anyhow, stay as they are.
    """
    if dialect != "postgresql":
        return condition

    def written(element: Any, **_: Any) -> ColumnElement[Any] | None:
        found = _in_text(element) if isinstance(element, BindParameter) and not element.required else None
        return None if found is None else literal_column(found, element.type)

    return replacement_traverse(condition, {}, written)


def _in_text(bind: BindParameter[Any]) -> str | None:
    """A bound value as PostgreSQL reads it, of the type that the parameter would have."""
    kind, value = bind.type, bind.value
    if isinstance(kind, String) and type(value) is str:
        quoted = value.replace("'", "''")
        return f"'{quoted}'::text" + (f' COLLATE "{kind.collation}"' if kind.collation else "")
    if isinstance(kind, Integer) and type(value) is int:
        return f"({value})::" + ("bigint" if isinstance(kind, BigInteger) else "integer")
    if type(kind) is Numeric and kind.precision is None and type(value) in (int, Decimal):
        return f"({value:f})::numeric"
    return None


def parameter(name: str, kind: TypeEngine[Any] | None = None) -> BindParameter[Any]:
    """A value that is given when the statement runs."""
    return bindparam(name, type_=kind, required=True)


def same_tuple(columns: Sequence[ColumnElement[Any]], dialect: str) -> Select[Any]:
    """The given tuples of values of these columns as a subquery.

    SQLite takes them as the parameter ``tuples``; PostgreSQL column by column as ``tuples_0``, ``tuples_1`` …
    """
    if dialect == "sqlite":
        given = func.json_each(bindparam("tuples", type_=JsonTuples([c.type for c in columns]))).table_valued("value")
        return select(*(func.json_extract(given.c.value, literal_column(f"'$[{at}]'")) for at in range(len(columns))))
    lists = [bindparam(f"tuples_{at}", type_=ListArray(c.type)) for at, c in enumerate(columns)]
    names = [column(f"c{at}", c.type) for at, c in enumerate(columns)]
    return select(*func.unnest(*lists).table_valued(*names).render_derived(name="given").c)


class Statement:
    """One statement, ready for the driver."""

    def __init__(
        self,
        sql: str,
        places: Sequence[tuple[str, Convert | None]],
        columns: Sequence[tuple[str, Convert | None]] = (),
        bound: Mapping[str, Any] = EMPTY,
    ) -> None:
        self.sql = sql
        """Text with positional places."""
        self.places = tuple(places)
        """Parameter name and encoder, in order."""
        self.bound = bound
        """Values that the statement brings itself, by parameter name."""
        self.keys: tuple[str, ...] = tuple(str(key) for key, _ in columns)
        """Names of the columns it returns, as plain texts: orjson takes no other keys."""
        names = [name for name, _ in self.places]
        self._values: Callable[[Mapping[str, Any]], Sequence[Any]] = (
            itemgetter(*names) if len(names) > 1 else lambda given: [given[name] for name in names]
        )
        self._encode_at = tuple((at, convert) for at, (_, convert) in enumerate(self.places) if convert is not None)
        self._decode = tuple((str(key), convert) for key, convert in columns if convert is not None)
        self._decode_at = tuple((at, convert) for at, (_, convert) in enumerate(columns) if convert is not None)

    @classmethod
    def compile(cls, statement: Executable, dialect: Dialect) -> Statement:
        """Compiles a SQLAlchemy statement. Values that it binds itself are kept in ``bound``."""
        return cls.compile_named(statement, dialect)[0]

    @classmethod
    def compile_named(
        cls, statement: Executable, dialect: Dialect
    ) -> tuple[Statement, Mapping[BindParameter[Any], str]]:
        """The same, with the parameter name of each bound value."""
        compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        given = compiled.construct_params(_check=False)
        types = {name: bind.type for name, bind in compiled.binds.items()}
        encoders = {name: encoder(kind, dialect) for name, kind in types.items()}
        sql, names = compiled.string, compiled.positiontup or ()
        if compiled.post_compile_params:
            expanded = compiled._process_parameters_for_postcompile(given)
            sql, names = expanded.statement, expanded.positiontup
            given = {**given, **expanded.additional_parameters}
            encoders.update(expanded.processors)
        open_names = {name for name, bind in compiled.binds.items() if bind.required}
        places = [(name, encoders.get(name)) for name in names]
        columns = [(c.key, decoder(c.type, dialect)) for c in getattr(statement, "selected_columns", ())]
        made = cls(sql, places, columns, {name: given[name] for name in names if name not in open_names})
        return made, compiled.bind_names

    def params(self, given: Mapping[str, Any]) -> Sequence[Any]:
        """The positional parameters for these values; what the statement itself bound is filled in."""
        if self.bound:
            given = {**self.bound, **given}
        if not self._encode_at:
            return self._values(given)
        values = list(self._values(given))
        for at, convert in self._encode_at:
            values[at] = convert(values[at])
        return values

    def many_params(self, rows: Iterable[Mapping[str, Any]]) -> list[Sequence[Any]]:
        """The positional parameters of many rows, worked out column by column."""
        given: list[Any] = [self.params(row) for row in rows] if self.bound else list(map(self._values, rows))
        if self.bound or not self._encode_at:
            return given
        columns: list[Any] = list(zip(*given, strict=True))
        for at, convert in self._encode_at:
            values, first = columns[at], columns[at][0]
            if all(value is first for value in values):  # who, when, a blank column
                columns[at] = [convert(first)] * len(values)
            else:
                columns[at] = list(map(convert, values))
        return list(zip(*columns, strict=True))

    def rows(self, connection: Connection, **given: Any) -> list[Row]:
        """The rows as dicts."""
        keys = self.keys
        return [dict(zip(keys, values, strict=True)) for values in self.tuples(connection, **given)]

    def written_rows(self, connection: Connection, **given: Any) -> list[Row]:
        """The rows as dicts for whoever only writes them out: exact numbers may be their texts instead of decimals."""
        keys = self.keys
        found = executor(connection, written=True).execute(self.sql, self.params(given)).fetchall()
        return [dict(zip(keys, values, strict=True)) for values in self._decoded(found)]

    def tuples(self, connection: Connection, **given: Any) -> list[tuple[Any, ...]]:
        """The rows as tuples."""
        return self._decoded(executor(connection).execute(self.sql, self.params(given)).fetchall())

    def _decoded(self, found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        if not self._decode_at or not found:
            return found
        columns = list(zip(*found, strict=True))
        for place, convert in self._decode_at:
            values = columns[place]
            if None in values:
                columns[place] = tuple([None if value is None else convert(value) for value in values])
            else:
                columns[place] = tuple(map(convert, values))
        return list(zip(*columns, strict=True))

    def first_column(self, connection: Connection, **given: Any) -> list[Any]:
        """The first column of every row."""
        found = executor(connection).execute(self.sql, self.params(given)).fetchall()
        if self._decode_at and self._decode_at[0][0] == 0:
            convert = self._decode_at[0][1]
            return [None if row[0] is None else convert(row[0]) for row in found]
        return [row[0] for row in found]

    def run(self, connection: Connection, **given: Any) -> int:
        """Runs it once and returns how many rows it touched."""
        count: int = executor(connection).execute(self.sql, self.params(given)).rowcount
        return count

    def run_many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Runs it once per row of parameters and returns how many rows were touched in all."""
        if not rows:
            return 0
        if len(rows) == 1:
            count: int = executor(connection).execute(self.sql, self.params(rows[0])).rowcount
            return count
        on = executor(connection)
        done = on.executemany(self.sql, self.many_params(rows))
        total: int = (on if done is None else done).rowcount
        return total
