"""json: any JSON value, for what other systems send along.

From a form it comes as text: text that begins with ``{`` or ``[`` is read as JSON, any other text is a JSON string.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import PRESENCE_OPERATORS, column, part
from ratoon.platform.fields.number_values import INTEGER_LIMIT
from ratoon.platform.fields.refusals import refuse
from ratoon.platform.formulas.columns import Json

MAX_BYTES = 262_144
MAX_DEPTH = 50
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def _check(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise refuse("json_too_deep", max=MAX_DEPTH)
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise refuse("not_json")
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)
    elif isinstance(value, int | float):
        if not -INTEGER_LIMIT <= value <= INTEGER_LIMIT:
            raise refuse("json_number")
    elif not (value is None or isinstance(value, str)):
        raise refuse("not_json")


def any_json(value: Any) -> Any:
    """A JSON value within the limits of size, depth and exact numbers; without NUL, which no database keeps."""
    if isinstance(value, str):
        value = value.strip()
        if value[:1] in ("{", "["):
            if len(value) > MAX_BYTES:
                raise refuse("json_too_large", max=MAX_BYTES)
            try:
                value = orjson.loads(value)
            except orjson.JSONDecodeError:
                raise refuse("not_json") from None
        elif not value:
            return None
    if value is None:
        return None
    _check(value, 1)
    try:
        written = orjson.dumps(value)
    except TypeError:
        raise refuse("not_json") from None
    if len(written) > MAX_BYTES:
        raise refuse("json_too_large", max=MAX_BYTES)
    found = _NUL.search(written)
    if found is not None:
        raise refuse("control_characters", position=found.start() + 1)
    return value


class JsonType(FieldType):
    """Any JSON value."""

    name = "json"
    label = "JSON"
    description = "Any JSON value, for what other systems send along."
    icon = "braces"

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return (
            part(
                spec.name,
                sql=column(Json),
                coerce=any_json,
                schema={"description": "any JSON value"},
                formula=None,
                operators=PRESENCE_OPERATORS,
                sortable=False,
            ),
        )

    def widget(self, spec: FieldSpec) -> str:
        return "json"

    def show(self, spec: FieldSpec, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
        value = record.get(spec.name)
        return "" if value is None else orjson.dumps(value).decode()

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {spec.name: {"sample": seed, "of": ["a", None, True]}}
