"""The yardstick: a fixed-schema application written by hand for one object, as fast as we know how.

Flask, SQLAlchemy Core and orjson, nothing generic: the columns, checks and statements of ``deal`` are spelled out here.
Every statement is built once. Values travel in the form in which JSON wants them wherever the database allows it:
decimals are integers of their last digit on SQLite and text out of NUMERIC on PostgreSQL, so both stay exact; moments
are text on SQLite. Writes answer with ``RETURNING``. A caller is looked up by the SHA-256 of its token and remembered
for a second, as in the product.

It speaks the same paths and shapes as the product's API, as far as the benchmark goes; a filter is a plain
``?status=open`` because a hand-written application needs no formula language.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
import psycopg
import uuid_utils
from flask import Flask, Response, request
from psycopg.types.string import TextLoader
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Index,
    MetaData,
    Table,
    Text,
    bindparam,
    create_engine,
    event,
    insert,
    select,
    tuple_,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.pool import QueuePool
from sqlalchemy.types import TypeDecorator, UserDefinedType

JSON = "application/json"
FRESH_SECONDS = 1.0


class Plain(UserDefinedType[Any]):
    """A column whose values pass SQLAlchemy untouched."""

    cache_ok = True

    def __init__(self, spec: str) -> None:
        self.spec = spec

    def get_col_spec(self, **kw: Any) -> str:
        return self.spec


class Scaled(TypeDecorator[str]):
    """An exact number kept as an integer on SQLite; text such as ``12.50`` in Python."""

    impl = BigInteger
    cache_ok = True

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.unit = 10**scale

    def process_bind_param(self, value: Decimal | None, dialect: Any) -> int | None:
        return None if value is None else int(value.scaleb(self.scale))

    def process_result_value(self, value: int | None, dialect: Any) -> str | None:
        if value is None:
            return None
        whole, rest = divmod(abs(value), self.unit)
        return f"{'-' if value < 0 else ''}{whole}.{rest:0{self.scale}d}"


# -- checks ------------------------------------------------------------------------------------------------------------


class Refused(Exception):
    """A value that does not fit: field and reason."""


def text(limit: int) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if type(value) is str and len(value) <= limit and "\x00" not in value:
            return value
        raise Refused(f"text of at most {limit} characters")

    return check


def matching(pattern: str, limit: int) -> Callable[[Any], str]:
    match = re.compile(pattern).fullmatch

    def check(value: Any) -> str:
        if type(value) is str and len(value) <= limit and match(value):
            return value
        raise Refused("of another form")

    return check


def one_of(*values: str) -> Callable[[Any], str]:
    known = frozenset(values)

    def check(value: Any) -> str:
        if type(value) is str and value in known:
            return value
        raise Refused("one of " + ", ".join(sorted(known)))

    return check


def number(scale: int) -> Callable[[Any], Decimal]:
    one = Decimal(1).scaleb(-scale)
    limit = Decimal(10) ** (18 - scale)

    def check(value: Any) -> Decimal:
        try:
            given = Decimal(value if type(value) in (str, int) else repr(value))
            kept = given.quantize(one)
        except (InvalidOperation, ValueError):
            raise Refused("a number") from None
        if kept != given or not -limit < kept < limit:
            raise Refused(f"a number with {scale} decimals")
        return kept

    return check


def whole(value: Any) -> int:
    if type(value) is int and abs(value) < 2**53:
        return value
    raise Refused("a whole number")


def flag(value: Any) -> bool:
    if value is True or value is False:
        return value
    raise Refused("true or false")


def day(value: Any) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except (ValueError, TypeError):
        raise Refused("a date") from None


def moment(value: Any) -> str:
    try:
        return moment_text(datetime.fromisoformat(value).astimezone(UTC))
    except (ValueError, TypeError):
        raise Refused("a moment") from None


def moment_text(value: datetime) -> str:
    return value.isoformat(timespec="microseconds")[:-6] + "Z"


CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "name": text(120),
    "code": text(40),
    "email": matching(r"[^@\s]+@[^@\s]+\.[^@\s]+", 254),
    "phone": matching(r"\+?[0-9 ()./-]{3,40}", 40),
    "website": matching(r"https?://[^\s<>\"]+", 2000),
    "city": text(80),
    "country": text(80),
    "industry": one_of("energy", "finance", "health", "retail", "software", "transport", "travel", "water"),
    "rating": one_of("hot", "warm", "cold"),
    "source": one_of("web", "phone", "fair", "partner"),
    "status": one_of("open", "won", "lost", "paused"),
    "amount": number(2),
    "price": number(4),
    "discount": number(2),
    "quantity": whole,
    "score": whole,
    "active": flag,
    "close_date": day,
    "signed_at": moment,
    "notes": text(32_000),
}
REQUIRED = ("name", "status")
FIELDS = tuple(CHECKS)
COLUMNS = ("id", *FIELDS, "created_at", "modified_at", "owner", "version")


def checked(values: Any, complete: bool) -> dict[str, Any]:
    """The values as the database takes them. Raises ``Refused``."""
    if type(values) is not dict:
        raise Refused("an object")
    found: dict[str, Any] = {}
    for key, value in values.items():
        check = CHECKS.get(key)
        if check is None:
            raise Refused(f"{key}: no such field")
        try:
            found[key] = None if value is None or value == "" else check(value)
        except Refused as error:
            raise Refused(f"{key}: {error}") from None
    for key in REQUIRED:
        if found.get(key) is None and (complete or key in found):
            raise Refused(f"{key}: required")
    return found


# -- the database ------------------------------------------------------------------------------------------------------


def open_engine(url: str) -> Engine:
    """Opened with the same settings as the product's database."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(
            parsed,
            poolclass=QueuePool,
            pool_size=16,
            pool_use_lifo=True,
            connect_args={
                "timeout": 30,
                "isolation_level": None,
                "check_same_thread": False,
                "cached_statements": 1000,
            },
        )

        @event.listens_for(engine, "connect")
        def prepare(connection: sqlite3.Connection, record: object) -> None:
            for pragma in ("busy_timeout = 30000", "journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON",
                           "cache_size = -32768", "cache_spill = -131072", "wal_autocheckpoint = 4000",
                           "mmap_size = 268435456", "temp_store = MEMORY"):  # fmt: skip
                connection.execute(f"PRAGMA {pragma}")

        return engine
    engine = create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_size=16,
        pool_use_lifo=True,
        isolation_level="AUTOCOMMIT",
        connect_args={"options": "-c timezone=UTC"},
    )

    @event.listens_for(engine, "connect")
    def adapt(connection: psycopg.Connection[Any], record: object) -> None:
        connection.prepared_max = 1000
        for name in ("uuid", "numeric"):
            connection.adapters.register_loader(name, TextLoader)

    return engine


def tables(dialect: str) -> tuple[Table, Table]:
    """The deals and the tokens."""
    sqlite = dialect == "sqlite"
    id_type = Plain("TEXT" if sqlite else "UUID")
    moment_type = Plain("TEXT" if sqlite else "TIMESTAMPTZ")

    def number_type(scale: int) -> Any:
        return Scaled(scale) if sqlite else Plain(f"NUMERIC(18, {scale})")

    special: Mapping[str, Any] = {
        **{"amount": number_type(2), "price": number_type(4), "discount": number_type(2)},
        **{"quantity": BigInteger(), "score": BigInteger(), "active": Boolean()},
        **{"close_date": Plain("TEXT" if sqlite else "DATE"), "signed_at": moment_type},
    }
    metadata = MetaData()
    deal = Table(
        "deal",
        metadata,
        Column("id", id_type, primary_key=True),
        *(Column(name, special.get(name, Text())) for name in FIELDS),
        Column("created_at", moment_type, nullable=False),
        Column("modified_at", moment_type, nullable=False),
        Column("owner", id_type),
        Column("version", BigInteger(), nullable=False),
    )
    Index("deal_code", deal.c.code, unique=True)
    Index("deal_status", deal.c.status, deal.c.id)
    token = Table("token", metadata, Column("fingerprint", Text(), primary_key=True), Column("user", Text()))
    return deal, token


class Deals:
    """The statements on deals, each built once."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.sqlite = engine.dialect.name == "sqlite"
        self.deal, self.token = tables(engine.dialect.name)
        c = self.deal.c
        self.one = select(self.deal).where(c.id == bindparam("key"))
        self.insert = insert(self.deal)
        self.insert_returning = insert(self.deal).returning(*c)
        self.user = select(self.token.c.user).where(self.token.c.fingerprint == bindparam("fingerprint"))
        self._updates: dict[tuple[tuple[str, ...], bool], Any] = {}
        self._pages: dict[tuple[tuple[str, ...], str, bool], Any] = {}

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction."""
        with self.engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None
            raw.execute("BEGIN IMMEDIATE" if self.sqlite else "BEGIN")
            try:
                yield connection
            except BaseException:
                raw.execute("ROLLBACK")
                raise
            raw.execute("COMMIT")

    def now(self) -> Any:
        """The moment as the column takes it."""
        return moment_text(datetime.now(UTC)) if self.sqlite else datetime.now(UTC)

    def new(self, values: Mapping[str, Any], owner: str, now: Any) -> dict[str, Any]:
        """A whole row."""
        return {
            **dict.fromkeys(FIELDS),
            **values,
            "id": str(uuid_utils.uuid7()),
            "created_at": now,
            "modified_at": now,
            "owner": owner,
            "version": 1,
        }

    def update(self, keys: tuple[str, ...], versioned: bool) -> Any:
        """``UPDATE … SET keys … RETURNING`` the row."""
        made = self._updates.get((keys, versioned))
        if made is None:
            c = self.deal.c
            made = update(self.deal).where(c.id == bindparam("_id"))
            if versioned:
                made = made.where(c.version == bindparam("_version"))
            changed = {key: bindparam(key) for key in (*keys, "modified_at")}
            made = self._updates[keys, versioned] = made.values(**changed, version=c.version + 1).returning(*c)
        return made

    def page(self, filters: tuple[str, ...], sort: str, after: bool) -> Any:
        """A page by key."""
        made = self._pages.get((filters, sort, after))
        if made is None:
            c = self.deal.c
            key = sort.lstrip("-")
            order = (c.id,) if key == "id" else (c[key], c.id)
            made = select(self.deal).where(*(c[name] == bindparam(name) for name in filters))
            if after:
                last = tuple_(*(bindparam(f"after_{n}", type_=part.type) for n, part in enumerate(order)))
                made = made.where(tuple_(*order) < last if sort[0] == "-" else tuple_(*order) > last)
            made = made.order_by(*(part.desc() for part in order) if sort[0] == "-" else order).limit(
                bindparam("limit")
            )
            self._pages[filters, sort, after] = made
        return made


# -- the application ---------------------------------------------------------------------------------------------------


class Deny(Exception):
    """A refusal with an HTTP status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Views:
    """The views of deals."""

    def __init__(self, deals: Deals) -> None:
        self.deals = deals
        self._known: dict[bytes, tuple[str, float]] = {}

    def caller(self) -> str:
        """The user behind the bearer token."""
        header = request.environ.get("HTTP_AUTHORIZATION", "")
        if header[:7] != "Bearer ":
            raise Deny(401, "no token")
        key = hashlib.sha256(header[7:].encode()).digest()
        now = time.monotonic()
        known = self._known.get(key)
        if known is not None and now < known[1]:
            return known[0]
        with self.deals.engine.connect() as connection:
            user = connection.execute(self.deals.user, {"fingerprint": key.hex()}).scalar()
        if user is None:
            raise Deny(401, "unknown token")
        self._known[key] = (user, now + FRESH_SECONDS)
        return str(user)

    def read(self, id: str) -> Response:
        """One deal."""
        self.caller()
        with self.deals.engine.connect() as connection:
            row = connection.execute(self.deals.one, {"key": id}).first()
        if row is None:
            raise Deny(404, "no such deal")
        return self._one(row)

    def page(self) -> Response:
        """A page: ``?status=…&industry=…&sort=-amount&limit=50&cursor=…``."""
        self.caller()
        given = request.args
        filters = tuple(key for key in ("status", "industry") if key in given)
        sort = given.get("sort", "id")
        limit = min(int(given.get("limit", "50")), 500)
        cursor = given.get("cursor")
        params: dict[str, Any] = {key: given[key] for key in filters}
        params["limit"] = limit
        if cursor:
            for n, value in enumerate(orjson.loads(bytes.fromhex(cursor))):
                params[f"after_{n}"] = value
        with self.deals.engine.connect() as connection:
            rows = connection.execute(self.deals.page(filters, sort, bool(cursor)), params).all()
        records = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        following = None
        if len(records) == limit:
            key = sort.lstrip("-")
            last = records[-1]
            following = orjson.dumps([last["id"]] if key == "id" else [last[key], last["id"]]).hex()
        return Response(_dumps({"records": records, "next_cursor": following}), content_type=JSON)

    def create(self) -> Response:
        """One deal, or a list of them."""
        owner = self.caller()
        body = orjson.loads(request.get_data())
        deals, now = self.deals, self.deals.now()
        if type(body) is list:
            rows = [deals.new(checked(values, True), owner, now) for values in body]
            with deals.write() as connection:
                connection.execute(deals.insert, rows)
            shown = [{**row, "amount": _text(row["amount"]), "price": _text(row["price"]),
                      "discount": _text(row["discount"])} for row in rows]  # fmt: skip
            return Response(_dumps({"records": shown}), 201, content_type=JSON)
        row = deals.new(checked(body, True), owner, now)
        with deals.write() as connection:
            made = connection.execute(deals.insert_returning, row).one()
        return self._one(made, 201)

    def update(self, id: str) -> Response:
        """Changes one deal; ``If-Match`` is honoured."""
        self.caller()
        values = checked(orjson.loads(request.get_data()), False)
        match = request.environ.get("HTTP_IF_MATCH")
        params = {**values, "_id": id, "modified_at": self.deals.now()}
        if match is not None:
            params["_version"] = int(match.strip('"'))
        statement = self.deals.update(tuple(values), match is not None)
        with self.deals.write() as connection:
            row = connection.execute(statement, params).first()
        if row is None:
            raise Deny(404 if match is None else 409, "no such deal, or somebody else saved first")
        return self._one(row)

    def _one(self, row: Sequence[Any], status: int = 200) -> Response:
        record = dict(zip(COLUMNS, row, strict=True))
        return Response(_dumps(record), status, {"ETag": f'"{record["version"]}"'}, content_type=JSON)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _dumps(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)


def create_app(url: str) -> Flask:
    """The application on that database."""
    app = Flask("handwritten", static_folder=None)
    views = Views(Deals(open_engine(url)))
    base = "/api/v1/records/deal"
    app.add_url_rule(base, "page", views.page, methods=["GET"])
    app.add_url_rule(base, "create", views.create, methods=["POST"])
    app.add_url_rule(f"{base}/<id>", "read", views.read, methods=["GET"])
    app.add_url_rule(f"{base}/<id>", "update", views.update, methods=["PATCH"])

    @app.errorhandler(Deny)
    def denied(error: Deny) -> Response:
        return Response(_dumps({"detail": str(error)}), error.status, content_type=JSON)

    @app.errorhandler(Refused)
    @app.errorhandler(orjson.JSONDecodeError)
    def refused(error: Exception) -> Response:
        return Response(_dumps({"detail": str(error)}), 422, content_type=JSON)

    return app


def wsgi() -> Flask:
    """What the server starts."""
    return create_app(os.environ["BENCHMARK_DATABASE_URL"])
