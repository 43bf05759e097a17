"""A plugin that uses every kind of hook: a lending library.

It brings the objects ``book`` and ``review`` (the manifest beside this module), the field type ``stars`` with its
widget, the formula function ``INITIALS``, the page ``/library``, and takes part in saving books.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flask import Blueprint, render_template

from ratoon.platform.sdk import (
    SYSTEM,
    ActionRun,
    ActionType,
    Actor,
    Change,
    Draft,
    Environment,
    Event,
    FieldSpec,
    FieldType,
    Function,
    JobRun,
    JobType,
    NavigationEntry,
    Part,
    Query,
    RecordService,
    TriggerType,
    define,
    enqueue,
    fire,
    hookimpl,
    integer_part,
)

HERE = Path(__file__).parent
committed: list[Mapping[str, Mapping[str, Event]]] = []
"""What ``after_commit`` was told; tests look at it."""


class StarsType(FieldType):
    """One to five stars."""

    name = "stars"
    label = "Stars"
    description = "A rating from one to five stars."
    icon = "star"

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return (integer_part(spec.name, minimum=1, maximum=5),)

    def widget(self, spec: FieldSpec) -> str:
        return "stars"

    def show(self, spec: FieldSpec, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
        value = record.get(spec.name)
        return "" if value is None else "★" * value + "☆" * (5 - value)

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {spec.name: 1 + seed % 5}


@hookimpl
def field_types() -> list[FieldType]:
    return [StarsType()]


@hookimpl
def formula_functions() -> list[Function]:
    return [
        define(
            "INITIALS",
            "text",
            "text",
            lambda text: "".join(word[0].upper() for word in text.split()),
            doc="The first letters of the words.",
            group="Text",
            examples=[('INITIALS("Ada Lovelace")', "AL")],
        )
    ]


@hookimpl
def automation_actions() -> list[ActionType]:
    def shout(run: ActionRun) -> None:
        changes = [Change(draft.id, {"title": draft.row["title"].upper()}) for draft in run.drafts]
        run.records.update(run.object.name, changes)

    return [ActionType("shout", shout, "Writes the title in capitals.")]


@hookimpl
def automation_triggers() -> list[TriggerType]:
    return [TriggerType("book_praised", "Book praised", "A review gave it five stars.")]


@hookimpl
def jobs() -> list[JobType]:
    def praise(run: JobRun) -> None:
        texts = [{"book": book, "text": "Read by the night shift", "stars": 5} for book in run.payload["books"]]
        run.once("praise", lambda records: len(records.create("review", texts)))

    return [JobType("praise", praise, description="Reviews new books after the commit.")]


@hookimpl
def template_folders() -> list[Path]:
    return [HERE / "templates"]


@hookimpl
def blueprints(environment: Environment) -> list[Blueprint]:
    blueprint = Blueprint("library", __name__)

    @blueprint.get("/library")
    def shelf() -> str:
        with environment.read(SYSTEM) as records:
            books = records.list(Query("book", sort=["title"])).records
        return render_template("library/shelf.html", books=books)

    return [blueprint]


@hookimpl
def navigation(environment: Environment, actor: Actor) -> list[NavigationEntry]:
    return [NavigationEntry("Library", "/library", icon="books")]


@hookimpl
def before_save(object: str, drafts: Sequence[Draft]) -> None:
    if object != "book":
        return
    for draft in drafts:
        title = draft.row["title"]
        if title is not None:
            draft.row["title"] = " ".join(title.split())
            if "forbidden" in title.lower():
                draft.refuse("forbidden_book", "Nobody may keep {title}.", "title", title=title)


@hookimpl
def after_save(records: RecordService, object: str, event: Event, drafts: Sequence[Draft]) -> None:
    if object == "book" and event == "created":
        records.create("review", [{"book": draft.id, "text": "New on the shelf", "stars": 3} for draft in drafts])
        enqueue(records.connection, records.engine.world, "praise", {"books": [draft.id for draft in drafts]})

    if object == "review" and event == "created":
        praised = [draft.row["book"] for draft in drafts if draft.row["stars"] == 5]
        fire(records, "book_praised", "book", praised)


@hookimpl
def after_commit(changes: Mapping[str, Mapping[str, Event]]) -> None:
    committed.append({name: dict(events) for name, events in changes.items()})
