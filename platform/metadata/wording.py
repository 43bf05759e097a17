"""Schema errors in the words of a person: what is wrong with this value, and an example of a right one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ratoon.platform.errors import Hint, Text, say
from ratoon.platform.metadata.names import NAME, shape_problem, suggestion

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_KINDS: Mapping[str, str] = {
    "string": say("a text"),
    "integer": say("a whole number"),
    "number": say("a number"),
    "boolean": say("true or false"),
    "array": say("a list"),
    "object": say("an object"),
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
        return say("true or false")
    for python, name in ((str, "string"), (int, "integer"), (float, "number"), (list, "array"), (Mapping, "object")):
        if isinstance(value, python):
            return _KINDS[name]
    return "null"


def describe(error: ValidationError) -> tuple[str, Text, Hint]:
    """(code, message, hint) of a schema error other than an unknown key."""
    return _DESCRIPTIONS.get(str(error.validator), _other)(error)


def short(value: Any, longest: int = 80) -> str:
    """A JSON value, cut."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _where(error: ValidationError) -> str:
    steps = [step for step in error.absolute_path if isinstance(step, str)]
    return f'"{steps[-1]}"' if steps else say("The document")


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


def _type(error: ValidationError) -> tuple[str, Text, Hint]:
    wanted = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
    words: str = _KINDS.get(wanted[0], wanted[0])
    for one in wanted[1:]:
        words = say("{first} or {second}", first=words, second=_KINDS.get(one, one))
    example = _example(error.schema, _last_key(error))
    hint: Hint = say("for example {example}", example=example) if example else ""
    return (
        "wrong_type",
        say(
            "{where} must be {words}; this is {value_kind}.",
            where=_where(error),
            words=words,
            value_kind=value_kind(error.instance),
        ),
        hint,
    )


def _required(error: ValidationError) -> tuple[str, Text, Hint]:
    missing = error.message.split("'")[1] if "'" in error.message else ""
    spec = error.schema.get("properties", {}).get(missing, {})
    example = _example(spec, missing)
    named = error.instance.get("name") if isinstance(error.instance, Mapping) else None
    owner = say(" of {named}", named=repr(named)) if isinstance(named, str) else ""
    hint = say("add {example}", example=example) if example else say('add "{missing}"', missing=missing)
    if not spec.keys() & {"examples", "default", "const", "enum"} and spec.get("description"):
        # A text that stands for any text says less than what the schema says of this one.
        hint = say('add "{missing}": {what}', missing=missing, what=str(spec["description"]).rstrip("."))
    return "missing_key", say('"{missing}"{owner} is missing.', missing=missing, owner=owner), hint


def _enum(error: ValidationError) -> tuple[str, Text, Hint]:
    values = [str(v) for v in error.validator_value]
    hint = suggestion(str(error.instance), values) or say("one of: {values}", values=", ".join(values))
    return "bad_value", say("{where} cannot be {instance}.", where=_where(error), instance=short(error.instance)), hint


def _const(error: ValidationError) -> tuple[str, Text, Hint]:
    return (
        "bad_value",
        say("{where} cannot be {instance}.", where=_where(error), instance=short(error.instance)),
        say("write {validator_value}", validator_value=short(error.validator_value)),
    )


def _pattern(error: ValidationError) -> tuple[str, Text, Hint]:
    if error.validator_value == _NAME_PATTERN and isinstance(error.instance, str):
        problem = shape_problem(error.instance)
        if problem is not None:
            return "bad_name", *problem
    example = _example(error.schema, _last_key(error))
    hint = (
        say("for example {example}", example=example)
        if example
        else say("it must match {validator_value}", validator_value=error.validator_value)
    )
    return "bad_value", say("{where} cannot be {instance}.", where=_where(error), instance=short(error.instance)), hint


def _max_length(error: ValidationError) -> tuple[str, Text, Hint]:
    if error.schema.get("pattern") == _NAME_PATTERN and isinstance(error.instance, str):
        problem = shape_problem(error.instance) if NAME.match(error.instance) else None
        if problem is not None:
            return "bad_name", *problem
    size, most = len(error.instance), error.validator_value
    return (
        "too_long",
        say(
            "{where} has {size} characters; at most {most} are allowed.",
            where=_where(error),
            size=f"{size:,}",
            most=f"{most:,}",
        ),
        "",
    )


def _min_length(error: ValidationError) -> tuple[str, Text, Hint]:
    example = _example(error.schema, _last_key(error))
    return (
        "empty",
        say("{where} must not be empty.", where=_where(error)),
        say("for example {example}", example=example) if example else "",
    )


def _items(error: ValidationError) -> tuple[str, Text, Hint]:
    fewer = error.validator == "minItems"
    limit = (
        say("at least {validator_value}", validator_value=error.validator_value)
        if fewer
        else say("at most {validator_value}", validator_value=f"{error.validator_value:,}")
    )
    example = _example(error.schema, _last_key(error)) if fewer else ""
    values = {"where": _where(error), "count": f"{len(error.instance):,}", "limit": limit}
    if fewer:
        hint: Hint = say("for example {example}", example=example) if example else ""
        return "empty", say("{where} has {count} items; {limit} are needed.", **values), hint
    return "too_many", say("{where} has {count} items; {limit} are allowed.", **values), ""


def _range(error: ValidationError) -> tuple[str, Text, Hint]:
    word = {
        "minimum": say("at least"),
        "exclusiveMinimum": say("more than"),
        "maximum": say("at most"),
        "exclusiveMaximum": say("less than"),
    }
    limit = say("{than} {value}", than=word[str(error.validator)], value=error.validator_value)
    return (
        "out_of_range",
        say(
            "{where} is {instance}; it must be {limit}.",
            where=_where(error),
            instance=short(error.instance),
            limit=limit,
        ),
        "",
    )


def _unique(error: ValidationError) -> tuple[str, Text, Hint]:
    return "duplicate", say("{where} lists something twice.", where=_where(error)), say("keep one of them")


def _other(error: ValidationError) -> tuple[str, Text, Hint]:
    example = _example(error.schema, _last_key(error))
    return (
        "bad_value",
        say("{where}: {message}.", where=_where(error), message=error.message[:200]),
        say("for example {example}", example=example) if example else "",
    )


_DESCRIPTIONS: Mapping[str, Callable[[ValidationError], tuple[str, Text, Hint]]] = {
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
