"""People over HTTP: everything about one, what erasing would do, erasing.

=============================================== ====================================================================
``GET …/records/{object}/{id}/person``          everything about the person, as far as the caller may read it
``GET …/records/{object}/{id}/person/erasure``  what erasing would take away and what stays (administrators)
``POST …/records/{object}/{id}/person/erasure`` erases, when it is still what ``fingerprint`` stands for
=============================================== ====================================================================
"""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response, request

from ratoon.platform.api.access_shapes import ErasureShape
from ratoon.platform.api.body import known_parameters
from ratoon.platform.api.context import Api, answer_value, empty, record_id
from ratoon.platform.api.shapes import load
from ratoon.platform.jobs.keeping import drop_files
from ratoon.platform.records.persons import Persons


class PersonViews:
    """The views of people."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def register(self, blueprint: Blueprint) -> None:
        """Adds the routes."""
        one = "/records/<object>/<id>/person"
        for rule, endpoint, view, method in (
            (one, "person", self.everything, "GET"),
            (f"{one}/erasure", "plan_erasure", self.plan, "GET"),
            (f"{one}/erasure", "erase_person", self.erase, "POST"),
        ):
            blueprint.add_url_rule(rule, endpoint, view, methods=[method])

    def everything(self, object: str, id: str) -> Response:
        """Everything about a person."""
        actor, record = self._api.actor(), record_id(id, object)
        known_parameters(request, ())
        return answer_value(
            self._api.environment.transact(actor, lambda records: Persons(records).everything(object, record))
        )

    def plan(self, object: str, id: str) -> Response:
        """What erasing would do."""
        actor = self._api.actor()
        known_parameters(request, ())
        with self._api.environment.read(actor) as records:
            return answer_value(asdict(Persons(records).plan(object, record_id(id, object))))

    def erase(self, object: str, id: str) -> Response:
        """Erases a person."""
        actor, record = self._api.actor(), record_id(id, object)
        known_parameters(request, ())
        told = load(ErasureShape, self._api.object_body())["fingerprint"]
        environment = self._api.environment
        gone = environment.transact(actor, lambda records: Persons(records).erase(object, record, told))
        drop_files(environment, gone)
        return empty()
