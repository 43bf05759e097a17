"""How a person reads values, in three languages."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from ratoon.platform.fields import FieldSpec, Option, builtin_types

TYPES = builtin_types()


def shown(type_name: str, record: dict[str, Any], locale: str = "en", zone: str = "UTC", **options: Any) -> str:
    """The value of field ``f`` as it is shown, with plain spaces."""
    spec = FieldSpec("f", type_name, "F", options, (Option("red", "Red"), Option("blue", "Blue")))
    return TYPES[type_name].show(spec, record, locale, zone).replace("\u202f", " ").replace("\u00a0", " ")


MOMENT = datetime(2026, 11, 21, 20, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("type_name", "record", "options", "english", "chinese"),
    [
        ("integer", {"f": 1234567}, {}, "1,234,567", "1,234,567"),
        ("decimal", {"f": Decimal("1234.5")}, {}, "1,234.50", "1,234.50"),
        ("currency", {"f": Decimal("1234.50"), "f_currency": "EUR"}, {}, "€1,234.50", "€1,234.50"),
        ("currency", {"f": Decimal("1234.50"), "f_currency": "CNY"}, {}, "CN¥1,234.50", "¥1,234.50"),
        ("currency", {"f": Decimal("1234.00"), "f_currency": "JPY"}, {}, "¥1,234", "JP¥1,234"),
        ("currency", {"f": Decimal("0.0125")}, {"currency": "USD", "scale": 4}, "$0.0125", "US$0.0125"),
        ("currency", {"f": Decimal("5.00")}, {}, "5.00", "5.00"),
        ("percent", {"f": Decimal("20.50")}, {}, "20.5%", "20.5%"),
        ("percent", {"f": Decimal("0.00")}, {}, "0%", "0%"),
        ("percent", {"f": Decimal("100.00")}, {}, "100%", "100%"),
        ("boolean", {"f": True}, {}, "Yes", "是"),
        ("boolean", {"f": False}, {}, "No", "否"),
        ("date", {"f": date(2026, 11, 21)}, {}, "Nov 21, 2026", "2026年11月21日"),
        ("datetime", {"f": MOMENT}, {}, "Nov 22, 2026, 4:30 AM", "2026年11月22日 04:30"),
        ("time", {"f": time(8)}, {}, "8:00 AM", "08:00"),
        ("duration", {"f": 5400}, {}, "1 hr 30 min", "1小时 30分钟"),
        ("duration", {"f": -5}, {}, "−5 sec", "−5秒"),
        ("picklist", {"f": "red"}, {}, "Red", "Red"),
        ("picklist", {"f": "gone"}, {}, "gone", "gone"),
        ("multipicklist", {"f": ("red", "blue")}, {}, "Red, Blue", "Red, Blue"),
        ("richtext", {"f": "<p>Fish &amp; <b>chips</b></p>"}, {}, "Fish & chips", "Fish & chips"),
        ("rollup", {"f": 12000}, {"operation": "count"}, "12,000", "12,000"),
        ("formula", {"f": Decimal("1.50")}, {"returns": "currency", "currency": "EUR"}, "€1.50", "€1.50"),
        ("json", {"f": {"a": 1}}, {}, '{"a":1}', '{"a":1}'),
        ("secret", {"f": "hidden"}, {}, "••••••••", "••••••••"),
    ],
)
def test_a_value_reads_as_people_write_it(
    type_name: str, record: dict[str, Any], options: dict[str, Any], english: str, chinese: str
) -> None:
    assert shown(type_name, record, "en", "Asia/Shanghai", **options) == english
    assert shown(type_name, record, "zh-Hans", "Asia/Shanghai", **options) == chinese


def test_an_address_is_written_in_the_order_of_the_language() -> None:
    springfield = {
        "f_street": "12 Main St\nSuite 4",
        "f_city": "Springfield",
        "f_state": "IL",
        "f_postal_code": "62701",
    }
    assert shown("address", springfield) == "12 Main St Suite 4, Springfield, IL 62701"
    beijing = {"f_street": "长安街1号", "f_city": "北京市", "f_country": "中国", "f_postal_code": "100000"}
    assert shown("address", beijing, "zh-Hans") == "100000 中国北京市长安街1号"


def test_an_unknown_locale_or_zone_still_shows_something() -> None:
    assert shown("datetime", {"f": MOMENT}, "tlh", "Mars/Olympus") == "Nov 21, 2026, 8:30 PM"
