"""Schema errors in the words of a person: what is wrong with this value, and an example of a right one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ratoon.platform.metadata.names import NAME, shape_problem, suggestion

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_KINDS: Mapping[str, str] = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_EXAMPLES: Mapping[str, Any] = {
    "string": "text",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "array": [],
    "object": {},
}
_NAME_PATTERN = "^[a-z][a-z0-9_]*$"


def value_kind(value: Any) -> str:
    """What a JSON value is, in words."""
    if isinstance(value, bool):
        return "true or false"
    for python, name in ((str, "string"), (int, "integer"), (float, "number"), (list, "array"), (Mapping, "object")):
        if isinstance(value, python):
            return _KINDS[name]
    return "null"


def describe(error: ValidationError) -> tuple[str, str, str]:
    """(code, message, hint) of a schema error other than an unknown key."""
    return _DESCRIPTIONS.get(str(error.validator), _other)(error)


def short(value: Any, longest: int = 80) -> str:
    """A JSON value, cut."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _where(error: ValidationError) -> str:
    steps = [step for step in error.absolute_path if isinstance(step, str)]
    return f'"{steps[-1]}"' if steps else "The document"


def _example(schema: Any, key: str = "") -> str:
    if not isinstance(schema, Mapping):
        return ""
    if schema.get("examples"):
        value = schema["examples"][0]
    elif "default" in schema:
        value = schema["default"]
    elif "const" in schema:
        value = schema["const"]
    elif schema.get("enum"):
        value = schema["enum"][0]
    elif isinstance(schema.get("type"), str) and schema["type"] in _EXAMPLES:
        value = _EXAMPLES[schema["type"]]
    else:
        return ""
    return f'"{key}": {short(value)}' if key else short(value)


def _last_key(error: ValidationError) -> str:
    return error.absolute_path[-1] if error.absolute_path and isinstance(error.absolute_path[-1], str) else ""


def _type(error: ValidationError) -> tuple[str, str, str]:
    wanted = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
    words = " or ".join(_KINDS.get(w, w) for w in wanted)
    example = _example(error.schema, _last_key(error))
    hint = f"for example {example}" if example else ""
    return "wrong_type", f"{_where(error)} must be {words}; this is {value_kind(error.instance)}.", hint


def _required(error: ValidationError) -> tuple[str, str, str]:
    missing = error.message.split("'")[1] if "'" in error.message else ""
    spec = error.schema.get("properties", {}).get(missing, {})
    example = _example(spec, missing)
    named = error.instance.get("name") if isinstance(error.instance, Mapping) else None
    owner = f" of {named!r}" if isinstance(named, str) else ""
    return "missing_key", f'"{missing}"{owner} is missing.', f"add {example}" if example else f'add "{missing}"'


def _enum(error: ValidationError) -> tuple[str, str, str]:
    values = [str(v) for v in error.validator_value]
    hint = suggestion(str(error.instance), values) or f"one of: {', '.join(values)}"
    return "bad_value", f"{_where(error)} cannot be {short(error.instance)}.", hint


def _const(error: ValidationError) -> tuple[str, str, str]:
    return "bad_value", f"{_where(error)} cannot be {short(error.instance)}.", f"write {short(error.validator_value)}"


def _pattern(error: ValidationError) -> tuple[str, str, str]:
    if error.validator_value == _NAME_PATTERN and isinstance(error.instance, str):
        problem = shape_problem(error.instance)
        if problem is not None:
            return "bad_name", *problem
    example = _example(error.schema, _last_key(error))
    hint = f"for example {example}" if example else f"it must match {error.validator_value}"
    return "bad_value", f"{_where(error)} cannot be {short(error.instance)}.", hint


def _max_length(error: ValidationError) -> tuple[str, str, str]:
    if error.schema.get("pattern") == _NAME_PATTERN and isinstance(error.instance, str):
        problem = shape_problem(error.instance) if NAME.match(error.instance) else None
        if problem is not None:
            return "bad_name", *problem
    size, most = len(error.instance), error.validator_value
    return "too_long", f"{_where(error)} has {size:,} characters; at most {most:,} are allowed.", ""


def _min_length(error: ValidationError) -> tuple[str, str, str]:
    example = _example(error.schema, _last_key(error))
    return "empty", f"{_where(error)} must not be empty.", f"for example {example}" if example else ""


def _items(error: ValidationError) -> tuple[str, str, str]:
    fewer = error.validator == "minItems"
    limit = f"at least {error.validator_value}" if fewer else f"at most {error.validator_value:,}"
    example = _example(error.schema, _last_key(error)) if fewer else ""
    message = f"{_where(error)} has {len(error.instance):,} items; {limit} are needed."
    return (
        "empty" if fewer else "too_many",
        message.replace("needed", "needed" if fewer else "allowed"),
        (f"for example {example}" if example else ""),
    )


def _range(error: ValidationError) -> tuple[str, str, str]:
    word = {
        "minimum": "at least",
        "exclusiveMinimum": "more than",
        "maximum": "at most",
        "exclusiveMaximum": "less than",
    }
    limit = f"{word[str(error.validator)]} {error.validator_value}"
    return "out_of_range", f"{_where(error)} is {short(error.instance)}; it must be {limit}.", ""


def _unique(error: ValidationError) -> tuple[str, str, str]:
    return "duplicate", f"{_where(error)} lists something twice.", "keep one of them"


def _other(error: ValidationError) -> tuple[str, str, str]:
    example = _example(error.schema, _last_key(error))
    return "bad_value", f"{_where(error)}: {error.message[:200]}.", f"for example {example}" if example else ""


_DESCRIPTIONS: Mapping[str, Callable[[ValidationError], tuple[str, str, str]]] = {
    "type": _type,
    "required": _required,
    "enum": _enum,
    "const": _const,
    "pattern": _pattern,
    "maxLength": _max_length,
    "minLength": _min_length,
    "minItems": _items,
    "maxItems": _items,
    "minimum": _range,
    "maximum": _range,
    "exclusiveMinimum": _range,
    "exclusiveMaximum": _range,
    "uniqueItems": _unique,
}
