"""A request during a change of the metadata: it is answered once more, under the names of now.

A process looks at the revision every quarter of a second. A request that reads in between may name a column that was
just renamed; the database says so, this process looks again, and the request starts anew. Writers look at the revision
inside their transaction and never meet this.
"""

from __future__ import annotations

from flask import Blueprint, current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from ratoon.platform.environment import Environment
from ratoon.platform.errors import RatoonError
from ratoon.platform.storage.database import SchemaMoved

_AGAIN = "ratoon.again"


def answer_again(blueprint: Blueprint, environment: Environment) -> None:
    """Lets the whole application answer such a request a second time, never a third."""

    @blueprint.app_errorhandler(SchemaMoved)
    def again(error: SchemaMoved) -> ResponseReturnValue:
        if request.environ.get(_AGAIN):
            raise error
        request.environ[_AGAIN] = True
        environment.look_again()
        try:
            return current_app.ensure_sync(current_app.dispatch_request)()
        except (RatoonError, HTTPException) as refused:
            return current_app.handle_user_exception(refused)
