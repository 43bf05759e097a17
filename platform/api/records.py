"""Records over HTTP. Every view is the same three steps: read the call, one call of the service, write the answer.

========================================= ==================================================================
``GET /records/{object}``                 a page: filter, sort, limit, cursor, fields, expand, view, deleted, count
``POST /records/{object}``                make one record (an object) or many (a list), all or none
``PATCH /records/{object}``               change many: a list of ``{"id", "version"?, …}``
``GET|PATCH|DELETE …/{id}``               one record; ``If-Match: "<version>"`` refuses a stale change
``POST …/{id}/restore``                   bring a deleted record back
``GET …/{id}/history|stages``             what was changed; which stages it was in
``GET …/{id}/explain/{field}``            why a formula or rollup field has its value
``PUT …/{field}/{value}``                 make or change the record with that external id
``PUT …/{field}``                         the same for a list
``GET …/aggregate``                       counts, sums, minima, maxima, averages per group
``GET …/export``                          the list as CSV, for who has the right ``export``
========================================= ==================================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request

from ratoon.platform.api.body import BadBody, an_object, flag, known_parameters, objects, whole_number, words
from ratoon.platform.api.context import Api, answer, answer_value, empty, record_id
from ratoon.platform.api.repeats import Repeats
from ratoon.platform.errors import BadRequest, Stale
from ratoon.platform.formulas.batch import write_value
from ratoon.platform.formulas.explain import sentence
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.explaining import explain_field
from ratoon.platform.records.reading import Query
from ratoon.platform.records.service import RecordService
from ratoon.platform.records.taking_out import as_csv

LIST_PARAMETERS = ("filter", "sort", "limit", "cursor", "fields", "expand", "view", "deleted", "count")
EXPORT_PARAMETERS = ("filter", "sort", "fields", "view")
ONE_PARAMETERS = ("fields", "expand")
WRITE_PARAMETERS = ("acknowledge",)
AGGREGATE_PARAMETERS = ("filter", "group_by", "measures", "limit")
LARGEST_PAGE = 500
_ETAG = re.compile(r'(?:W/)?"([0-9]{1,15})"')


class RecordViews:
    """The views of records."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._repeats = Repeats(api)

    def register(self, blueprint: Blueprint) -> None:
        """Adds the routes."""
        one = "/records/<object>/<id>"
        blueprint.add_url_rule("/records/<object>", "list", self.page, methods=["GET"])
        blueprint.add_url_rule("/records/<object>", "create", self.create, methods=["POST"])
        blueprint.add_url_rule("/records/<object>", "update_many", self.update_many, methods=["PATCH"])
        blueprint.add_url_rule("/records/<object>/aggregate", "aggregate", self.aggregate, methods=["GET"])
        blueprint.add_url_rule("/records/<object>/export", "export", self.export, methods=["GET"])
        blueprint.add_url_rule(one, "read", self.read, methods=["GET"])
        blueprint.add_url_rule(one, "update", self.update, methods=["PATCH"])
        blueprint.add_url_rule(one, "delete", self.delete, methods=["DELETE"])
        blueprint.add_url_rule(f"{one}/restore", "restore", self.restore, methods=["POST"])
        blueprint.add_url_rule(f"{one}/history", "history", self.history, methods=["GET"])
        blueprint.add_url_rule(f"{one}/stages", "stages", self.stages, methods=["GET"])
        blueprint.add_url_rule(f"{one}/explain/<field>", "explain", self.explain, methods=["GET"])
        blueprint.add_url_rule("/records/<object>/<field>", "upsert_many", self.upsert_many, methods=["PUT"])
        blueprint.add_url_rule("/records/<object>/<field>/<anything:value>", "upsert", self.upsert, methods=["PUT"])

    def page(self, object: str) -> Response:
        """A page of records."""
        actor = self._api.actor()
        given = self._api.parameters(LIST_PARAMETERS)
        query = Query(
            object=object,
            filter=given.get("filter") or None,
            sort=words(given, "sort"),
            limit=whole_number(given, "limit", 50, LARGEST_PAGE),
            cursor=given.get("cursor") or None,
            fields=_fields(given),
            expand=words(given, "expand") or (),
            view=given.get("view") or None,
            deleted=flag(given, "deleted"),
            count=flag(given, "count"),
            written=True,
        )
        with self._api.environment.read(actor) as records:
            page = records.list(query)
        beside: dict[str, Any] = {"next_cursor": page.next_cursor}
        if query.count:
            beside["total"] = page.total
        return answer(self._writer(records).many(object, page.records, **beside))

    def export(self, object: str) -> Response:
        """A list as CSV, for who has the right to take it out."""
        actor = self._api.actor()
        given = known_parameters(request, EXPORT_PARAMETERS)
        query = Query(
            object=object,
            filter=given.get("filter") or None,
            sort=words(given, "sort"),
            fields=_fields(given),
            view=given.get("view") or None,
        )
        text = self._api.environment.transact(actor, lambda records: as_csv(records, query))
        headers = {"Content-Disposition": f'attachment; filename="{object}.csv"', "X-Content-Type-Options": "nosniff"}
        return Response(text.encode(), 200, headers, content_type="text/csv; charset=utf-8")

    def read(self, object: str, id: str) -> Response:
        """One record."""
        actor = self._api.actor()
        given = self._api.parameters(ONE_PARAMETERS)
        with self._api.environment.read(actor) as records:
            record = records.get(
                object, record_id(id, object), fields=_fields(given), expand=words(given, "expand") or ()
            )
        return self._one(records, object, record)

    def create(self, object: str) -> Response:
        """One new record, or a list of them. Honours ``Idempotency-Key``."""
        actor = self._api.actor()
        acknowledge = self._acknowledge()
        body = self._api.body()
        many = isinstance(body, list)
        values = objects(body) if many else [an_object(body)]

        def work(records: RecordService) -> tuple[RecordService, list[dict[str, Any]]]:
            return records, records.create(object, values, acknowledge=acknowledge)

        def shown(done: tuple[RecordService, list[dict[str, Any]]]) -> Response:
            records, made = done
            if many:
                return answer(self._writer(records).many(object, made), 201)
            return self._one(records, object, made[0], 201)

        return self._repeats.once(actor, work, shown)

    def update(self, object: str, id: str) -> Response:
        """Changes one record."""
        actor = self._api.actor()
        acknowledge = self._acknowledge()
        change = self._change({**self._api.object_body(), "id": record_id(id, object)}, object, self._if_match())

        def work(records: RecordService) -> tuple[RecordService, dict[str, Any]]:
            (changed,) = self._updated(records, object, [change], acknowledge)
            return records, changed

        records, changed = self._api.environment.transact(actor, work)
        return self._one(records, object, changed)

    def update_many(self, object: str) -> Response:
        """Changes a list of records, all or none."""
        actor = self._api.actor()
        acknowledge = self._acknowledge()
        body = self._api.body()
        if not isinstance(body, list):
            raise BadBody("The body is a list of objects, each with the id of the record to change.")
        changes = [self._change(item, object, None) for item in objects(body)]

        def work(records: RecordService) -> Response:
            return answer(self._writer(records).many(object, self._updated(records, object, changes, acknowledge)))

        return self._api.environment.transact(actor, work)

    def delete(self, object: str, id: str) -> Response:
        """Deletes one record."""
        actor = self._api.actor()
        known_parameters(request, ())
        version, record = self._if_match(), record_id(id, object)
        versions = None if version is None else {record: version}

        def work(records: RecordService) -> Response:
            try:
                records.delete(object, [record], versions)
            except Stale as error:
                raise self._shown(records, object, error) from None
            return empty()

        return self._api.environment.transact(actor, work)

    def restore(self, object: str, id: str) -> Response:
        """Brings one deleted record back."""
        actor = self._api.actor()
        known_parameters(request, ())
        record = record_id(id, object)

        def work(records: RecordService) -> Response:
            return self._one(records, object, records.restore(object, [record])[0])

        return self._api.environment.transact(actor, work)

    def upsert(self, object: str, field: str, value: str) -> Response:
        """Makes or changes the record with that external id."""
        actor = self._api.actor()
        acknowledge = self._acknowledge()
        values = self._api.object_body()
        if str(values.setdefault(field, value)) != value:
            raise BadRequest("The address says {value}, the body says another {field}.", field=field, value=value)

        def work(records: RecordService) -> Response:
            ((record, made),) = records.upsert(object, field, [values], acknowledge=acknowledge)
            return self._one(records, object, record, 201 if made else 200)

        return self._api.environment.transact(actor, work)

    def upsert_many(self, object: str, field: str) -> Response:
        """Makes or changes a list of records, each named by its external id in the body."""
        actor = self._api.actor()
        acknowledge = self._acknowledge()
        body = self._api.body()
        if not isinstance(body, list):
            raise BadBody("The body is a list of objects, each with the external id {field}.", field=field)
        values = objects(body)

        def work(records: RecordService) -> Response:
            done = records.upsert(object, field, values, acknowledge=acknowledge)
            rows = [record for record, _ in done]
            return answer(self._writer(records).many(object, rows, created=[made for _, made in done]))

        return self._api.environment.transact(actor, work)

    def aggregate(self, object: str) -> Response:
        """Figures per group."""
        actor = self._api.actor()
        given = self._api.parameters(AGGREGATE_PARAMETERS)
        measures = tuple(_measure(word) for word in words(given, "measures") or ("count",))
        with self._api.environment.read(actor) as records:
            groups = records.aggregate(
                object,
                group_by=words(given, "group_by") or (),
                measures=measures,
                filter=given.get("filter") or None,
                limit=whole_number(given, "limit", 1000, 1000),
            )
        writer = self._writer(records)
        return answer_value({"groups": [writer.ready(object, dict(group)) for group in groups]})

    def history(self, object: str, id: str) -> Response:
        """What was changed on a record."""
        actor = self._api.actor()
        given = known_parameters(request, ("limit",))
        with self._api.environment.read(actor) as records:
            entries = records.history(object, record_id(id, object), whole_number(given, "limit", 100, LARGEST_PAGE))
        return answer_value({"entries": entries})

    def stages(self, object: str, id: str) -> Response:
        """The stages a record was in."""
        actor = self._api.actor()
        known_parameters(request, ())
        with self._api.environment.read(actor) as records:
            periods = records.stage_history(object, record_id(id, object))
        return answer_value({"periods": periods})

    def explain(self, object: str, id: str, field: str) -> Response:
        """Why a formula or rollup field has its value."""
        actor = self._api.actor()
        known_parameters(request, ())
        with self._api.environment.read(actor) as records:
            found = explain_field(records, object, record_id(id, object), field)
        part = found.part
        value: dict[str, Any] = {"field": field, "value": write_value(found.value)}
        value["formula"] = found.formula or None
        value["hidden"] = found.hidden
        value["sentence"] = sentence(part, self._api.text) if part is not None else None
        value["part"] = part.json() if part is not None else None
        value["records"] = [{"id": r.id, "title": r.title, "value": write_value(r.value)} for r in found.records]
        value["more"] = found.more
        return answer_value(value)

    def _one(self, records: RecordService, object: str, record: dict[str, Any], status: int = 200) -> Response:
        headers = {"ETag": f'"{record["version"]}"'}
        if status == 201:
            headers["Location"] = f"{self._api.base}/records/{object}/{record['id']}"
        return answer(self._writer(records).one(object, record), status, headers)

    def _writer(self, records: RecordService) -> Any:
        return self._api.writer(records.engine.registry)

    def _acknowledge(self) -> bool:
        return flag(known_parameters(request, WRITE_PARAMETERS), "acknowledge")

    def _updated(
        self, records: RecordService, object: str, changes: list[Change], acknowledge: bool
    ) -> list[dict[str, Any]]:
        try:
            return records.update(object, changes, acknowledge=acknowledge)
        except Stale as error:
            raise self._shown(records, object, error) from None

    def _shown(self, records: RecordService, object: str, error: Stale) -> Stale:
        """The same refusal with the current record as this caller may see it."""
        readable = records.engine.policy.readable_keys(records.actor, object)
        kept = {key: value for key, value in error.current.items() if key in readable}
        params = {name: value for name, value in error.params.items() if name != "yours"}
        current = self._writer(records).ready(object, kept)
        return Stale(error.message, yours=error.yours, current=current, **params)

    def _change(self, item: dict[str, Any], object: str, version: int | None) -> Change:
        values = dict(item)
        named = values.pop("id", None)
        if not isinstance(named, str):
            raise BadBody("Every item has the id of the record to change.", field="id")
        seen = values.pop("version", None)
        if seen is not None and (not isinstance(seen, int) or isinstance(seen, bool)):
            raise BadBody("version is a whole number.", field="version")
        return Change(record_id(named, object), values, version if version is not None else seen)

    def _if_match(self) -> int | None:
        header = request.headers.get("If-Match")
        if header is None or header.strip() == "*":
            return None
        found = _ETAG.fullmatch(header.strip())
        if found is None:
            raise BadRequest('If-Match is the ETag of the record, such as "3".', field="If-Match")
        return int(found[1])


def _fields(given: Mapping[str, str]) -> tuple[str, ...] | None:
    """The fields to return: those asked for and the lookups to expand; ``None`` = all."""
    asked = words(given, "fields")
    return None if asked is None else (*asked, *(words(given, "expand") or ()))


def _measure(word: str) -> tuple[str, str | None]:
    """``count`` or ``sum:amount``."""
    operation, _, key = word.partition(":")
    if not key and operation != "count":
        raise BadRequest("A measure is count, or an operation and a field: sum:amount.", field="measures")
    return operation, key or None
