"""Another environment, reached by its URL and an administrator's token: its documents, its plan, its apply.

Only what ``/api/v1/metadata/…`` offers is used. A token is a password: it is sent over HTTPS only, or to this machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ratoon.platform.errors import BadRequest, Conflict, RatoonError, say

API = "/api/v1"
PATIENCE_SECONDS = 600.0
"""How long an answer is waited for: applying to many records takes its time."""
MAX_ANSWER = 250_000_000
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})


class RemoteRefused(Conflict):
    """The other environment said no; ``problem`` is its answer."""

    code = "remote_refused"

    def __init__(self, url: str, problem: Mapping[str, Any]) -> None:
        said = str(problem.get("detail") or problem.get("title") or say("no reason"))
        super().__init__("The environment at {url} refused: {said}", url=url, said=said)
        self.problem = problem


class Unreachable(RatoonError):
    """The other environment does not answer, or not as one."""

    code = "unreachable"


class _NoRedirects(HTTPRedirectHandler):
    """A redirect would carry the token to a place that nobody named."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Remote:
    """An environment at a URL."""

    def __init__(self, url: str, token: str, *, insecure: bool = False, language: str = "en") -> None:
        """``insecure`` allows HTTP to other machines; its answers come in ``language``.

        Raises ``BadRequest`` for what is no such URL.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadRequest("{url} is no address of an environment: https://…", url=url)
        if parts.scheme == "http" and parts.hostname not in _HERE and not insecure:
            raise BadRequest("A token is not sent to {host} without HTTPS.", host=parts.hostname)
        if not token:
            raise BadRequest("A token of an administrator there is needed for {url}.", url=url)
        self.url = url.rstrip("/").removesuffix(API)
        self._token = token
        self._language = language
        self._opener = build_opener(_NoRedirects)

    def export(self, package: str | None = None) -> bytes:
        """Its documents as a zip file."""
        wanted = {"format": "zip", **({} if package is None else {"package": package})}
        return self._call("GET", "/metadata/export", wanted)

    def plan(self, files: Mapping[str, bytes], more: Mapping[str, Any], **options: str) -> dict[str, Any]:
        """What applying the files would change there; ``more`` has ``resolve`` and ``settings``."""
        return self._post("/metadata/plan", files, more, options)

    def apply(self, files: Mapping[str, bytes], more: Mapping[str, Any], **options: str) -> dict[str, Any]:
        """Applies the files there."""
        return self._post("/metadata/apply", files, more, options)

    def _post(
        self, path: str, files: Mapping[str, bytes], more: Mapping[str, Any], options: Mapping[str, str]
    ) -> dict[str, Any]:
        sent = {**more, "files": {name: content.decode() for name, content in files.items()}}
        answer = json.loads(self._call("POST", path, options, json.dumps(sent, ensure_ascii=False).encode()))
        if not isinstance(answer, dict):
            raise Unreachable("{url} does not answer as an environment.", url=self.url)
        return answer

    def _call(self, method: str, path: str, query: Mapping[str, str], body: bytes | None = None) -> bytes:
        address = f"{self.url}{API}{path}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json",
                   "Accept-Language": self._language}  # fmt: skip
        request = Request(address, data=body, headers=headers, method=method)
        try:
            with self._opener.open(request, timeout=PATIENCE_SECONDS) as answer:
                content: bytes = answer.read(MAX_ANSWER)
                return content
        except HTTPError as error:
            raise RemoteRefused(self.url, _problem(error)) from None
        except (URLError, TimeoutError, ConnectionError) as error:
            reason = getattr(error, "reason", error)
            raise Unreachable("{url} does not answer: {reason}", url=self.url, reason=str(reason)) from None


def _problem(error: HTTPError) -> dict[str, Any]:
    try:
        said = json.loads(error.read(10_000_000))
    except ValueError:
        said = None
    return said if isinstance(said, dict) else {"title": f"{error.code} {error.reason}"}
