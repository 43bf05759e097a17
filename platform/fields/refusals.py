"""Every way a single value can be refused: one code, one English template.

The templates are the message ids that translations are looked up by; ``{places}`` are filled from the parameters of
the refusal. A plugin's field type raises ``errors.Invalid`` with codes and templates of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ratoon.platform.errors import Invalid

REFUSALS: Mapping[str, str] = MappingProxyType(
    {
        "not_text": "This must be text.",
        "too_long": "This is too long: {length} characters, and at most {max} fit.",
        "control_characters": "This contains an invisible control character (at position {position}).",
        "not_an_email": "This is not an e-mail address, such as name@example.com.",
        "not_a_phone": "This is not a phone number, such as +1 415 555 0100.",
        "not_a_url": "This is not a web address, such as https://example.com (or http, ftp, mailto).",
        "not_a_number": "This must be a number, such as 1200.50.",
        "not_an_integer": "This must be a whole number, such as 12.",
        "too_many_digits": "This number is too large: at most {digits} digits fit before the decimal point.",
        "too_many_decimals": "This number has too many decimal places: at most {scale} are kept.",
        "too_small": "This must be at least {min}.",
        "too_large": "This must be at most {max}.",
        "not_a_boolean": "This must be true or false.",
        "not_a_date": "This must be a date, such as 2026-11-21.",
        "not_a_datetime": "This must be a date and time, such as 2026-11-21T08:00:00Z.",
        "not_a_time": "This must be a time of day, such as 08:00:00.",
        "not_a_duration": "This must be a duration in whole seconds, or such as 1:30:00.",
        "year_out_of_range": "The year must be between {min} and {max}.",
        "unknown_choice": "“{value}” is not one of the choices: {choices}.",
        "unknown_currency": "“{value}” is not a currency code, such as USD, EUR or CNY.",
        "not_a_list": "This must be a list.",
        "too_many_items": "This list is too long: at most {max} items fit.",
        "not_an_id": "This is not the id of a record.",
        "listed_twice": "The record {id} is listed twice.",
        "unknown_attribute": "“{name}” is not an attribute of this link.",
        "unknown_object": "“{value}” is not an object this field may point at: {objects}.",
        "not_a_name": "“{value}” is not a name of a stage or pipeline.",
        "not_json": "This is not valid JSON.",
        "json_too_large": "This JSON value is too large: at most {max} bytes fit.",
        "json_too_deep": "This JSON value is nested too deeply: at most {max} levels.",
        "json_number": "A number in this JSON value is too large to be read exactly everywhere.",
        "secret_marker": "This is only the placeholder of a stored secret: send a new secret, or leave the key out.",
    }
)
"""code → English template."""


def refuse(code: str, **params: Any) -> Invalid:
    """The refusal with that code, to be raised."""
    return Invalid(code, REFUSALS[code], **params)


def short(value: object) -> str:
    """A value as it may stand in a message: at most 60 characters."""
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"
