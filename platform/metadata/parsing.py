"""One metadata document read strictly: JSON, and nothing that a later step could make no sense of.

``parse`` collects what is wrong with a text: malformed JSON (with line and column, and a guess at the cause), the same
key twice, more than 10 MB or 100,000 values, nesting deeper than 40, numbers and characters that a database cannot
keep.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from ratoon.platform.errors import Finding, Hint, Text, say

MAX_BYTES = 10_000_000
"""Largest document."""
MAX_DEPTH = 40
MAX_VALUES = 100_000
"""Values (objects, lists, texts, numbers) in one document."""

_UNKEEPABLE = re.compile("[\x00\ud800-\udfff]")


def parse(file: str, content: bytes, findings: list[Finding]) -> Mapping[str, Any] | None:
    """The JSON object in ``content``; ``None`` after adding to ``findings`` why there is none."""

    def refuse(code: str, message: Text, hint: Hint = "", pointer: str = "") -> None:
        findings.append(Finding(file, pointer, code, message, hint))

    if len(content) > MAX_BYTES:
        refuse(
            "too_large",
            say(
                "The document has {count} bytes; at most {max_bytes} are read.",
                count=f"{len(content):,}",
                max_bytes=f"{MAX_BYTES:,}",
            ),
        )
        return None
    try:
        text = content.decode("utf-8-sig")
        data = json.loads(text, object_pairs_hook=_pairs, parse_constant=_no_constant, parse_float=_finite)
    except UnicodeDecodeError as error:
        refuse("not_utf8", say("Byte {start} is not UTF-8.", start=error.start), say("save the file as UTF-8"))
        return None
    except json.JSONDecodeError as error:
        refuse(
            "malformed_json",
            say("Line {lineno}, column {colno}: {msg}.", lineno=error.lineno, colno=error.colno, msg=error.msg),
            _json_hint(text, error),
        )
        return None
    except RecursionError:
        refuse("too_deep", say("Brackets are nested more than {max_depth} deep.", max_depth=MAX_DEPTH))
        return None
    except ValueError as error:
        refuse(
            "bad_number",
            say(
                "A number cannot be kept: {error}.",
                error=error.args[0] if isinstance(error.args[0], Text) else str(error)[:80],
            ),
        )
        return None
    problems = list(_unkeepable(data))
    for pointer, code, message, hint in problems:
        refuse(code, message, hint, pointer)
    if not isinstance(data, dict):
        refuse("not_an_object", say("A document is a JSON object: { … }."))
        return None
    return None if problems else data


class _Repeated(dict[str, Any]):
    """A JSON object in which a key occurred twice."""

    repeated: tuple[str, ...] = ()


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) == len(pairs):
        return data
    seen: set[str] = set()
    marked = _Repeated(data)
    marked.repeated = tuple(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return marked


def _no_constant(name: str) -> NoReturn:
    raise ValueError(say("{name} is not JSON", name=name))


def _finite(text: str) -> float | int:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(say("{text} is out of range", text=text))
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def _json_hint(text: str, error: json.JSONDecodeError) -> Hint:
    before = text[: error.pos].rstrip()
    if before.endswith(",") and text[error.pos : error.pos + 1] in "}]":
        return say("JSON has no comma after the last item")
    if text[error.pos : error.pos + 1] == "'":
        return say('JSON texts stand in double quotes: "…"')
    if text[error.pos : error.pos + 2] in {"//", "/*"}:
        return say('JSON has no comments; put the words into "description"')
    if "delimiter" in error.msg and before[-1:] in {'"', "}", "]"}:
        return say("probably a comma is missing before this place")
    return ""


def _unkeepable(data: Any) -> Iterator[tuple[str, str, Text, Hint]]:
    """(pointer, code, message, hint) of everything parsed that must not be kept."""
    stack: list[tuple[str, int, Any]] = [("", 0, data)]
    seen = 0
    while stack:
        pointer, depth, value = stack.pop()
        seen += 1
        if seen > MAX_VALUES:
            yield (
                "",
                "too_large",
                say("The document has more than {max_values} values.", max_values=f"{MAX_VALUES:,}"),
                say("split it"),
            )
            return
        if depth > MAX_DEPTH:
            yield pointer, "too_deep", say("Brackets are nested more than {max_depth} deep.", max_depth=MAX_DEPTH), ""
            return
        if isinstance(value, str):
            if _UNKEEPABLE.search(value):
                yield (
                    pointer,
                    "bad_character",
                    say("The text has a NUL or half a surrogate pair."),
                    say("remove the character"),
                )
        elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**18:
            yield pointer, "bad_number", say("The whole number has more than 18 digits."), ""
        elif isinstance(value, dict):
            if isinstance(value, _Repeated):
                for key in value.repeated:
                    yield (
                        f"{pointer}/{escape(key)}",
                        "duplicate_key",
                        say("The key {key} occurs twice.", key=repr(key)),
                        say("keep one of them"),
                    )
            for key, item in value.items():
                if _UNKEEPABLE.search(key):
                    yield (
                        pointer,
                        "bad_character",
                        say("A key has a NUL or half a surrogate pair."),
                        say("remove the character"),
                    )
                    continue
                stack.append((f"{pointer}/{escape(key)}", depth + 1, item))
        elif isinstance(value, list):
            stack.extend((f"{pointer}/{i}", depth + 1, item) for i, item in enumerate(value))


def escape(step: object) -> str:
    """One step of a JSON pointer (RFC 6901)."""
    return str(step).replace("~", "~0").replace("/", "~1")
