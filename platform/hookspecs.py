"""The whole contract between Ratoon and its plugins: every hook, one function each.

A plugin is a Python module named by an entry point of the group ``ratoon.plugins``. It implements any of the hooks
below by a function of the same name, marked with ``hookimpl``; an implementation may leave out arguments it does not
need. A module that lies beside a ``manifest.json`` contributes that folder as a metadata package without writing a
line of Python. The standard CRM package and the screens come in through this same door.

    from ratoon.platform.sdk import hookimpl

    @hookimpl
    def before_save(object, drafts):
        if object == "pet":
            for draft in drafts:
                draft.row["name"] = (draft.row["name"] or "").strip()

What plugins may import is in ``sdk.py``. Nothing else is promised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from flask import Blueprint, Flask

    from ratoon.platform.access.actor import Actor
    from ratoon.platform.automation.actions import ActionType
    from ratoon.platform.environment import Environment
    from ratoon.platform.fields.base import FieldType
    from ratoon.platform.formulas import Function
    from ratoon.platform.jobs import JobType
    from ratoon.platform.metadata.trigger_model import TriggerType
    from ratoon.platform.records.drafts import Draft
    from ratoon.platform.records.engine import Event
    from ratoon.platform.records.service import RecordService

PROJECT = "ratoon"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@dataclass(frozen=True, slots=True)
class NavigationEntry:
    """One line of the screens' navigation."""

    label: str
    """English; it is translated like every other text."""
    url: str
    icon: str = "puzzle"
    """A Tabler icon name."""
    order: int = 500
    """Smaller comes first. Objects stand at 100 to 400."""


@hookspec
def metadata_packages() -> Iterable[Path]:  # type: ignore[empty-body]
    """Folders of metadata packages this plugin brings, beside the one its own module lies in.

    Called once when an environment opens. A package whose version is newer than the applied one is applied then.
    """


@hookspec
def field_types() -> Iterable[FieldType]:  # type: ignore[empty-body]
    """Field types that metadata may use from then on. Called once, before any metadata is read.

    A type's ``widget`` names a template ``widgets/<name>.html`` in one of the plugin's ``template_folders``.
    """


@hookspec
def formula_functions() -> Iterable[Function]:  # type: ignore[empty-body]
    """Functions that formulas may call from then on. Called once, before any metadata is read.

    A function is pure: the same arguments give the same result, and it touches neither network, files nor records.
    """


@hookspec
def automation_actions() -> Iterable[ActionType]:  # type: ignore[empty-body]
    """Kinds of action that automations after the save may use as ``{"type": "<name>", …}``. Called once."""


@hookspec
def automation_triggers() -> Iterable[TriggerType]:  # type: ignore[empty-body]
    """Triggers that automations after the commit may name in ``"on"``; the plugin starts them with ``fire``. Called
    when metadata is checked."""


@hookspec
def jobs() -> Iterable[JobType]:  # type: ignore[empty-body]
    """Kinds of jobs that can be enqueued from then on: work after the commit, never lost. Called once.

    The function of a job runs in a worker process, again from its start when something went wrong; what must not
    happen twice goes through ``JobRun.once``.
    """


@hookspec
def template_folders() -> Iterable[Path]:  # type: ignore[empty-body]
    """Folders searched for templates after the product's own: pages and ``widgets/<name>.html``.

    Called once per app.
    """


@hookspec
def translation_folders() -> Iterable[Path]:  # type: ignore[empty-body]
    """Folders with gettext catalogs, ``<locale>/LC_MESSAGES/messages.mo`` (``zh_Hans``), for the texts in Python code.

    Texts of metadata are translated by ``strings/`` documents of its package. Called once per app.
    """


@hookspec
def blueprints(environment: Environment) -> Iterable[Blueprint]:  # type: ignore[empty-body]
    """Flask blueprints with pages or endpoints. Called once per app.

    Views get the environment here and keep it in a closure; there is no global to reach for.
    """


@hookspec
def configure_app(app: Flask, environment: Environment) -> None:
    """Last word on the Flask application: extensions, template filters, error pages.

    Called once per app, after every blueprint is registered.
    """


@hookspec
def navigation(environment: Environment, actor: Actor) -> Iterable[NavigationEntry]:  # type: ignore[empty-body]
    """Entries that this user sees in the navigation. Called for each page: be quick."""


@hookspec
def before_save(records: RecordService, object: str, event: Event, drafts: Sequence[Draft]) -> None:
    """Before records are checked and written (step 4 of the order of execution, after the automations).

    ``event`` is ``created`` or ``updated``. May change ``draft.row`` and add ``draft.problems``; raising any
    ``RatoonError`` refuses the whole call. Formula fields are computed afterwards.
    """


@hookspec
def after_save(records: RecordService, object: str, event: Event, drafts: Sequence[Draft]) -> None:
    """After records were written, in the same transaction (step 11).

    ``event`` is ``created``, ``updated``, ``deleted`` or ``restored``. May save through ``records``: such changes run
    through the whole order one level deeper. Raising refuses the whole call and nothing is kept.
    """


@hookspec
def after_commit(environment: Environment, changes: Mapping[str, Mapping[str, Event]]) -> None:
    """After the transaction is safe on disk: object → record id → what happened to it.

    For what must not happen when a transaction is rolled back. It runs in the process that saved; a crash right
    after the commit loses the call. What must never be lost belongs into a job. Failures are logged, not raised.
    """


@hookspec
def startup(environment: Environment) -> None:
    """Once per process, when an environment is open and every package is applied."""
