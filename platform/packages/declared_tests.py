"""Tests that a package carries: given records, when somebody does something, then values, errors and what happened.

    {"kind": "test", "name": "a_new_pet_is_alive",
     "given": [{"record": "ann", "object": "pet_owner", "values": {"name": "Ann"}}],
     "steps": [{"as": {"roles": ["vet"]},
                "create": {"record": "rex", "object": "pet", "values": {"name": "Rex", "pet_owner": "@ann"}},
                "then": {"values": {"rex": {"status": "alive"}}}}]}

A test runs with the rules, automations and rights of the real thing, and nothing of it stays: each step has a savepoint
that is taken back when the step is refused, and the whole test another one. Values are compared as the field
understands them, so ``"12.5"`` is ``12.50``. A step that says no errors must succeed; one that says some must be
refused for exactly those. ``ratoon test`` runs them in a database of their own, ``apply --validate-only``
in the target.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from ratoon.platform.access.actor import SYSTEM, Actor
from ratoon.platform.access.policy import Policy
from ratoon.platform.config import World
from ratoon.platform.errors import Conflict, Invalid, RatoonError, Text, ValidationFailed, say
from ratoon.platform.metadata.carried import ACTIONS
from ratoon.platform.metadata.documents import Document, in_order
from ratoon.platform.records.by_key import resolved
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.engine import Engine
from ratoon.platform.records.reading import Query
from ratoon.platform.records.saving import TraceEntry
from ratoon.platform.records.service import RecordService

MOST = 500
"""Records that ``found`` looks at."""
_REFERENCE = re.compile(r"(?<=[\"'])@([a-z][a-z0-9_]*)(?=[\"'])")


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that came out differently."""

    step: int
    """1 = the first step; 0 = what is given."""
    what: str
    """``rex.status``, ``errors``, ``found invoice`` …"""
    expected: str
    actual: str

    def __str__(self) -> str:
        return str(self.text)

    @property
    def text(self) -> Text:
        """For people."""
        place = say("step {step}", step=self.step) if self.step else say("given")
        return say(
            "{place}: {what}: expected {expected}, got {actual}",
            place=place,
            what=self.what,
            expected=self.expected,
            actual=self.actual,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one test went."""

    package: str
    name: str
    label: str
    failures: tuple[Failure, ...]

    @property
    def passed(self) -> bool:
        """True when everything came out as the test says."""
        return not self.failures

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the API."""
        return {**asdict(self), "passed": self.passed}


class TestsFailed(Conflict):
    """Tests that the packages carry do not pass; ``outcomes`` are those that failed."""

    code = "tests_failed"
    __test__ = False

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        names = ", ".join(outcome.name for outcome in outcomes[:5])
        super().__init__("{count} test(s) of the packages fail: {names}", count=len(outcomes), names=names)
        self.outcomes = tuple(outcomes)


def run_tests(engine: Engine, connection: Connection, documents: Sequence[Document]) -> list[Outcome]:
    """Runs the tests among the documents within the caller's write transaction; they leave nothing behind."""
    return [_run(engine, connection, document) for document in in_order(documents) if document.kind == "test"]


def _run(engine: Engine, connection: Connection, document: Document) -> Outcome:
    data = document.data
    attempt = connection.begin_nested()
    try:
        failures = tuple(_Run(_at_its_time(engine, data.get("now")), connection, data).failures())
    finally:
        if attempt.is_active:
            attempt.rollback()
    return Outcome(document.package, data["name"], data.get("label", data["name"]), failures)


def _at_its_time(engine: Engine, now: str | None) -> Engine:
    """The engine, with a clock that stands still when the test says what time it is."""
    secret: Callable[[], bytes] = lambda: b"test"  # noqa: E731
    if now is None:
        return replace(engine, secret=secret)
    moment = datetime.fromisoformat(now.replace("Z", "+00:00")).astimezone(UTC)
    world = World(clock=lambda: moment, new_id=engine.world.new_id, token=engine.world.token)
    policy = Policy(engine.registry, engine.store, clock=world.clock, organization=engine.organization)
    return replace(engine, world=world, policy=policy, secret=secret)


class _Run:
    def __init__(self, engine: Engine, connection: Connection, data: Mapping[str, Any]) -> None:
        self._engine = engine
        self._connection = connection
        self._data = data
        self._ids: dict[str, tuple[str, str]] = {}
        """Name → (object, id)."""

    def failures(self) -> Iterator[Failure]:
        """Everything that comes out differently; a test stops at the first step that cannot be done."""
        for given in self._data.get("given", ()):
            refusal, _ = self._do(SYSTEM, "create", given, False)
            if refusal is not None:
                yield Failure(0, given["record"], say("to be made"), _told(refusal))
                return
        for number, step in enumerate(self._data["steps"], 1):
            action = next(name for name in ACTIONS if name in step)
            then = step.get("then", {})
            refusal, trace = self._do(self._actor(step.get("as")), action, step[action], step.get("acknowledge", False))
            found = list(self._errors(number, refusal, then.get("errors", ())))
            found += self._trace(number, trace, then.get("trace", ()))
            found += self._values(number, then.get("values", {}))
            for looked in then.get("found", ()):
                found += self._found(number, looked)
            yield from found
            if refusal is not None and not then.get("errors"):
                return

    # -- doing ---------------------------------------------------------------------------------------------------

    def _actor(self, said: Mapping[str, Any] | None) -> Actor:
        if said is None:
            return SYSTEM
        user = said.get("user")
        record = self._ids[user[1:]][1] if user and user[1:] in self._ids else None
        return Actor(record, str(user or "test"), roles=frozenset(said.get("roles", ())), source="system")

    def _do(
        self, actor: Actor, action: str, said: Mapping[str, Any], acknowledge: bool
    ) -> tuple[RatoonError | None, list[TraceEntry]]:
        trace: list[TraceEntry] = []
        records = RecordService(self._engine, self._connection, actor, trace=trace)
        attempt = self._connection.begin_nested()
        try:
            self._act(records, action, said, acknowledge)
        except RatoonError as refusal:
            attempt.rollback()
            return refusal, trace
        attempt.commit()
        return None, trace

    def _act(self, records: RecordService, action: str, said: Mapping[str, Any], acknowledge: bool) -> None:
        values = {key: self._meant(value) for key, value in said.get("values", {}).items()}
        if action == "create":
            object_name = said["object"]
            made = records.create(object_name, resolved(records, object_name, [values]), acknowledge=acknowledge)
            if "record" in said:
                self._ids[said["record"]] = object_name, made[0]["id"]
            return
        object_name, record = self._ids[said["record"]]
        if action == "delete":
            records.delete(object_name, [record])
        elif action == "restore":
            records.restore(object_name, [record])
        else:
            if action == "move":
                stage = self._engine.registry[object_name].stage_field
                values[stage.name if stage is not None else "stage"] = said["stage"]
            changed = resolved(records, object_name, [values])[0]
            records.update(object_name, [Change(record, changed)], acknowledge=acknowledge)

    def _meant(self, value: Any) -> Any:
        """``"@rex"`` is the id of that record; ``"@@home"`` is the text ``@home``."""
        if isinstance(value, str) and value.startswith("@@"):
            return value[1:]
        if isinstance(value, str) and value.startswith("@") and value[1:] in self._ids:
            return self._ids[value[1:]][1]
        if isinstance(value, list):
            return [self._meant(item) for item in value]
        return {k: self._meant(v) for k, v in value.items()} if isinstance(value, dict) else value

    # -- comparing -----------------------------------------------------------------------------------------------

    def _errors(
        self, number: int, refusal: RatoonError | None, expected: Sequence[Mapping[str, Any]]
    ) -> Iterator[Failure]:
        if not expected:
            if refusal is not None:
                yield Failure(number, "errors", "none", _told(refusal))
            return
        shown = ", ".join(" ".join(str(v) for v in wanted.values()) for wanted in expected)
        if refusal is None:
            yield Failure(number, "errors", shown, say("none: it was done"))
            return
        problems = _problems(refusal)
        for wanted in expected:
            if not any(_fits(wanted, problem) for problem in problems):
                yield Failure(number, "errors", " ".join(str(v) for v in wanted.values()), _told(refusal))
        extra = [p for p in problems if not any(_fits(wanted, p) for wanted in expected)]
        if extra:
            yield Failure(number, "errors", say("only {shown}", shown=shown), "; ".join(p["text"] for p in extra))

    def _trace(self, number: int, trace: Sequence[TraceEntry], expected: Sequence[str]) -> Iterator[Failure]:
        lines = [f"{e.step} {e.object} {e.what} {e.outcome}".strip() for e in trace]
        at = 0
        for wanted in expected:
            place = next((i for i in range(at, len(lines)) if wanted in lines[i]), None)
            if place is None:
                yield Failure(number, "trace", wanted, "; ".join(lines[at:]) or say("nothing more"))
                return
            at = place + 1

    def _values(self, number: int, expected: Mapping[str, Mapping[str, Any] | None]) -> Iterator[Failure]:
        for name, values in expected.items():
            if name not in self._ids:
                yield Failure(number, name, say("a record"), say("it was not made"))
                continue
            object_name, record = self._ids[name]
            try:
                there = RecordService(self._engine, self._connection, SYSTEM).get(object_name, record)
            except RatoonError as refusal:
                if values is not None:
                    yield Failure(number, name, say("a record"), refusal.text())
                continue
            if values is None:
                yield Failure(number, name, say("to be gone"), say("it is there"))
                continue
            yield from self._differing(number, name, object_name, there, values)

    def _found(self, number: int, looked: Mapping[str, Any]) -> Iterator[Failure]:
        object_name = looked["object"]
        records = RecordService(self._engine, self._connection, SYSTEM)
        source = looked.get("filter")
        meant = None if source is None else _REFERENCE.sub(self._id_of, source)
        try:
            page = records.list(Query(object_name, filter=meant, limit=MOST))
        except RatoonError as refusal:
            yield Failure(number, say("found {object}", object=object_name), str(source), refusal.text())
            return
        count = looked.get("count")
        if len(page.records) != count if count is not None else not page.records:
            wanted = say("at least 1") if count is None else str(count)
            yield Failure(number, say("found {object}", object=object_name), wanted, str(len(page.records)))
        for place, record in enumerate(page.records, 1):
            name = f"{object_name} {place}"
            yield from self._differing(number, name, object_name, record, looked.get("values", {}))

    def _id_of(self, match: re.Match[str]) -> str:
        return self._ids[match[1]][1] if match[1] in self._ids else match[0]

    def _differing(
        self, number: int, name: str, object_name: str, there: Mapping[str, Any], expected: Mapping[str, Any]
    ) -> Iterator[Failure]:
        parts = self._engine.registry[object_name].parts
        for key, value in expected.items():
            wanted, actual = self._meant(value), there.get(key)
            try:
                typed = None if wanted is None else parts[key].coerce(wanted)
            except Invalid as refusal:
                yield Failure(number, f"{name}.{key}", _shown(wanted), refusal.text())
                continue
            if typed != actual:
                yield Failure(number, f"{name}.{key}", _shown(wanted), _shown(actual))


def _problems(refusal: RatoonError) -> list[dict[str, Any]]:
    if isinstance(refusal, ValidationFailed):
        return [{"code": p.code, "field": p.field, "rule": p.rule, "text": _line(p)} for p in refusal.problems]
    return [{"code": refusal.code, "field": None, "rule": None, "text": f"{refusal.code}: {refusal.text()}"}]


def _line(problem: Any) -> str:
    names = " ".join(name for name in (problem.code, problem.field, problem.rule) if name)
    return f"{names}: {problem.text()}"


def _fits(wanted: Mapping[str, Any], problem: Mapping[str, Any]) -> bool:
    return all(problem[name] == value for name, value in wanted.items())


def _told(refusal: RatoonError) -> str:
    return "; ".join(problem["text"] for problem in _problems(refusal))


def _shown(value: Any) -> str:
    return "blank" if value is None else str(value)
