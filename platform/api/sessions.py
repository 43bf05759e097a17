"""Browser sessions, for pages only: neither a call with a bearer token nor a static file has to do with the cookie.

Flask would check and prepare the signed cookie for every request. For a program that calls the API that is a tenth of
the whole request, and a cookie it never asked for. A static file is the same for everybody and is kept by browsers.
"""

from __future__ import annotations

from flask import Flask, Request, Response
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin

STATIC = ("/static/", "/api/v1/static/")
"""Where static files are."""


class NoSession(SecureCookieSession):
    """The empty session of what has none; what is put into it is gone after the call."""


class BrowserSessions(SecureCookieSessionInterface):
    """Flask's signed cookie, left out for calls with a token."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """The session of the cookie, or an empty one for a call with a token and for a static file."""
        if "HTTP_AUTHORIZATION" in request.environ or request.path.startswith(STATIC):
            return NoSession()
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Writes the cookie of a browser."""
        if not isinstance(session, NoSession):
            super().save_session(app, session, response)
