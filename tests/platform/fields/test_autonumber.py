"""Automatic numbers: how formats are read, written and counted."""

from __future__ import annotations

import re
from datetime import date

import pytest

from ratoon.platform.fields import NumberFormat
from ratoon.platform.fields.autonumber import FORMAT_PATTERN, counter_period, render

DAY = date(2026, 3, 9)


@pytest.mark.parametrize(
    ("source", "number", "text", "period"),
    [
        ("INV-{YYYY}-{0000}", 42, "INV-2026-0042", "2026"),
        ("{00}", 1234, "1234", ""),
        ("C{00000}", 1, "C00001", ""),
        ("{YY}{MM}{DD}/{000}-X", 7, "260309/007-X", "26-03-09"),
        ("报价 {YYYY}{MM}-{000}", 7, "报价 202603-007", "2026-03"),
    ],
)
def test_a_number_is_written_by_its_format(source: str, number: int, text: str, period: str) -> None:
    assert re.fullmatch(FORMAT_PATTERN, source)
    assert render(source, number, DAY) == text
    assert counter_period(source, DAY) == period


@pytest.mark.parametrize("source", ["INV", "{YYYY}", "{0}{0}", "{QQ}{0}", "{0", "0}", "{}{0}", "x" * 90 + "{0}"])
def test_a_bad_format_says_what_is_wrong(source: str) -> None:
    assert not re.fullmatch(FORMAT_PATTERN, source)
    with pytest.raises(ValueError, match=r"\w"):
        NumberFormat.parse(source)
