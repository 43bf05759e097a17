"""How every refusal looks over HTTP: one table from code to status, one shape (RFC 9457 problem documents).

    {"type": "/api/v1/docs#problem-stale_version", "title": "Somebody else saved first", "status": 409,
     "code": "stale_version", "detail": "…", "errors": [{"field", "code", "message", "pointer", …}]}

``code`` is stable and is what programs look at; ``detail`` and ``message`` are for people, in the language of the
request's ``Accept-Language``. ``pointer`` is a JSON pointer into the body that was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import orjson
from flask import Response, request
from werkzeug.exceptions import HTTPException

from ratoon.platform.api.rows import json_default
from ratoon.platform.errors import (
    BadRequest,
    FormulaError,
    LoopStopped,
    MetadataRefused,
    Problem,
    RatoonError,
    Stale,
    TooMany,
    Translate,
    ValidationFailed,
    fill,
    told,
)
from ratoon.platform.packages import DataRefuses, Destructive, MergeConflict, SettingsMissing, TestsFailed

CONTENT_TYPE = "application/problem+json"
Translator = Callable[[str], Translate]
"""A locale (``en``, ``zh-Hans``, ``zh-Hant``) → what translates message templates into it."""
LOCALES = ("en", "zh-Hans", "zh-Hant")
LABELS = frozenset({"label", "controller", "stage", "before", "pipeline", "task"})
"""Parameters of messages that are texts of metadata."""
_LANGUAGES = MappingProxyType(
    {
        "en": "en",
        "zh-hant": "zh-Hant",
        "zh-tw": "zh-Hant",
        "zh-hk": "zh-Hant",
        "zh-mo": "zh-Hant",
        "zh": "zh-Hans",
    }
)
"""The start of a language tag → our locale; the first that fits counts."""

STATUS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "error": (400, "The call was refused"),
        "bad_request": (400, "The call cannot be understood"),
        "malformed_json": (400, "The body is not the JSON that is expected"),
        "duplicate_key": (400, "A key stands twice in one object"),
        "unknown_parameter": (400, "There is no such parameter"),
        "formula": (400, "The formula is wrong"),
        "unauthenticated": (401, "Sign in, or show a token that works"),
        "csrf": (403, "The page is out of date"),
        "forbidden": (403, "Not allowed"),
        "not_found": (404, "Not found"),
        "method_not_allowed": (405, "Not possible here"),
        "conflict": (409, "The state of the data does not allow it"),
        "stale_version": (409, "Somebody else saved first"),
        "drifted": (409, "The metadata was changed since it was planned"),
        "remote_refused": (409, "The other environment refused"),
        "unreachable": (502, "The other environment does not answer"),
        "settings_missing": (409, "The package asks for settings"),
        "secret_key_missing": (409, "The key that encrypts secrets is missing"),
        "secret_key_wrong": (409, "A secret was encrypted with another key"),
        "tests_failed": (409, "Tests that the packages carry fail"),
        "metadata_locked": (409, "The metadata is being changed"),
        "merge_conflict": (409, "The new version and local edits changed the same places"),
        "destructive": (409, "The change takes something away"),
        "data_refuses": (409, "The records do not allow the change"),
        "busy": (409, "Others are writing the same data; try again"),
        "body_too_large": (413, "The body is too large"),
        "unsupported_media_type": (415, "The body must be JSON"),
        "invalid": (422, "A value is not what its field takes"),
        "validation_failed": (422, "The record was refused"),
        "automation_loop": (422, "Automations go round in a circle"),
        "automation_budget": (422, "Automations want too much in one transaction"),
        "metadata_refused": (422, "The metadata has problems"),
        "template_failed": (422, "The template cannot be filled in"),
        "some_failed": (409, "Some records of the run failed"),
        "given_up": (409, "The run failed for good"),
        "undelivered": (502, "It could not be sent"),
        "throttled": (429, "A limit per minute is reached"),
        "bad_setting": (500, "A setting is wrong"),
        "too_many": (429, "Too many calls"),
        "provider_failed": (502, "The sign-in provider does not answer"),
        "provider_untrusted": (502, "The sign-in provider is not believed"),
        "idempotency_key_reused": (422, "The key was used for another call"),
        "plugin_failed": (500, "A plugin does not load"),
        "internal": (500, "Something went wrong here"),
    }
)
"""Every code with its status and title. A subclass of an error without a line of its own takes its parent's."""

_BY_STATUS = MappingProxyType(
    {400: "bad_request", 401: "unauthenticated", 403: "forbidden", 404: "not_found", 405: "method_not_allowed",
     413: "body_too_large", 415: "unsupported_media_type", 500: "internal"}
)  # fmt: skip


class Unauthenticated(RatoonError):
    """Nobody is signed in, or the token does not work (any more)."""

    code = "unauthenticated"


class CsrfRefused(RatoonError):
    """A browser call that changes something, without the page's token."""

    code = "csrf"


class MethodNotAllowed(RatoonError):
    """The address is right, the method is not."""

    code = "method_not_allowed"

    def __init__(self, message: str, *, allowed: tuple[str, ...], **params: Any) -> None:
        super().__init__(message, allowed=", ".join(allowed), **params)
        self.allowed = allowed


def status_of(error: RatoonError) -> tuple[str, int, str]:
    """Code, status and title of an error."""
    for kind in type(error).__mro__:
        known = STATUS.get(str(getattr(kind, "code", "")))
        if known is not None:
            return (error.code, *known)
    return (error.code, 400, error.code)


def locale_of(accept_language: str) -> str:
    """Our locale that fits an ``Accept-Language`` header best; English when none does."""
    ranked: list[tuple[float, int, str]] = []
    for place, part in enumerate(accept_language.split(",")[:20]):
        tag, _, rest = part.strip().lower().partition(";")
        quality = rest.strip().removeprefix("q=") if rest else "1"
        try:
            weight = float(quality)
        except ValueError:
            continue
        found = next((ours for start, ours in _LANGUAGES.items() if tag == start or tag.startswith(start + "-")), None)
        if found is not None and weight > 0:
            ranked.append((-weight, place, found))
    return min(ranked)[2] if ranked else "en"


def document(error: RatoonError, translate: Translate, *, listed: bool = False, base: str = "") -> dict[str, Any]:
    """The problem document of an error. ``listed``: the body was a list, so pointers start with a place in it."""
    code, status, title = status_of(error)
    made: dict[str, Any] = {
        "type": f"{base}/docs#problem-{code}",
        "title": translate(title),
        "status": status,
        "code": code,
        "detail": error.text(translate),
        "errors": [],
    }
    match error:
        case ValidationFailed():
            made["errors"] = [_error(problem, translate, listed) for problem in error.problems]
            made["detail"] = " ".join(found["message"] for found in made["errors"][:5])
        case Stale():
            made |= {"yours": error.yours, "current": dict(error.current)}
        case FormulaError():
            made |= {"formula_error": error.error_code, "position": error.position}
        case LoopStopped():
            made["cycle"] = list(error.cycle)
        case MetadataRefused():
            made["findings"] = [
                {
                    "file": finding.file,
                    "pointer": finding.pointer,
                    "code": finding.code,
                    "message": told(finding.message, translate),
                    "hint": told(finding.hint, translate),
                    "severity": finding.severity,
                }
                for finding in error.findings
            ]
        case Destructive():
            made["losses"] = told(error.losses, translate)
        case SettingsMissing():
            made["settings"] = [need.as_json() for need in error.missing]
        case TestsFailed():
            made["tests"] = [told(outcome.as_json(), translate) for outcome in error.outcomes]
        case MergeConflict():
            made["conflicts"] = [found.as_json() for found in error.disagreements]
        case DataRefuses():
            made["reasons"] = told(error.reasons, translate)
        case BadRequest() if error.field is not None:
            made["parameter"] = error.field
    return made


def _error(problem: Problem, translate: Translate, listed: bool) -> dict[str, Any]:
    place = f"/{problem.index or 0}" if listed else ""
    steps = () if problem.field is None else (problem.field, *problem.within)
    field = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    made: dict[str, Any] = {
        "field": problem.field,
        "code": problem.code,
        "message": _message(problem, translate),
        "pointer": place + field,
        "severity": problem.severity,
        "rule": problem.rule,
    }
    if problem.code == "duplicate":
        made["records"] = [{"id": id, "title": title} for id, title in problem.params.get("named", {}).items()]
    if listed:
        made["index"] = problem.index or 0
    return made


def _message(problem: Problem, translate: Translate) -> str:
    """The message with the labels in its places translated too."""
    params = {
        name: translate(value) if name in LABELS and isinstance(value, str) else value
        for name, value in problem.params.items()
    }
    return fill(problem.message, params, translate)


def response(made: Mapping[str, Any], headers: Mapping[str, str] = MappingProxyType({})) -> Response:
    """The HTTP response of a problem document."""
    body = orjson.dumps(made, default=json_default, option=orjson.OPT_UTC_Z)
    return Response(body, status=made["status"], headers=dict(headers), content_type=CONTENT_TYPE)


class Refusals:
    """Turns errors of one API into responses."""

    def __init__(self, translator: Translator, base: str) -> None:
        self._translator = translator
        self._base = base

    def refused(self, error: RatoonError) -> Response:
        """What a refusal of ours looks like."""
        translate = self._translator(locale_of(request.headers.get("Accept-Language", "")))
        headers: dict[str, str] = {}
        match error:
            case Unauthenticated():
                headers["WWW-Authenticate"] = 'Bearer realm="ratoon"'
            case MethodNotAllowed():
                headers["Allow"] = ", ".join(error.allowed)
            case TooMany():
                headers["Retry-After"] = str(error.seconds)
        if error.code == "busy":
            headers["Retry-After"] = "1"
        listed = bool(request.environ.get("ratoon.listed"))
        return response(document(error, translate, listed=listed, base=self._base), headers)

    def failed(self, error: HTTPException) -> Response:
        """What Werkzeug's own refusals look like."""
        number = error.code or 500
        code = _BY_STATUS.get(number, "bad_request")
        title = STATUS[code][1]
        translate = self._translator(locale_of(request.headers.get("Accept-Language", "")))
        made = {
            "type": f"{self._base}/docs#problem-{code}",
            "title": translate(title),
            "status": number,
            "code": code,
            "detail": translate(title),
            "errors": [],
        }
        return response(made)
