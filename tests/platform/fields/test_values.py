"""What each type takes, what it makes of it, and what it refuses with which code."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ratoon.platform.errors import Invalid
from ratoon.platform.fields import FieldSpec, Option, Part, builtin_types, inactive_values
from ratoon.platform.fields.refusals import REFUSALS

TYPES = builtin_types()
COLORS = (Option("red", "Red"), Option("blue", "Blue"), Option("grey", "Grey", active=False))
ID = "01900000-0000-7000-8000-00000000000a"


def parts(type_name: str, **options: Any) -> tuple[Part, ...]:
    """The parts of a field of that type."""
    return TYPES[type_name].parts(FieldSpec("f", type_name, "F", options, COLORS, ("pet", "owner")))


TAKEN: list[tuple[str, dict[str, Any], Any, Any]] = [
    ("text", {}, "  Acme  ", "Acme"),
    ("text", {}, "   ", None),
    ("text", {}, "non\u00a0breaking 👩‍👩‍👧 中文", "non\u00a0breaking 👩‍👩‍👧 中文"),
    ("textarea", {}, "a\r\nb\rc\td", "a\nb\nc\td"),
    ("richtext", {}, "<b onclick='x()'>Hi</b><script>alert(1)</script>", "<b>Hi</b>"),
    ("richtext", {}, '<a href="javascript:alert(1)">x</a>', '<a rel="noopener noreferrer">x</a>'),
    ("richtext", {}, "<script>alert(1)</script>", None),
    ("richtext", {}, '<p style="position:fixed">x</p><iframe src="https://x"></iframe>', "<p>x</p>"),
    ("email", {}, " Ada.Lovelace@Example.COM ", "ada.lovelace@example.com"),
    ("email", {}, "o'neil+crm@sub.example.co.uk", "o'neil+crm@sub.example.co.uk"),
    ("email", {}, "用户@例子.中国", "用户@例子.中国"),
    ("phone", {}, "+86 (10) 5555-0100 转 12", "+86 (10) 5555-0100 转 12"),
    ("url", {}, "example.com", "https://example.com"),
    ("url", {}, "localhost.test:8000/x?y#z", "https://localhost.test:8000/x?y#z"),
    ("url", {}, "HTTP://EXAMPLE.com/路径", "HTTP://EXAMPLE.com/路径"),
    ("url", {}, "mailto:ada@example.com?subject=x", "mailto:ada@example.com?subject=x"),
    ("integer", {}, " -12 ", -12),
    ("integer", {}, 12.0, 12),
    ("integer", {}, Decimal("2.5"), 3),
    ("decimal", {}, "1200", Decimal("1200.00")),
    ("decimal", {}, 0.1, Decimal("0.10")),
    ("decimal", {}, ".40", Decimal("0.40")),
    ("decimal", {}, "12e2", Decimal("1200.00")),
    ("decimal", {}, "1.500", Decimal("1.50")),
    ("decimal", {}, Decimal("1.005"), Decimal("1.01")),
    ("decimal", {}, "9999999999999999.99", Decimal("9999999999999999.99")),
    ("decimal", {"scale": 0}, "7", Decimal(7)),
    ("integer", {}, "１２３４", 1234),
    ("integer", {}, "－１２\u3000", -12),
    ("decimal", {}, "１２３．５", Decimal("123.50")),
    ("currency", {}, "１２３４", Decimal("1234.00")),
    ("date", {}, "２０２６－１１－２１", date(2026, 11, 21)),
    ("time", {}, "０８：００", time(8)),
    ("datetime", {}, "２０２６－１１－２１\u3000０８：００", datetime(2026, 11, 21, 8, tzinfo=UTC)),
    ("duration", {}, "１：３０", 5400),
    ("percent", {}, "20", Decimal("20.00")),
    ("boolean", {}, "on", True),
    ("boolean", {}, "FALSE", False),
    ("boolean", {}, 0, False),
    ("date", {}, " 2026-11-21 ", date(2026, 11, 21)),
    ("date", {}, datetime(2026, 11, 21, 8), date(2026, 11, 21)),  # noqa: DTZ001 (a day has no zone)
    ("time", {}, "08:00", time(8)),
    ("time", {}, "08:00:00.250", time(8, 0, 0, 250_000)),
    ("duration", {}, "1:30", 5400),
    ("duration", {}, "-0:00:05", -5),
    ("duration", {}, "90", 90),
    ("duration", {}, timedelta(minutes=2), 120),
    ("picklist", {}, " red ", "red"),
    ("picklist", {}, "grey", "grey"),
    ("multipicklist", {}, ["blue", "red", "blue"], ("red", "blue")),
    ("multipicklist", {}, "blue;red", ("red", "blue")),
    ("multipicklist", {}, [], None),
    ("lookup", {}, ID.upper(), ID),
    ("lookup", {}, {"id": ID, "title": "Rex"}, ID),
    ("many_to_many", {}, [ID], [{"id": ID}]),
    ("many_to_many", {}, ID, [{"id": ID}]),
    ("many_to_many", {}, [], []),
    ("many_to_many", {"attributes": [{"name": "role"}]}, [{"id": ID, "role": "vet"}], [{"id": ID, "role": "vet"}]),
    ("json", {}, '{"a": [1, null]}', {"a": [1, None]}),
    ("json", {}, "plain", "plain"),
    ("json", {}, False, False),
    ("json", {}, {"a": "\\u0000"}, {"a": "\\u0000"}),
    ("secret", {}, "s3cret", "s3cret"),
]


@pytest.mark.parametrize(("type_name", "options", "value", "expected"), TAKEN)
def test_a_value_is_taken(type_name: str, options: dict[str, Any], value: Any, expected: Any) -> None:
    found = parts(type_name, **options)[0].coerce(value)
    assert found == expected
    assert type(found) is type(expected)
    assert str(found) == str(expected)


@pytest.mark.parametrize("type_name", [t for t in TYPES.names() if t not in ("many_to_many", "json")])
def test_empty_text_and_nothing_are_blank(type_name: str) -> None:
    for part in parts(type_name):
        assert part.coerce("") is None
        assert part.coerce("   ") is None
        assert part.coerce(None) is None


REFUSED: list[tuple[str, dict[str, Any], Any, str]] = [
    ("text", {}, 5, "not_text"),
    ("text", {}, ["a"], "not_text"),
    ("text", {"max_length": 3}, "four", "too_long"),
    ("text", {}, "x" * 5_000_000, "too_long"),
    ("text", {}, "a\x00b", "control_characters"),
    ("text", {}, "two\nlines", "control_characters"),
    ("text", {}, "\ud800", "control_characters"),
    ("textarea", {}, "bell\x07", "control_characters"),
    ("textarea", {"max_length": 5}, "x" * 6, "too_long"),
    ("email", {}, "ada", "not_an_email"),
    ("email", {}, "ada@localhost", "not_an_email"),
    ("email", {}, "a..b@example.com", "not_an_email"),
    ("email", {}, "a@b@example.com", "not_an_email"),
    ("email", {}, "<ada@example.com>", "not_an_email"),
    ("email", {}, "a@example.com\nbcc:x@y.z", "control_characters"),
    ("phone", {}, "call me", "not_a_phone"),
    ("phone", {}, "+1 (", "not_a_phone"),
    ("url", {}, "javascript:alert(1)", "not_a_url"),
    ("url", {}, "JaVaScRiPt://example.com/%0aalert(1)", "not_a_url"),
    ("url", {}, "data:text/html,<b>", "not_a_url"),
    ("url", {}, "https://", "not_a_url"),
    ("url", {}, "https://a b.com", "not_a_url"),
    ("url", {}, 'https://x.com/"onload="', "not_a_url"),
    ("url", {}, "nonsense", "not_a_url"),
    ("integer", {}, "1.5", "not_an_integer"),
    ("integer", {}, 1.5, "not_an_integer"),
    ("integer", {}, True, "not_an_integer"),
    ("integer", {}, float("nan"), "not_an_integer"),
    ("integer", {}, float("inf"), "not_an_integer"),
    ("integer", {}, "1" * 400, "not_an_integer"),
    ("integer", {}, 2**53, "too_large"),
    ("integer", {}, 10**400, "too_large"),
    ("integer", {}, Decimal("1e400"), "too_large"),
    ("integer", {"min": 1}, 0, "too_small"),
    ("integer", {"max": 9}, "10", "too_large"),
    ("decimal", {}, "1,200.00", "not_a_number"),
    ("decimal", {}, "1_000", "not_a_number"),
    ("decimal", {}, "١٢", "not_a_number"),
    ("decimal", {}, "10²", "not_a_number"),
    ("decimal", {}, "NaN", "not_a_number"),
    ("decimal", {}, "Infinity", "not_a_number"),
    ("decimal", {}, float("nan"), "not_a_number"),
    ("decimal", {}, Decimal("sNaN"), "not_a_number"),
    ("decimal", {}, True, "not_a_number"),
    ("decimal", {}, {}, "not_a_number"),
    ("decimal", {}, "1e400", "too_many_digits"),
    ("decimal", {}, "1e9999", "too_many_digits"),
    ("decimal", {}, 10**400, "too_many_digits"),
    ("decimal", {}, "10000000000000000", "too_many_digits"),
    ("decimal", {}, 12.345, "too_many_decimals"),
    ("decimal", {}, "1e-9999", "too_many_decimals"),
    ("decimal", {"precision": 4}, "100", "too_many_digits"),
    ("decimal", {"min": "0.5"}, "0.49", "too_small"),
    ("decimal", {"max": 10}, "10.01", "too_large"),
    ("boolean", {}, "maybe", "not_a_boolean"),
    ("boolean", {}, 2, "not_a_boolean"),
    ("date", {}, 20261121, "not_a_date"),
    ("date", {}, "20261121", "not_a_date"),
    ("date", {}, "2026-W47-6", "not_a_date"),
    ("date", {}, "2026-02-30", "not_a_date"),
    ("date", {}, "2026-11-21T00:00:00Z", "not_a_date"),
    ("date", {}, "21.11.2026", "not_a_date"),
    ("date", {}, "0026-11-21", "year_out_of_range"),
    ("datetime", {}, 1_700_000_000, "not_a_datetime"),
    ("datetime", {}, "2026-11-21", "not_a_datetime"),
    ("datetime", {}, "2026-11-21T25:00", "not_a_datetime"),
    ("datetime", {}, "0001-01-01T00:00+14:00", "year_out_of_range"),
    ("datetime", {}, "9999-12-31T23:59-14:00", "year_out_of_range"),
    ("time", {}, "8", "not_a_time"),
    ("time", {}, "24:00", "not_a_time"),
    ("time", {}, "08:00+02:00", "not_a_time"),
    ("duration", {}, "1:75", "not_a_duration"),
    ("duration", {}, True, "not_a_duration"),
    ("duration", {}, 10**11, "too_large"),
    ("duration", {}, 1.5, "not_an_integer"),
    ("picklist", {}, "green", "unknown_choice"),
    ("picklist", {}, "Red", "unknown_choice"),
    ("picklist", {}, ["red"], "unknown_choice"),
    ("multipicklist", {}, ["green"], "unknown_choice"),
    ("multipicklist", {}, 5, "not_a_list"),
    ("multipicklist", {}, ["red"] * 5000, "too_many_items"),
    ("stage", {}, "Not A Name", "not_a_name"),
    ("lookup", {}, "nobody", "not_an_id"),
    ("lookup", {}, 7, "not_an_id"),
    ("lookup", {}, {"title": "Rex"}, "not_an_id"),
    ("lookup", {}, "' OR 1=1 --", "not_an_id"),
    ("many_to_many", {}, 5, "not_a_list"),
    ("many_to_many", {}, [None], "not_an_id"),
    ("many_to_many", {}, [ID, ID.upper()], "listed_twice"),
    ("many_to_many", {}, [{"id": ID, "role": "vet"}], "unknown_attribute"),
    ("many_to_many", {}, [ID] * 2001, "too_many_items"),
    ("json", {}, "{not json", "not_json"),
    ("json", {}, {"a": {1, 2}}, "not_json"),
    ("json", {}, {"a": float("nan")}, "json_number"),
    ("json", {}, [2**60], "json_number"),
    ("json", {}, {"a": "nul\x00"}, "control_characters"),
    ("json", {}, {"a": "\ud800"}, "not_json"),
    ("json", {}, ["x" * 300_000], "json_too_large"),
    ("json", {}, "[" * 60 + "]" * 60, "json_too_deep"),
    ("secret", {}, "••••••••", "secret_marker"),
]


@pytest.mark.parametrize(("type_name", "options", "value", "code"), REFUSED)
def test_a_value_is_refused_with_its_code(type_name: str, options: dict[str, Any], value: Any, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        parts(type_name, **options)[0].coerce(value)
    assert refused.value.problem_code == code
    problem = refused.value.problem("f")
    assert problem.message == REFUSALS[code]
    assert "{" not in problem.text()
    assert len(problem.text()) < 400


def test_further_parts_refuse_too() -> None:
    for type_name, value, code in (
        ("currency", "QQQ", "unknown_currency"),
        ("currency", 5, "unknown_currency"),
        ("polymorphic", "visit", "unknown_object"),
        ("stage", "a b", "not_a_name"),
    ):
        with pytest.raises(Invalid) as refused:
            parts(type_name)[1].coerce(value)
        assert refused.value.problem_code == code
    assert parts("currency")[1].coerce(" eur ") == "EUR"
    assert parts("polymorphic")[1].coerce("pet") == "pet"


def test_latitude_and_longitude_have_their_limits() -> None:
    latitude, longitude = parts("geolocation")
    assert latitude.coerce("-90") == Decimal(-90)
    assert longitude.coerce("179.123456") == Decimal("179.123456")
    for part, value in ((latitude, "90.000001"), (longitude, "-180.1")):
        with pytest.raises(Invalid):
            part.coerce(value)


def test_every_refusal_is_shown_to_happen() -> None:
    seen = {code for *_, code in REFUSED} | {"unknown_currency", "unknown_object"}
    assert seen == set(REFUSALS)


def test_the_inactive_values_of_a_picklist_are_known() -> None:
    assert inactive_values(FieldSpec("f", "picklist", "F", choices=COLORS)) == {"grey"}


def test_a_negative_zero_is_zero() -> None:
    assert str(parts("decimal")[0].coerce("-0")) == "0.00"
