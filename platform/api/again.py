"""A request during a change of the metadata: it is answered once more, under the names of now.

A process looks at the revision every quarter of a second. A request that reads in between may name a column that was
just renamed; the database says so, this process looks again, and the request starts anew. Writers look at the revision
inside their transaction; but what they were sent was put into the names of the revision that this process knew before
(``aliases.py``), and may be refused under those of now. Such a refusal is not told either while the request can be
answered under the revision that refused it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from ratoon.platform.api.aliases import in_address
from ratoon.platform.environment import Environment
from ratoon.platform.errors import RatoonError
from ratoon.platform.storage.database import SchemaMoved

_AGAIN, _BEGUN = "ratoon.again", "ratoon.begun"
Refused = Callable[[RatoonError], ResponseReturnValue]


def answer_again(blueprint: Blueprint, environment: Environment, refused: Refused) -> None:
    """Lets the whole application answer such a request a second time, never a third. Other refusals of the API are
    told by ``refused``."""

    @blueprint.url_value_preprocessor
    def in_names_of_now(endpoint: str | None, values: dict[str, Any] | None) -> None:
        registry = environment.registry
        request.environ[_BEGUN] = registry.revision
        in_address(registry.aliases, values)

    @blueprint.app_errorhandler(SchemaMoved)
    def moved(error: SchemaMoved) -> ResponseReturnValue:
        if request.environ.get(_AGAIN):
            raise error
        environment.look_again()
        return _again()

    @blueprint.errorhandler(RatoonError)
    def told(error: RatoonError) -> ResponseReturnValue:
        values = request.view_args or {}
        if request.environ.get(_AGAIN) or "object" not in values:
            return refused(error)
        if request.environ.get(_BEGUN) == environment.registry.revision:
            return refused(error)
        in_address(environment.registry.aliases, request.view_args)
        return _again()


def _again() -> ResponseReturnValue:
    request.environ[_AGAIN] = True
    try:
        return current_app.ensure_sync(current_app.dispatch_request)()
    except (RatoonError, HTTPException) as refused:
        return current_app.handle_user_exception(refused)
