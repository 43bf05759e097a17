"""Browser sessions, for browsers only: a call with a bearer token neither reads nor writes a session cookie.

Flask would check and prepare the signed cookie for every request. For a program that calls the API that is a tenth of
the whole request, and a cookie it never asked for.
"""

from __future__ import annotations

from flask import Flask, Request, Response
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin


class TokenSession(SecureCookieSession):
    """The empty session of a call with a token; what is put into it is gone after the call."""


class BrowserSessions(SecureCookieSessionInterface):
    """Flask's signed cookie, left out for calls with a token."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """The session of the cookie, or an empty one for a call with a token."""
        if "HTTP_AUTHORIZATION" in request.environ:
            return TokenSession()
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Writes the cookie of a browser."""
        if not isinstance(session, TokenSession):
            super().save_session(app, session, response)
