"""The REST API: records, objects, metadata and the description of itself, mounted at ``/api/v1``.

``create_api(environment)`` gives the Flask blueprint. ``README.md`` says how to use it; ``problems.py`` lists every
refusal, ``operations.py`` every operation.
"""

from __future__ import annotations

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as WrongMethod
from werkzeug.exceptions import NotFound as NoRoute
from werkzeug.routing import BaseConverter, RequestRedirect

from ratoon.platform.api.access import AccessViews
from ratoon.platform.api.again import answer_again
from ratoon.platform.api.approvals import ApprovalViews
from ratoon.platform.api.audit import AuditViews
from ratoon.platform.api.auth import Callers
from ratoon.platform.api.context import Api
from ratoon.platform.api.docs import DocumentViews
from ratoon.platform.api.language import Languages
from ratoon.platform.api.metadata import MetadataViews
from ratoon.platform.api.objects import ObjectViews
from ratoon.platform.api.persons import PersonViews
from ratoon.platform.api.problems import MethodNotAllowed, Refusals
from ratoon.platform.api.records import RecordViews
from ratoon.platform.api.runs import RunViews
from ratoon.platform.environment import Environment
from ratoon.platform.errors import NotFound

BASE = "/api/v1"
NAME = "api"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
"""Security headers of every answer; a page of the description allows itself its own styles."""


class Anything(BaseConverter):
    """The rest of an address, whatever it is: slashes and line ends too."""

    regex = r"(?s:.+?)"
    part_isolating = False
    weight = 300


def create_api(environment: Environment) -> Blueprint:
    """The blueprint of the API. An application that checks CSRF tokens itself leaves it out: it checks its own."""
    folders = [folder for found in environment.plugins.hook.translation_folders() for folder in found]
    languages = Languages(environment, folders)
    callers = Callers(environment.database, environment.accounts, limits=environment.limits)
    api = Api(environment, callers, languages.translator, BASE)
    refusals = Refusals(languages.translator, BASE)
    blueprint = Blueprint(
        NAME, __name__, url_prefix=BASE, template_folder="templates", static_folder="static", static_url_path="/static"
    )
    blueprint.record(lambda state: state.app.url_map.converters.update(anything=Anything))
    records = (RecordViews(api), ApprovalViews(api), ObjectViews(api), PersonViews(api))
    for views in (*records, AccessViews(api), AuditViews(api), RunViews(api), MetadataViews(api), DocumentViews(api)):
        views.register(blueprint)
    blueprint.add_url_rule("/<anything:rest>", "nowhere", _nowhere, methods=METHODS, provide_automatic_options=False)
    answer_again(blueprint, environment, refusals.refused)
    blueprint.register_error_handler(HTTPException, refusals.failed)
    blueprint.after_request(_protect)
    return blueprint


def _protect(response: Response) -> Response:
    """An answer that is opened in a browser is never run, framed or taken for something else."""
    own = {name.lower() for name, _ in response.headers}
    response.headers.extend([(name, value) for name, value in HEADERS.items() if name.lower() not in own])
    return response


def _nowhere(rest: str) -> Response:
    """Any address that nothing else answers: an unknown one, or a known one with the wrong method."""
    allowed = tuple(method for method in METHODS if _answers(method))
    if allowed:
        raise MethodNotAllowed("{method} is not possible here.", method=request.method, allowed=allowed)
    raise NotFound("There is nothing at {path}.", path=request.path[:200])


def _answers(method: str) -> bool:
    adapter = current_app.create_url_adapter(request)
    if adapter is None:
        return False
    try:
        endpoint, _ = adapter.match(method=method)
    except (NoRoute, WrongMethod, RequestRedirect):
        return False
    return bool(endpoint != f"{NAME}.nowhere")
