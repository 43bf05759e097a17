"""Refusals as pages: one table from the platform's errors to a status and words. What was typed is never lost."""

from __future__ import annotations

from flask import Response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from ratoon.platform.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    LoopStopped,
    NotFound,
    RatoonError,
    Stale,
    TooMany,
    ValidationFailed,
)
from ratoon.ui.problems import error_text
from ratoon.ui.screen import Screen, wants_fragment

STATUS: tuple[tuple[type[RatoonError], int], ...] = (
    (NotFound, 404),
    (Forbidden, 403),
    (BadRequest, 400),
    (ValidationFailed, 422),
    (Stale, 409),
    (Conflict, 409),
    (LoopStopped, 422),
    (TooMany, 429),
)
"""The first that fits counts."""
_SECRET_INPUTS = frozenset({"csrf_token", "password", "new", "code"})
_MOST_KEPT = 200_000


def status_of(error: Exception) -> int:
    """The HTTP status of an error; 500 for what nobody foresaw."""
    if isinstance(error, HTTPException):
        return error.code or 500
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def heading_of(status: int) -> str:
    """What an error page says in large letters."""
    return {
        400: _("This cannot be understood"),
        403: _("You may not do this"),
        404: _("Not found"),
        405: _("This does not work here"),
        409: _("This does not fit what is stored"),
        413: _("That is too large"),
        422: _("Something is not right yet"),
        429: _("Too many attempts"),
    }.get(status, _("Something went wrong"))


def explanation_of(error: Exception, screen: Screen | None, limit: int) -> str:
    """What happened, in the reader's language; nothing internal."""
    if isinstance(error, CSRFError):
        return _("The form was open for too long or came from elsewhere. Nothing was saved; send it again.")
    if isinstance(error, RatoonError):
        return error_text(screen, error) if screen else error.text(_)
    status = status_of(error)
    if status == 413:
        return _("At most %(size)s MB fit in one form.", size=limit // (1024 * 1024))
    if status == 404:
        return _("There is nothing at this address, or you may not see it.")
    if status == 405:
        return _("This address does not take this kind of request.")
    return _("It was noted, and nothing was saved. Please try again.")


def error_page(error: Exception, screen: Screen | None, limit: int) -> ResponseReturnValue:
    """The page for an error. After a POST it carries the input, ready to be sent again."""
    status = status_of(error)
    explanation = explanation_of(error, screen, limit)
    if wants_fragment():
        body = render_template("_refused.html", explanation=explanation)
        return Response(body, status, {"HX-Retarget": "#flash", "HX-Reswap": "innerHTML"})
    posted: list[tuple[str, str]] = []
    if request.method == "POST" and status in (400, 403, 409, 422, 500):
        posted = [(k, v) for k, values in request.form.lists() for v in values if k not in _SECRET_INPUTS]
        if sum(len(v) for _k, v in posted) > _MOST_KEPT:
            posted = []
    kept = [(k, v) for k, v in posted if v and not k.startswith("__") and "__" not in k]
    page = render_template(
        "error.html", screen=screen, current="", status=status, heading=heading_of(status), explanation=explanation,
        posted=posted, kept=kept,
    )  # fmt: skip
    return page, status
