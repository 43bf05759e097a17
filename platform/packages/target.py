"""What a package is applied to: a database, and the language its metadata may be written in.

``Target.of(environment)`` makes one of an environment; tests make theirs from the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from sqlalchemy import Connection

from ratoon.platform.config import Settings, World
from ratoon.platform.errors import Conflict
from ratoon.platform.fields.base import FieldTypes
from ratoon.platform.formulas import FunctionSet
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.metadata.compile import compile_registry
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.model import Registry
from ratoon.platform.packages.checking import Language
from ratoon.platform.packages.sealing import Trust
from ratoon.platform.records.engine import Engine
from ratoon.platform.storage import revisions
from ratoon.platform.storage.database import Database


class Drifted(Conflict):
    """The metadata changed since the plan was made; plan again."""

    code = "drifted"


class PluginList(Protocol):
    """The part of the plugin list that is asked for kinds of action."""

    def collect(self, name: str) -> list[Any]:
        """Everything that plugins bring by that hook."""


class Installation(Protocol):
    """The part of an environment that packages need."""

    @property
    def settings(self) -> Settings:
        """What the operator set."""

    @property
    def database(self) -> Database:
        """Where records and metadata are kept."""

    @property
    def types(self) -> FieldTypes:
        """Field types."""

    @property
    def functions(self) -> FunctionSet:
        """Formula functions."""

    @property
    def world(self) -> World:
        """Clock and ids."""

    @property
    def organization(self) -> Mapping[str, Any]:
        """What formulas see as ``$organization``."""

    @property
    def plugins(self) -> Any:
        """The plugin list."""

    def build(self, registry: Registry) -> Engine:
        """An engine that serves this registry."""

    def look_again(self) -> None:
        """What is read next is served by the newest metadata."""

    def engine_at(self, connection: Connection) -> Engine:
        """The engine of the revision that stands; the one that serves already, where it is up to date."""


@dataclass(frozen=True)
class Target:
    """A database to which metadata is applied."""

    database: Database
    language: Language
    world: World = field(default_factory=World)
    organization: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    trust: Trust = field(default_factory=Trust)
    """Whose packages are taken."""
    build: Callable[[Registry], Engine] | None = None
    """Makes what saves records by a registry: for reference data and tests, which are left out without it."""
    changed: Callable[[], None] = field(default=lambda: None)
    """Called when a change was committed, so that the process that made it serves by it at once."""
    serving: Callable[[Connection], Engine] | None = None
    """What serves the revision that stands: its registry need not be compiled again."""

    @classmethod
    def of(cls, installation: Installation) -> Target:
        """The target that an environment is."""
        plugins: PluginList = installation.plugins
        actions = frozenset(action.name for action in plugins.collect("automation_actions"))
        triggers = frozenset(trigger.name for trigger in plugins.collect("automation_triggers"))
        language = Language(installation.types, installation.functions, actions, triggers)
        trust = Trust(installation.settings.trusted, installation.settings.require_signature)
        return cls(
            installation.database,
            language,
            installation.world,
            installation.organization,
            trust,
            installation.build,
            installation.look_again,
            installation.engine_at,
        )

    def context(self) -> EvalContext:
        """What formulas see beside the row when the platform itself fills fields in."""
        return EvalContext(now=self.world.clock(), organization=self.organization)

    def registry_at(self, connection: Connection, revision: int) -> Registry | None:
        """The registry of a stored revision; ``None`` for revision 0, when nothing was applied yet."""
        if revision == 0:
            return None
        if self.serving is not None:
            registry = self.serving(connection).registry
            if registry.revision == revision:
                return registry
        return self.registry_of(revisions.documents_at(connection, revision), revision)

    def registry_of(self, documents: Sequence[Document], revision: int = 0) -> Registry:
        """The registry of documents that were applied once."""
        language = self.language
        return compile_registry(
            documents, types=language.types, functions=language.functions, revision=revision, trusted=True
        )
