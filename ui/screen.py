"""What a view gets: the environment, who is asking, in which language, and the metadata as it stood when asked.

A ``Screen`` is made per request (``blueprint.py``) and is the first argument of every view; views reach nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from flask import request, url_for

from ratoon.platform.access.actor import Actor
from ratoon.platform.access.policy import ObjectAction, Policy
from ratoon.platform.environment import Environment
from ratoon.platform.errors import NotFound
from ratoon.platform.hookspecs import NavigationEntry
from ratoon.platform.metadata.model import Object, Registry
from ratoon.platform.records.engine import Engine
from ratoon.platform.records.service import RecordService
from ratoon.ui.i18n import Translate, translator

T = TypeVar("T")


@dataclass(frozen=True)
class Screen:
    """One request, as the views see it."""

    environment: Environment
    actor: Actor
    locale: str
    engine: Engine
    """The metadata of the moment, ready to serve."""

    @property
    def registry(self) -> Registry:
        """The metadata as it stood when the request came."""
        return self.engine.registry

    @cached_property
    def translate(self) -> Translate:
        """Translates labels and message templates into the reader's language."""
        return translator(self.registry, self.locale)

    @property
    def zone(self) -> ZoneInfo:
        """The reader's time zone."""
        return self.actor.zone

    def read(self) -> AbstractContextManager[RecordService]:
        """The record service for reading."""
        return self.environment.read(self.actor)

    def transact(self, work: Callable[[RecordService], T]) -> T:
        """Runs ``work`` in one transaction, tried again when the database was busy."""
        return self.environment.transact(self.actor, work)

    @property
    def policy(self) -> Policy:
        """Who may do what."""
        return self.engine.policy

    def may(self, object: str, action: ObjectAction) -> bool:
        """Whether the actor may ``create``, ``read``, ``edit`` or ``delete`` records of that object."""
        return self.policy.may(self.actor, object, action)

    def object(self, name: str, action: ObjectAction = "read") -> Object:
        """The object of that name; ``NotFound`` when there is none or the actor may not read it.

        Any other right is required through the policy, which raises ``Forbidden``.
        """
        found = self.registry.objects.get(name)
        if found is None or not self.may(name, "read"):
            raise NotFound("There is no object called {name}.", name=name)
        if action != "read":
            self.policy.require(self.actor, name, action)
        return found

    def readable(self, object: Object) -> frozenset[str]:
        """The keys that the actor may read."""
        return self.policy.readable_keys(self.actor, object.name)

    def title_keys(self, object: Object) -> list[str]:
        """The title to ask for; nothing where the actor may not read it: such records are called by their id."""
        return [object.title] if object.title in self.readable(object) else []

    @cached_property
    def navigation(self) -> list[Object]:
        """The objects in the menu: those that are not hidden and that the actor may read, the platform's own last."""
        shown = [o for o in self.registry if not o.hidden and self.may(o.name, "read")]
        return sorted(shown, key=lambda o: o.owner == "system")

    @cached_property
    def menu(self) -> list[tuple[str, list[Object]]]:
        """The navigation in groups: a heading and its objects. Packages are named where there are several; the
        platform's own objects stand apart without a name."""
        grouped: dict[str, list[Object]] = {}
        for found in self.navigation:
            grouped.setdefault(found.owner, []).append(found)
        several = len(grouped.keys() - {"system"}) > 1
        packages = self.registry.packages
        named = {name: self.translate(packages[name].label, name) if name in packages else "" for name in grouped}
        return [(named[name] if several and name != "system" else "", found) for name, found in grouped.items()]

    @property
    def asks_for_approval(self) -> bool:
        """Whether any object has an approval process: then “My approvals” is in the menu."""
        return any(o.approvals for o in self.registry)

    @cached_property
    def plugin_navigation(self) -> list[NavigationEntry]:
        """The lines that plugins add to the menu, in their order."""
        hook = self.environment.plugins.hook.navigation
        answers = hook(environment=self.environment, actor=self.actor)
        return sorted((entry for answer in answers for entry in answer), key=lambda entry: (entry.order, entry.label))

    def label(self, thing: Any) -> str:
        """The translated ``label`` of an object, field, pipeline, view … declared in metadata."""
        return self.translate(thing.label, thing.owner)

    def key_label(self, object: Object, key: str) -> str:
        """The label of a record key: the field's, with the part's when it is not the main one."""
        field = object.field_of.get(key)
        if field is None:
            return key
        part = object.parts[key]
        own = self.label(field)
        return f"{own} · {self.translate(part.label, field.owner)}" if part.label and part.key != field.name else own

    def record_url(self, object: str, id: str) -> str:
        """Where a record's page is."""
        return url_for("screens.record", object=object, id=id)


def wants_fragment(target: str | None = None) -> bool:
    """Whether htmx asks for a piece of the page (and, if given, for the element with that id)."""
    htmx = getattr(request, "htmx", None)
    if not htmx or htmx.boosted or htmx.history_restore_request:
        return False
    return target is None or htmx.target == target


def query_with(changes: Mapping[str, Any], drop: tuple[str, ...] = ()) -> dict[str, Any]:
    """The query of this request with some parameters changed; ``None`` removes one."""
    query: dict[str, Any] = {k: request.args.getlist(k) for k in request.args if k not in drop}
    query.update(changes)
    return {k: v for k, v in query.items() if v is not None}
