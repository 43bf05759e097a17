"""What every resource of the API works with: the environment, the caller, and how answers are written."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from flask import Response, request
from werkzeug.datastructures import Headers

from ratoon.platform.access.actor import Actor
from ratoon.platform.api.aliases import in_body, in_parameters
from ratoon.platform.api.auth import Callers
from ratoon.platform.api.body import an_object, known_parameters, read_json
from ratoon.platform.api.problems import Translator, locale_of
from ratoon.platform.api.rows import Writer, to_json
from ratoon.platform.environment import Environment
from ratoon.platform.errors import NotFound, told
from ratoon.platform.metadata.model import Registry

JSON = "application/json"
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Api:
    """One mounted API."""

    def __init__(self, environment: Environment, callers: Callers, translator: Translator, base: str) -> None:
        self.environment = environment
        self.base = base
        """The path it is mounted at: ``/api/v1``."""
        self._callers = callers
        self._translator = translator
        self._writer = Writer(environment.registry)

    def actor(self) -> Actor:
        """Who is calling. Raises ``Unauthenticated``."""
        return self._callers.actor(request)

    def body(self) -> Any:
        """The JSON that was sent; a list is remembered, since pointers to problems then start with a place in it."""
        value = read_json(request, self.environment.settings.max_body_bytes)
        if isinstance(value, list):
            request.environ["ratoon.listed"] = True
        return in_body(self.environment.registry.aliases, value)

    def object_body(self) -> dict[str, Any]:
        """The JSON object that was sent."""
        value = an_object(read_json(request, self.environment.settings.max_body_bytes))
        return dict(in_body(self.environment.registry.aliases, value))

    def parameters(self, known: Collection[str]) -> Mapping[str, str]:
        """The query parameters. Raises ``UnknownParameter`` for one that is not ``known``."""
        return in_parameters(self.environment.registry.aliases, known_parameters(request, known))

    def writer(self, registry: Registry) -> Writer:
        """The writer of records of that snapshot."""
        writer = self._writer
        if writer.registry is not registry:
            writer = self._writer = Writer(registry)
        return writer

    def label(self, registry: Registry, text: str, package: str) -> str:
        """A label of metadata in the language of the request."""
        return registry.text(text, self.locale(), package) if text else text

    def locale(self) -> str:
        """The locale that the request asks for."""
        return locale_of(request.headers.get("Accept-Language", ""))

    def told(self, value: Any) -> Any:
        """A text, or every text in lists and mappings, in the language of the request."""
        return told(value, self._translator(self.locale()))

    def text(self, template: str) -> str:
        """A text of the platform in the language of the request."""
        return self._translator(self.locale())(template)


def record_id(text: str, object: str) -> str:
    """The id in an address. Raises ``NotFound`` for what cannot be one: there is no such record."""
    if not _ID.fullmatch(text):
        raise NotFound("There is no {object} with id {id}.", object=object, id=text[:60])
    return text.lower()


class Answer(Response):
    """A response whose headers are complete when it is made: its length is known, its addresses are plain ASCII.

    Werkzeug would go through them once more for every answer, which takes a twentieth of a call.
    """

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """The headers as they are."""
        return self.headers


def answer(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response from bytes."""
    return Answer(body, status, headers, content_type=JSON)


def answer_value(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response from a value."""
    return answer(to_json(value), status, headers)


def empty() -> Response:
    """A response that says only that it is done."""
    made = Response(status=204)
    made.headers.remove("Content-Type")
    return made
