"""Every field type has every face, and a value survives the way in, into both databases, and out again.

All tests here run over ``builtin_types()``: a new type without a row in ``EXAMPLES`` or without one of its faces fails.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import jsonschema
import marshmallow as ma
import orjson
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ratoon.platform.errors import Invalid
from ratoon.platform.fields import OPERATORS, FieldSpec, FieldType, Option, Part, builtin_types
from ratoon.platform.fields.secret import MARKER
from ratoon.platform.formulas.types import Type

TYPES = builtin_types()
COLORS = (
    Option("red", "Red"),
    Option("dark blue", "Dark blue"),
    Option("绿", "绿色"),
    Option("grey", "Grey", active=False),
)
UUIDS = st.uuids().map(str)
PRINTABLE = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=100)
CONTROLS = [chr(code) for code in (*range(32), *range(127, 160))]
PROSE = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters=CONTROLS) | st.sampled_from("\n\t"), max_size=300
)
OFFSETS = st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes)))
FIRST, LAST = datetime(1000, 1, 2), datetime(9998, 12, 30)  # noqa: DTZ001 (hypothesis adds the offset)
MOMENTS = st.datetimes(FIRST, LAST, timezones=OFFSETS)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e15, 1e15) | PRINTABLE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PRINTABLE, inner, max_size=4),
    max_leaves=10,
)


def numbers(digits: int, scale: int) -> st.SearchStrategy[str]:
    """Decimals of at most that many digits before the point, as the API writes them."""
    return st.decimals(-(10**digits) + 1, 10**digits - 1, places=scale, allow_nan=False).map(lambda n: format(n, "f"))


@dataclass(frozen=True)
class Example:
    """How a test declares a field of one type, and what it puts in: part suffix → API values."""

    options: Mapping[str, Any]
    values: Mapping[str, st.SearchStrategy[Any]]
    choices: tuple[Option, ...] = ()
    targets: tuple[str, ...] = ()


RETURNS: Mapping[str, st.SearchStrategy[Any]] = {
    "number": numbers(12, 4).map(Decimal),
    "currency": numbers(12, 4).map(Decimal),
    "percent": numbers(12, 4).map(Decimal),
    "text": PROSE,
    "boolean": st.booleans(),
    "date": st.dates(date(1000, 1, 1), date(9998, 12, 31)),
    "datetime": MOMENTS,
    "time": st.times(),
}
EXAMPLES: Mapping[str, Example] = {
    "text": Example({"max_length": 100}, {"": PRINTABLE}),
    "textarea": Example({}, {"": PROSE}),
    "richtext": Example({}, {"": PROSE | PRINTABLE.map(lambda text: f"<p>{text}</p><script>{text}</script>")}),
    "email": Example({}, {"": st.from_regex(r"[a-z0-9]{1,20}(\.[a-z0-9]+)?@[a-z]{1,20}\.(com|cn)", fullmatch=True)}),
    "phone": Example({}, {"": st.from_regex(r"\+[0-9]{1,3} [0-9]{3,10}( ext [0-9]{1,4})?", fullmatch=True)}),
    "url": Example({}, {"": st.from_regex(r"(https?://)?[a-z]{1,20}\.(com|cn)(/[a-z0-9?=&]{0,20})?", fullmatch=True)}),
    "integer": Example({}, {"": st.integers(-(2**53) + 1, 2**53 - 1)}),
    "decimal": Example({"precision": 18, "scale": 7}, {"": numbers(11, 7)}),
    "currency": Example({"currency": "EUR"}, {"": numbers(16, 2), "_currency": st.sampled_from(["EUR", "CNY", "jpy"])}),
    "percent": Example({"scale": 3}, {"": numbers(10, 3)}),
    "boolean": Example({}, {"": st.booleans()}),
    "date": Example({}, {"": st.dates(date(1000, 1, 1), date(9998, 12, 31)).map(str)}),
    "datetime": Example({}, {"": MOMENTS.map(datetime.isoformat)}),
    "time": Example({}, {"": st.times().map(time.isoformat)}),
    "duration": Example({}, {"": st.integers(-(10**10), 10**10)}),
    "picklist": Example({}, {"": st.sampled_from([o.value for o in COLORS])}, COLORS),
    "multipicklist": Example({}, {"": st.lists(st.sampled_from([o.value for o in COLORS]))}, COLORS),
    "stage": Example(
        {},
        {"": st.from_regex("[a-z][a-z0-9_]{0,39}", fullmatch=True), "_pipeline": st.just("sales")},
        (Option("new", "New"), Option("won", "Won")),
    ),
    "autonumber": Example({"format": "INV-{YYYY}-{0000}"}, {"": st.from_regex("INV-2026-[0-9]{4}", fullmatch=True)}),
    "lookup": Example({"object": "owner"}, {"": UUIDS}, targets=("owner",)),
    "master_detail": Example({"object": "owner"}, {"": UUIDS}, targets=("owner",)),
    "polymorphic": Example(
        {"objects": ["pet", "owner"]},
        {"": UUIDS, "_object": st.sampled_from(["pet", "owner"])},
        targets=("pet", "owner"),
    ),
    "many_to_many": Example(
        {"object": "owner", "attributes": [{"name": "share", "type": "percent", "label": "Share"}]},
        {
            "": st.lists(
                st.fixed_dictionaries({"id": UUIDS, "share": numbers(2, 0)}),
                unique_by=lambda link: link["id"],
                max_size=5,
            )
        },
        targets=("owner",),
    ),
    "hierarchy": Example({}, {"": UUIDS}, targets=("pet",)),
    "user": Example({}, {"": UUIDS}, targets=("user",)),
    "formula": Example({"formula": "1 + 1", "returns": "number", "scale": 4}, {"": RETURNS["number"]}),
    "rollup": Example({"of": "visit", "via": "pet", "operation": "count"}, {"": st.integers(0, 10**9)}),
    "address": Example(
        {}, {"_street": PROSE.map(lambda text: text[:200]), "_city": PRINTABLE.map(lambda text: text[:70])}
    ),
    "geolocation": Example({}, {"_latitude": st.decimals(-90, 90, places=6).map(str), "_longitude": st.just("180")}),
    "file": Example({}, {"": UUIDS}),
    "image": Example({}, {"": UUIDS}),
    "json": Example({}, {"": JSON}),
    "secret": Example({}, {"": PRINTABLE}),
    "id": Example({}, {"": UUIDS}),
}
every_type = pytest.mark.parametrize("kind", list(TYPES), ids=lambda kind: kind.name)


def spec_of(kind: FieldType, **options: Any) -> FieldSpec:
    """A field called ``f`` of that type."""
    example = EXAMPLES[kind.name]
    return FieldSpec("f", kind.name, "F", {**example.options, **options}, example.choices, example.targets)


def parts_of(kind: FieldType, **options: Any) -> dict[str, Part]:
    """Its parts by suffix."""
    return {part.suffix: part for part in kind.parts(spec_of(kind, **options))}


def test_the_examples_are_those_of_the_types() -> None:
    assert sorted(EXAMPLES) == sorted(TYPES.names())


def test_every_type_of_the_design_is_there() -> None:
    design = """text textarea richtext email phone url integer decimal currency percent boolean date datetime time
    duration picklist multipicklist autonumber lookup master_detail polymorphic many_to_many hierarchy user stage
    formula rollup address geolocation file image json secret"""
    assert sorted(TYPES.declarable()) == sorted(design.split())


@every_type
def test_a_type_says_what_it_is(kind: FieldType) -> None:
    assert kind.label
    assert kind.description.endswith(".")
    assert kind.icon
    assert (type(kind).__doc__ or "").strip()
    for name, schema in kind.options.items():
        assert schema.get("description"), f"option {name} has no description"
        jsonschema.Draft202012Validator.check_schema(schema)
        if name in EXAMPLES[kind.name].options:
            jsonschema.validate(EXAMPLES[kind.name].options[name], dict(schema))
    assert set(kind.required_options) <= set(kind.options)
    assert set(kind.required_options) <= set(EXAMPLES[kind.name].options)


@every_type
def test_a_type_has_every_face(kind: FieldType) -> None:
    spec = spec_of(kind)
    parts = kind.parts(spec)
    assert parts
    assert len({part.key for part in parts}) == len(parts)
    for part in parts:
        assert part.key == "f" + part.suffix
        assert part.sql is None or isinstance(part.sql, sa.types.TypeEngine)
        assert part.formula is None or isinstance(part.formula, Type)
        assert part.operators
        assert set(part.operators) <= set(OPERATORS)
        assert len(part.key) - 1 <= 20, "a name of 40 characters and its suffix must fit into a column name"
        assert isinstance(part.marshmallow(), ma.fields.Field)
        assert part.marshmallow() is not part.marshmallow()
        jsonschema.Draft202012Validator.check_schema(part.json_schema)
        assert part.coerce(None) is None
        if part.suffix:
            assert part.label, "a further part needs a label of its own"
    assert any(part.writable for part in kind.parts(spec)) is not kind.computed
    assert kind.widget(spec).isidentifier()
    assert kind.show(spec, {}, "en", "UTC") == ""


@every_type
def test_a_sample_is_valid_input(kind: FieldType) -> None:
    spec = spec_of(kind)
    parts = {part.key: part for part in kind.parts(spec)}
    for seed in range(40):
        sample = kind.sample(spec, seed)
        assert bool(sample) is not kind.computed
        typed = {key: parts[key].coerce(value) for key, value in sample.items()}
        assert None not in typed.values()
        for locale in ("en", "zh-Hans", "zh-Hant", "xx-not-there", "!"):
            assert kind.computed or kind.show(spec, typed, locale, "Asia/Shanghai")


NASTY: list[Any] = [
    *(object(), b"bytes", {1, 2}, {"x": 1}, [["a"]]),
    *(float("nan"), float("-inf"), 10**400),
    *("\x00", "a\x00b", "\ud800", "[" * 3000, "x" * 5_000_000, '"; DROP TABLE f; --' * 9),
]


def attempt(part: Part, value: Any) -> tuple[Invalid | None, Any]:
    """The refusal, or what the value becomes."""
    try:
        return None, part.coerce(value)
    except Invalid as refused:
        return refused, None


@every_type
@pytest.mark.parametrize("bad", NASTY, ids=lambda bad: repr(bad)[:20])
def test_bad_input_is_refused_or_harmless_but_never_breaks(kind: FieldType, bad: Any) -> None:
    for part in kind.parts(spec_of(kind)):
        refused, value = attempt(part, bad)
        if refused is None:
            orjson.dumps(value if part.dump is None or value is None else part.dump(value))
            continue
        assert refused.problem_code
        assert not re.search(r"\{[a-z]+\}", str(refused)), "a place of the message was not filled"
        with pytest.raises(ma.ValidationError):
            part.marshmallow().deserialize(bad)


def inputs(kind: FieldType) -> st.SearchStrategy[dict[str, Any]]:
    """API values for the parts of that type; some blank."""
    return st.fixed_dictionaries({suffix: st.none() | values for suffix, values in EXAMPLES[kind.name].values.items()})


class Column:
    """A real table with the parts of one type as its columns."""

    def __init__(self, engine: sa.Engine, parts: Mapping[str, Part]) -> None:
        self._engine = engine
        self._suffixes = {part.key: suffix for suffix, part in parts.items() if part.sql is not None}
        columns = [sa.Column(part.key, part.sql) for part in parts.values() if part.sql is not None]
        self._table = sa.Table(f"t_{id(self):x}", sa.MetaData(), *columns)
        self._table.create(engine)

    def keep(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Writes the row and reads it back; what has no column stays as it is."""
        table = self._table
        with self._engine.begin() as connection:
            connection.execute(table.delete())
            connection.execute(table.insert(), {key: row.get(suffix) for key, suffix in self._suffixes.items()})
            found = connection.execute(sa.select(table)).mappings().one()
            blank = (
                connection.execute(sa.select(*(column.is_(None).label(column.key) for column in table.c)))
                .mappings()
                .one()
            )
        for key, suffix in self._suffixes.items():
            assert bool(blank[key]) is (row.get(suffix) is None), "blank must be NULL, and nothing else may be"
        return {**row, **{suffix: found[key] for key, suffix in self._suffixes.items()}}


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    url = sa.make_url(database_url)
    made = sa.create_engine(url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url)
    yield made
    made.dispose()


def survives(column: Column | None, parts: Mapping[str, Part], given_values: Mapping[str, Any]) -> None:
    """coerce → database → dump → JSON → coerce gives the same value, at every step."""
    typed = {suffix: parts[suffix].coerce(value) for suffix, value in given_values.items()}
    kept = column.keep(typed) if column else typed
    for suffix in given_values:
        part, value = parts[suffix], kept[suffix]
        assert value == typed[suffix]
        assert type(value) is type(typed[suffix])
        if value is None:
            continue
        written = orjson.loads(orjson.dumps(value if part.dump is None else part.dump(value), option=orjson.OPT_UTC_Z))
        if written == MARKER:
            continue
        jsonschema.validate(written, dict(part.json_schema))
        assert part.coerce(written) == value
        assert part.marshmallow().deserialize(written) == value
        assert part.coerce(value) == value, "coercing twice changes nothing"


@every_type
def test_a_value_survives_both_databases(kind: FieldType, engine: sa.Engine) -> None:
    parts = parts_of(kind)
    column = Column(engine, parts) if any(part.sql is not None for part in parts.values()) else None

    @settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(values=inputs(kind))
    def run(values: dict[str, Any]) -> None:
        survives(column, parts, values)

    run()


@pytest.mark.parametrize("type_name", ["formula", "rollup"])
@pytest.mark.parametrize("returns", sorted(RETURNS))
def test_a_computed_value_of_any_type_survives(type_name: str, returns: str, engine: sa.Engine) -> None:
    kind = TYPES[type_name]
    parts = parts_of(kind, returns=returns, operation="max", scale=4)
    column = Column(engine, parts)

    @settings(max_examples=10, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(value=RETURNS[returns])
    def run(value: Any) -> None:
        survives(column, parts, {"": value})

    run()


def test_a_volatile_formula_has_no_column() -> None:
    kind = TYPES["formula"]
    (part,) = kind.parts(spec_of(kind, returns="date", volatile=True))
    assert part.sql is None
    assert part.formula is Type.DATE


@settings(max_examples=200, deadline=None, database=None)
@given(value=st.text(string.printable + "é中😀\x00\u200b", max_size=40))
def test_a_text_is_stripped_kept_or_refused_never_changed(value: str) -> None:
    for name in ("text", "textarea"):
        (part,) = TYPES[name].parts(FieldSpec("f", name, "F"))
        refused, kept = attempt(part, value)
        if refused is not None:
            assert refused.problem_code == "control_characters"
        else:
            assert (kept or "") == value.strip().replace("\r\n", "\n").replace("\r", "\n")


def test_utc_is_what_a_moment_is_kept_in() -> None:
    (part,) = TYPES["datetime"].parts(FieldSpec("f", "datetime", "F"))
    assert part.coerce("2026-11-21T16:00:00+08:00") == datetime(2026, 11, 21, 8, tzinfo=UTC)
    assert part.coerce("2026-11-21 08:00") == datetime(2026, 11, 21, 8, tzinfo=UTC)
    assert part.coerce("2026-11-21t08:00:00.5z").isoformat() == "2026-11-21T08:00:00.500000+00:00"
