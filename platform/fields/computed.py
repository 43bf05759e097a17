"""The part of a computed field, by what it returns: shared by formula and rollup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ratoon.platform.fields import display
from ratoon.platform.fields.base import FieldSpec, Part
from ratoon.platform.fields.boolean import boolean_part
from ratoon.platform.fields.date import date_part
from ratoon.platform.fields.datetime import datetime_part
from ratoon.platform.fields.faces import decimal_part, text_part
from ratoon.platform.fields.integer import integer_part
from ratoon.platform.fields.time import time_part

MAX_TEXT = 10_000


def computed_part(spec: FieldSpec, returns: str) -> Part:
    """The read-only part that keeps a computed value; a volatile one (option ``volatile``) has no column."""
    if returns == "integer":
        made = integer_part(spec.name, writable=False)
    elif returns == "text":
        made = text_part(spec.name, MAX_TEXT, multiline=True, writable=False)
    elif returns == "boolean":
        made = boolean_part(spec.name, writable=False)
    elif returns == "date":
        made = date_part(spec.name, writable=False)
    elif returns == "datetime":
        made = datetime_part(spec.name, writable=False)
    elif returns == "time":
        made = time_part(spec.name, writable=False)
    else:
        made = decimal_part(spec.name, scale=spec.option("scale", 2), writable=False)
    return replace(made, sql=None, sortable=False) if spec.option("volatile") else made


def show_computed(spec: FieldSpec, returns: str, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
    """A computed value as a person reads it."""
    value = record.get(spec.name)
    if value is None:
        return ""
    if returns == "text":
        return str(value)
    if returns == "boolean":
        return display.yes_no(value, locale)
    if returns == "date":
        return display.day(value, locale)
    if returns == "datetime":
        return display.moment(value, locale, time_zone)
    if returns == "time":
        return display.time_of_day(value, locale)
    if returns == "percent":
        return display.percent(value, locale)
    if returns == "currency" and spec.option("currency"):
        return display.money(value, spec.option("currency"), locale)
    return display.number(value, locale, 0 if returns == "integer" else spec.option("scale", 2))
