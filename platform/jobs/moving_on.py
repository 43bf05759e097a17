"""Automatic moves that become due because time goes by: once an hour every record of such a stage is looked at.

A stage whose ``advance`` reads ``TODAY()``, ``NOW()`` or a field that does (``stage_due < NOW()``) is not moved by a
save, since nobody saves. ``MovingOn`` is the timer that enqueues the look, ``move_on`` the job that takes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.errors import RatoonError
from ratoon.platform.metadata.model import Registry
from ratoon.platform.metadata.pipeline_model import Pipeline, Stage
from ratoon.platform.records.reading import Query
from ratoon.platform.storage.runs import About, enqueue

if TYPE_CHECKING:
    from ratoon.platform.environment import Environment
    from ratoon.platform.jobs.kinds import JobRun

MOVE_ON = "move on"
GROUP = 200


class MovingOn:
    """The timer: enqueues one look per hour, however many workers ask."""

    def __init__(self) -> None:
        self._looked = ""

    def __call__(self, environment: Environment, now: datetime) -> None:
        hour = f"{now:%Y-%m-%dT%H}"
        if hour == self._looked:
            return
        self._looked = hour
        if not any(_timed(environment.registry)):
            return
        with environment.database.write() as connection:
            about = About(trigger="schedule", rule=MOVE_ON, object="", records={})
            enqueue(connection, environment.world, MOVE_ON, {}, key=f"{MOVE_ON}/{hour}", about=about)


def move_on(run: JobRun) -> dict[str, Any]:
    """The job: looks at every record in such a stage; what the gates refuse stays."""
    environment = run.environment
    looked = failed = 0
    for object, pipeline, stage in list(_timed(environment.registry)):
        for ids in _records(environment, object, pipeline, stage):
            looked += len(ids)
            try:
                environment.transact(SYSTEM, lambda records, o=object, i=ids: records.advance(o, i))  # type: ignore[misc]
            except RatoonError:
                failed += _one_by_one(environment, object, ids)
    return {"looked": looked, "failed": failed}


def _one_by_one(environment: Environment, object: str, ids: list[str]) -> int:
    failed = 0
    for record in ids:
        try:
            environment.transact(SYSTEM, lambda records, r=record: records.advance(object, [r]))  # type: ignore[misc]
        except RatoonError:
            failed += 1
    return failed


def _timed(registry: Registry) -> Iterator[tuple[str, Pipeline, Stage]]:
    for obj in registry:
        for pipeline in obj.pipelines:
            for stage in pipeline.stages:
                if any(move.when.volatile for move in stage.advance):
                    yield obj.name, pipeline, stage


def _records(environment: Environment, object: str, pipeline: Pipeline, stage: Stage) -> Iterator[list[str]]:
    """The records in a stage for which a move is wanted now, as far as the database can tell."""
    field = pipeline.field
    here = f'AND(ISPICKVAL({field}, "{stage.name}"), ISPICKVAL({field}_pipeline, "{pipeline.name}")'
    askable = all(move.when.sql_refusal is None for move in stage.advance)
    ready = ", ".join(move.when.source for move in stage.advance)
    filter_ = f"{here}, OR({ready}))" if askable else f"{here})"
    cursor = None
    while True:
        query = Query(object, filter=filter_, sort=("id",), limit=GROUP, cursor=cursor, fields=("id",))
        with environment.read(SYSTEM) as records:
            page = records.list(query)
        if page.records:
            yield [record["id"] for record in page.records]
        cursor = page.next_cursor
        if cursor is None:
            return
