"""The API describing itself: ``/openapi.json`` for programs, ``/docs`` for people.

The page is made from the same document, so it cannot say anything else. Without a sign-in it shows the conventions
and the list of refusals; with one, the objects and operations that this caller may use.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, render_template, request

from ratoon.platform.access.actor import Actor
from ratoon.platform.api.body import known_parameters
from ratoon.platform.api.context import Api, answer
from ratoon.platform.api.objects import readable_object
from ratoon.platform.api.openapi import CONVENTIONS, Documents, Published
from ratoon.platform.api.problems import STATUS, Unauthenticated

METHODS = ("get", "post", "put", "patch", "delete")


class DocumentViews:
    """The views of the OpenAPI document."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._documents = Documents(api.base)

    def register(self, blueprint: Blueprint) -> None:
        """Adds the routes."""
        blueprint.add_url_rule("/openapi.json", "openapi", self.openapi, methods=["GET"])
        blueprint.add_url_rule("/docs", "docs", self.docs, methods=["GET"])
        blueprint.add_url_rule("/docs/<object>", "docs_of", self.docs_of, methods=["GET"])

    def openapi(self) -> Response:
        """The OpenAPI 3.1 document for this caller."""
        actor = self._api.actor()
        known_parameters(request, ())
        published = self._published(actor)
        if request.headers.get("If-None-Match") == published.etag:
            return Response(status=304, headers={"ETag": published.etag})
        return answer(published.body, headers={"ETag": published.etag, "Vary": "Authorization, Accept-Language"})

    def docs(self) -> Response:
        """The first page: conventions, objects, refusals."""
        try:
            document = self._published(self._api.actor()).document
        except Unauthenticated:
            document = {"tags": [], "paths": {}, "info": {"title": "API"}}
        return self._page("index.html", document, _sections(document, "general", "metadata"), problems=STATUS)

    def docs_of(self, object: str) -> Response:
        """The page of one object."""
        actor = self._api.actor()
        obj = readable_object(self._api.environment.engine, actor, object)
        document = self._published(actor).document
        schemas = document["components"]["schemas"]
        return self._page(
            "object.html",
            document,
            _sections(document, object),
            name=object,
            label=self._api.label(self._api.environment.registry, obj.plural_label, obj.owner),
            record=schemas[object],
            required=schemas[f"{object}_new"].get("required", []),
        )

    def _published(self, actor: Actor) -> Published:
        environment = self._api.environment
        name = environment.settings.organization_name
        return self._documents.published(environment.engine, actor, self._api.locale(), name)

    def _page(self, template: str, document: dict[str, Any], operations: Any, **more: Any) -> Response:
        html = render_template(
            f"api/{template}",
            title=document["info"]["title"],
            tags=document.get("tags", []),
            base=self._api.base,
            conventions=[self._api.text(line) for line in CONVENTIONS],
            operations=operations,
            locale=self._api.locale(),
            type_of=type_of,
            **more,
        )
        headers = {
            "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        }
        return Response(html, headers=headers, content_type="text/html; charset=utf-8")


def _sections(document: dict[str, Any], *tags: str) -> list[dict[str, Any]]:
    """The operations with one of those tags: method, path, and what the document says of each."""
    return [
        {"method": method.upper(), "path": path, **operations[method]}
        for path, operations in document["paths"].items()
        for method in METHODS
        if method in operations and set(tags) & set(operations[method]["tags"])
    ]


def type_of(schema: dict[str, Any]) -> str:
    """A schema in a word or two: ``text``, ``integer``, ``list of text``, ``a | b``."""
    kinds = schema.get("type", "any")
    kinds = [kind for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind != "null"]
    named = schema.get("format") or "/".join(kinds)
    if "enum" in schema:
        values = [str(value) for value in schema["enum"] if value is not None]
        return " | ".join(values[:8]) + (" | …" if len(values) > 8 else "")
    if "array" in kinds:
        return f"list of {type_of(schema.get('items', {}))}"
    return str(named) + (f", at most {schema['maxLength']}" if "maxLength" in schema else "")
