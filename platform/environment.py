"""An environment: one database with its metadata, ready to serve. Everything hangs on it; nothing is global.

``Environment`` holds what lives as long as the process (settings, database, plugins, field types, functions) and
the current ``Engine``, which belongs to one revision of the metadata. Another process may apply metadata at any
time: a request that reads notices within ``revision_poll_seconds``, a write looks at the revision inside its own
transaction, so it never runs by rules that no longer hold. Composed in ``app.py``; several environments can live
in one process.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import Actor
from ratoon.platform.access.limits import RateLimits
from ratoon.platform.access.passwords import Passwords
from ratoon.platform.access.passwords import Policy as PasswordPolicy
from ratoon.platform.access.policy import Policy
from ratoon.platform.automation.actions import Actions
from ratoon.platform.config import Settings, World
from ratoon.platform.fields.base import FieldTypes
from ratoon.platform.formulas import FunctionSet, compile_formula
from ratoon.platform.jobs.kinds import Jobs
from ratoon.platform.metadata.compile import compile_registry
from ratoon.platform.metadata.model import Registry
from ratoon.platform.records.engine import Engine, Event, Limits, Reactions
from ratoon.platform.records.plan import Plans
from ratoon.platform.records.saving import TraceEntry
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage import revisions
from ratoon.platform.storage.database import Busy, Database
from ratoon.platform.storage.settings import secret_key
from ratoon.platform.storage.store import RecordStore
from ratoon.platform.storage.tables import Tables

Result = TypeVar("Result")
TRIES = 4
"""How often ``transact`` tries when the database was busy."""


class PluginCalls(Protocol):
    """The part of the plugin list that an environment calls."""

    @property
    def hook(self) -> Any:
        """The hooks of ``hookspecs.py`` as functions."""

    def packages(self) -> list[Path]:
        """Folders of the metadata packages that plugins bring."""


@dataclass(frozen=True)
class Parts:
    """What the composition root puts in."""

    settings: Settings
    world: World
    database: Database
    plugins: PluginCalls
    types: FieldTypes
    functions: FunctionSet
    reactions: Reactions
    jobs: Jobs = field(default_factory=Jobs)
    actions: Actions = field(default_factory=Actions)


class Environment:
    """One installation: settings, database, plugins, and the metadata of the moment."""

    def __init__(self, parts: Parts) -> None:
        self.settings = parts.settings
        self.world = parts.world
        self.database = parts.database
        self.plugins = parts.plugins
        self.types = parts.types
        self.functions = parts.functions
        self.reactions = parts.reactions
        self.jobs = parts.jobs
        self.actions = parts.actions
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._looked = -math.inf
        self._secret: bytes | None = None

    # -- metadata of the moment ----------------------------------------------------------------------------------

    @cached_property
    def accounts(self) -> Accounts:
        """Users, their passwords by the rules of the settings, sessions and tokens."""
        return Accounts(self.world, Passwords(policy=PasswordPolicy.of(self.settings)))

    @cached_property
    def limits(self) -> RateLimits:
        """What bounds attempts and calls. Raises ``ValueError`` for a setting that it does not understand."""
        return RateLimits.of(self.settings)

    @property
    def organization(self) -> Mapping[str, Any]:
        """What formulas see as ``$organization``."""
        s = self.settings
        return {
            "name": s.organization_name,
            "currency": s.default_currency,
            "time_zone": s.default_time_zone,
            "locale": s.default_locale,
        }

    @property
    def engine(self) -> Engine:
        """The engine of the newest revision this process knows; looks for a newer one now and then."""
        now = time.monotonic()
        engine = self._engine
        if engine is None or now - self._looked >= self.settings.revision_poll_seconds:
            with self.database.read() as connection:
                engine = self.engine_at(connection)
            self._looked = now
        return engine

    @property
    def registry(self) -> Registry:
        """The metadata of the moment."""
        return self.engine.registry

    def engine_at(self, connection: Connection, *, writing: bool = False) -> Engine:
        """The engine for the revision that this connection sees; ``writing`` keeps it until the transaction ends."""
        revision = revisions.held_revision(connection) if writing else revisions.current_revision(connection)
        engine = self._engine
        if engine is not None and engine.registry.revision == revision:
            self.database.fresh(connection)
            return engine
        with self._lock:
            engine = self._engine
            if engine is None or engine.registry.revision != revision:
                made = self.build(self.compile(connection, revision))
                if engine is not None:
                    self.database.forget_statements()
                engine = self._engine = made
        self.database.fresh(connection)
        return engine

    def look_again(self) -> None:
        """The next read looks at the revision, however short ago that was done."""
        self._looked = -math.inf

    def compile(self, connection: Connection, revision: int) -> Registry:
        """The registry of a stored revision."""
        documents = revisions.documents_at(connection, revision)
        return compile_registry(documents, types=self.types, functions=self.functions, revision=revision, trusted=True)

    def build(self, registry: Registry) -> Engine:
        """An engine that serves this registry."""
        tables = Tables(registry, self.database.dialect)
        store = RecordStore(registry, tables, self.database.dialect)
        return Engine(
            registry=registry,
            store=store,
            plans=Plans(registry),
            policy=Policy(registry, store, clock=self.world.clock, organization=self.organization),
            world=self.world,
            secret=self.secret,
            reactions=self.reactions,
            organization=self.organization,
            limits=Limits(
                depth=self.settings.automation_depth,
                runs_per_record=self.settings.automation_runs_per_record,
                automation_rows=self.settings.automation_rows,
                automation_seconds=self.settings.automation_seconds,
            ),
            compile=partial(compile_formula, functions=self.functions),
        )

    def secret(self) -> bytes:
        """The key that signs cursors and sessions: from the settings, or made once and kept in the database."""
        if self._secret is None:
            if self.settings.secret_key:
                self._secret = self.settings.secret_key.encode()
            else:
                with self.database.write() as connection:
                    self._secret = secret_key(connection, self.world.token).encode()
        return self._secret

    # -- records -------------------------------------------------------------------------------------------------

    @contextmanager
    def read(self, actor: Actor) -> Iterator[RecordService]:
        """Records for looking."""
        engine = self.engine
        with self.database.read() as connection:
            yield RecordService(engine, connection, actor)

    @contextmanager
    def write(self, actor: Actor, *, trace: list[TraceEntry] | None = None) -> Iterator[RecordService]:
        """Records within one write transaction: commits when the block ends well, otherwise nothing happened.

        Raises ``storage.Busy`` when the database could not do it just now; ``transact`` tries again by itself.
        """
        with self.database.write() as connection:
            records = RecordService(self.engine_at(connection, writing=True), connection, actor, trace=trace)
            yield records
        if records.changes:
            self._after_commit(records.changes)

    def transact(self, actor: Actor, work: Callable[[RecordService], Result]) -> Result:
        """Runs ``work`` in one write transaction, again from the start when the database was busy."""
        for attempt in range(1, TRIES + 1):
            try:
                with self.write(actor) as records:
                    return work(records)
            except Busy:
                if attempt == TRIES:
                    raise
        raise AssertionError("unreachable")

    def _after_commit(self, changes: Mapping[str, Mapping[str, Event]]) -> None:
        hook = self.plugins.hook.after_commit
        if not hook.get_hookimpls():
            return
        try:
            hook(environment=self, changes=changes)
        except Exception:
            # The transaction is safe on disk: whatever a listener does, the caller must not be told that it failed.
            logging.getLogger("ratoon").exception("after_commit failed")

    def close(self) -> None:
        """Closes the database."""
        self.database.dispose()
