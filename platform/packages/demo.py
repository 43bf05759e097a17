"""Demo data: a story that is played through the record service, so that it leaves the traces real work leaves.

A package may have a folder ``_demo/`` with JSON files, played in the order of their names::

    {"kind": "demo", "object": "pet",
     "records": [{"key": "mochi", "day": -30,
                  "values": {"name": "Mochi", "keeper": "@person.lin", "born": -400, "owner": "@user.wei"},
                  "changes": [{"day": -12, "values": {"stage": "adopted"}}]}],
     "updates": [{"day": -1, "where": "ISBLANK(chip)", "values": {"chip": "none"}}],
     "submissions": [{"day": 0, "key": "mochi", "approval": "adoption", "comment": "…",
                      "answers": [{"by": "@user.wei", "approve": true, "comment": ""}]}]}

Days count from an anchor: -12 is twelve days before it. In values, ``@object.key`` is the id of a record of the story,
a number in a date field is a day, and ``-12 08:30`` in a date-time field is a day and a time (UTC). Records of ``user``
may also have ``roles`` and ``admin``, and the file a ``password``; a user whose address exists already is kept.

The story is played day by day with a clock that is moved, each record by its owner: creation times, stage periods,
history and automations are those of the days on which things happened. All of it is one transaction, and a mark in the
database says that it was played: a second call does nothing, a crash leaves nothing. The same story with the same
anchor gives the same records with the same ids.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM, Actor
from ratoon.platform.access.passwords import Passwords
from ratoon.platform.access.policy import Policy
from ratoon.platform.automation.approvals import Approvals, approvals_of
from ratoon.platform.config import World
from ratoon.platform.errors import BadRequest
from ratoon.platform.metadata.model import Field
from ratoon.platform.packages.story import Step, Story, Submission, Update, read_story
from ratoon.platform.records.reading import Query
from ratoon.platform.records.service import Change, RecordService
from ratoon.platform.storage.settings import setting

if TYPE_CHECKING:
    from ratoon.platform.environment import Environment

FOLDER = "_demo"
ANCHOR = date(2026, 11, 1)
"""Day 0 of the story unless the caller says otherwise."""
SETTLED = timedelta(hours=6)
"""How far the clock must be into a day for it to be day 0: what is played on it has happened by then everywhere."""
MARK = "demo.loaded"
"""Name of the setting that says which stories were played."""
START = time(1, 0, tzinfo=UTC)
"""When each day of the story begins."""
PACE = timedelta(minutes=5)
"""How far the clock moves between two calls of a day."""
USER = "user"
Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


def load_demo(
    environment: Environment, folders: Iterable[Path] | None = None, *, anchor: date = ANCHOR
) -> dict[str, int]:
    """Plays the demo stories of packages that were not played yet; returns how many records of each object it made.

    ``folders`` are package folders; ``None`` = those of every installed package. On a terminal a bar shows how far it
    is. Raises ``RatoonError`` when a record is refused; nothing is kept then.
    """
    made: dict[str, int] = {}
    for folder in environment.plugins.packages() if folders is None else folders:
        if not (folder / FOLDER).is_dir():
            continue
        with _shown_progress() as progress:
            counts = environment.transact(SYSTEM, _play_once(environment, folder, anchor, progress))
        for object_name, count in counts.items():
            made[object_name] = made.get(object_name, 0) + count
    return made


def today(now: datetime) -> date:
    """The anchor with which a story that is loaded at this moment ends just now."""
    return (now - SETTLED).date()


def _play_once(
    environment: Environment, folder: Path, anchor: date, progress: Progress
) -> Callable[[RecordService], dict[str, int]]:
    package = orjson.loads((folder / "manifest.json").read_bytes())["name"]

    def work(records: RecordService) -> dict[str, int]:
        mine = f"{anchor.isoformat()} {environment.world.new_id()}"
        if setting(records.connection, f"{MARK}.{package}", lambda: mine) != mine:
            return {}
        return Player(environment, records, read_story(folder / FOLDER), anchor, progress).play()

    return work


# -- playing ---------------------------------------------------------------------------------------------------------


class StoryWorld:
    """The clock of the story, and ids that depend only on how many were made at which time."""

    def __init__(self, anchor: date) -> None:
        self._anchor = anchor
        self._made = 0
        self.now = self.moment(0)

    def moment(self, day: int) -> datetime:
        """When that day of the story begins."""
        return datetime.combine(self._anchor + timedelta(days=day), START)

    def begin(self, day: int) -> None:
        """Moves the clock to the start of a day; never back."""
        self.now = max(self.now, self.moment(day)) if self._made else self.moment(day)

    def world(self) -> World:
        """As the record service takes it."""
        return World(clock=lambda: self.now, new_id=self.new_id)

    def new_id(self) -> str:
        """A UUIDv7 whose random bits count up."""
        self._made += 1
        millis = int(self.now.timestamp() * 1000)
        scattered = self._made * 0x9E3779B97F4A7C15 % 2**62
        return str(uuid.UUID(int=millis << 80 | 7 << 76 | (self._made & 0xFFF) << 64 | 2 << 62 | scattered))


class Player:
    """Plays one story within the transaction of ``records``."""

    def __init__(
        self, environment: Environment, records: RecordService, story: Story, anchor: date, progress: Progress
    ) -> None:
        self._story = story
        self._anchor = anchor
        self._progress = progress
        self._time = StoryWorld(anchor)
        self._connection = records.connection
        world = self._time.world()
        engine = records.engine
        policy = Policy(engine.registry, engine.store, clock=world.clock, organization=environment.organization)
        # Cursors live only within the story: the installation's key may need a transaction of its own to be made.
        self._engine = replace(engine, world=world, policy=policy, secret=lambda: b"story")
        self._accounts = Accounts(world, _HashedOnce())
        self._ids: dict[str, str] = {}
        self._actors: dict[str, Actor] = {}
        self._owners: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._done = 0

    def play(self) -> dict[str, int]:
        """Plays everything; returns how many records of each object were made."""
        for name in {s.object for s in self._story.steps} | {u.object for u in self._story.updates}:
            if name not in self._engine.plans:
                raise BadRequest("The demo data has records of {object}, which is no object.", object=name)
        moments = (self._story.steps, self._story.updates, self._story.submissions)
        days = sorted({thing.day for things in moments for thing in things})
        by_day: dict[int, list[Step]] = {day: [] for day in days}
        for step in self._story.steps:
            by_day[step.day].append(step)
        for day in days:
            self._time.begin(day)
            self._day([s for s in by_day[day] if s.create])
            self._day([s for s in by_day[day] if not s.create])
            for update in self._story.updates:
                if update.day == day:
                    self._update_all(update)
            for submission in self._story.submissions:
                if submission.day == day:
                    self._submit(submission)
        return self._counts

    def _day(self, steps: Sequence[Step]) -> None:
        """Plays steps of one day, each when what it needs is there."""
        waiting = sorted(steps, key=self._group)
        while waiting:
            later: list[Step] = []
            for _, grouped in groupby(waiting, key=self._group):
                group = list(grouped)
                ready = [s for s in group if self._ready(s, group)]
                later += [s for s in group if s not in ready]
                if ready:
                    self._call(ready)
            if len(later) == len(waiting):
                missing = sorted({need for step in later for need in step.needs if need not in self._ids})
                raise BadRequest(
                    "The demo data needs records that are not there: {missing}", missing=", ".join(missing)
                )
            waiting = later

    def _group(self, step: Step) -> tuple[int, str]:
        return step.place, self._owner(step)

    def _ready(self, step: Step, group: Sequence[Step]) -> bool:
        """Whether everything is there; of two changes of one record on a day only the first."""
        name = f"{step.object}.{step.key}"
        if not step.create:
            first = next(s for s in group if s.key == step.key)
            if first is not step or name not in self._ids:
                return False
        return all(need in self._ids for need in step.needs)

    def _owner(self, step: Step) -> str:
        """Who acts: the key of the user who owns the record; empty for the platform."""
        name = f"{step.object}.{step.key}"
        owner = step.values.get("owner")
        if isinstance(owner, str) and owner.startswith(f"@{USER}."):
            self._owners[name] = owner.removeprefix("@")
        return self._owners.get(name, "")

    def _call(self, steps: Sequence[Step]) -> None:
        object_name = steps[0].object
        records = RecordService(self._engine, self._connection, self._actor(self._owner(steps[0])))
        if steps[0].create and object_name == USER:
            for step in steps:
                self._ids[f"{USER}.{step.key}"] = self._user(records, step)
        elif steps[0].create:
            made = records.create(object_name, [self._values(s) for s in steps], acknowledge=True)
            self._counts[object_name] = self._counts.get(object_name, 0) + len(made)
            for step, record in zip(steps, made, strict=True):
                self._ids[f"{object_name}.{step.key}"] = record["id"]
        else:
            changes = [Change(self._ids[f"{object_name}.{s.key}"], self._values(s)) for s in steps]
            records.update(object_name, changes, acknowledge=True)
        self._time.now += PACE
        self._done += len(steps)
        self._progress(self._done, len(self._story.steps))

    def _actor(self, owner: str) -> Actor:
        if not owner:
            return SYSTEM
        if owner not in self._actors:
            found = self._accounts.actor_for_user(self._connection, self._ids[owner], "system")
            self._actors[owner] = SYSTEM if found is None else replace(found, admin=True)
        return self._actors[owner]

    def _user(self, records: RecordService, step: Step) -> str:
        values = self._values(step)
        known = self._accounts.user_id(self._connection, values["email"])
        if known is not None:
            return known
        self._counts[USER] = self._counts.get(USER, 0) + 1
        return self._accounts.create_user(records, **{**step.extra, **values})

    def _update_all(self, update: Update) -> None:
        records = RecordService(self._engine, self._connection, SYSTEM)
        values = self._typed(update.object, update.values)
        cursor = None
        found: list[str] = []
        while True:
            page = records.list(Query(update.object, filter=update.where, fields=("id",), limit=500, cursor=cursor))
            found += [record["id"] for record in page.records]
            cursor = page.next_cursor
            if cursor is None:
                break
        records.update(update.object, [Change(record, values) for record in found], acknowledge=True)
        self._time.now += PACE

    def _submit(self, submission: Submission) -> None:
        """A record is submitted by its owner, and answered by whoever the story says."""
        name = f"{submission.object}.{submission.key}"
        if name not in self._ids:
            raise BadRequest("The demo data needs records that are not there: {missing}", missing=name)
        approvals = self._approvals(self._owners.get(name, ""))
        told = approvals.submit(submission.object, self._ids[name], submission.approval, submission.comment)
        self._time.now += PACE
        for answer in submission.answers:
            by = self._approvals(str(answer["by"]).removeprefix("@"))
            by.decide(told["id"], approve=bool(answer["approve"]), comment=str(answer.get("comment", "")))
            self._time.now += PACE

    def _approvals(self, user: str) -> Approvals:
        return approvals_of(RecordService(self._engine, self._connection, self._actor(user)))

    # -- values

    def _values(self, step: Step) -> dict[str, Any]:
        return self._typed(step.object, step.values)

    def _typed(self, object_name: str, values: Mapping[str, Any]) -> dict[str, Any]:
        fields = self._engine.plans[object_name].object.field_of
        typed: dict[str, Any] = {}
        for key, value in values.items():
            named = fields.get(key)
            typed[key] = value if named is None else self._value(named, value)
            if named is not None and named.type.name == "polymorphic" and isinstance(value, str):
                typed[f"{key}_object"] = value[1:].partition(".")[0]
        return typed

    def _value(self, named: Field, value: Any) -> Any:
        if named.type.reference and isinstance(value, str) and value.startswith("@"):
            return self._ids[value[1:]]
        if named.type.name == "date" and isinstance(value, int):
            return (self._anchor + timedelta(days=value)).isoformat()
        if named.type.name == "datetime" and isinstance(value, str) and value[:1] in "+-":
            return self._moment(value)
        if named.junction is not None and isinstance(value, list):
            return [self._link(named, link) for link in value]
        return value

    def _moment(self, value: str) -> str:
        day, _, clock = value.partition(" ")
        try:
            moment = time.fromisoformat(clock)
            return datetime.combine(self._anchor + timedelta(days=int(day)), moment, UTC).isoformat()
        except (ValueError, OverflowError) as error:
            message = 'The demo data has a time {value}; it is written as days and hours, "-12 08:30".'
            raise BadRequest(message, value=value) from error

    def _link(self, named: Field, link: Mapping[str, Any]) -> dict[str, Any]:
        attributes = {key: value for key, value in link.items() if key != "id"}
        return {"id": self._ids[link["id"][1:]], **self._typed(str(named.junction), attributes)}


class _HashedOnce(Passwords):
    """The people of a story share a password; hashing is slow on purpose, so it is done once."""

    def __init__(self) -> None:
        super().__init__()
        self._hashes: dict[str, str] = {}

    def hash(self, password: str) -> str:
        """The stored form, worked out at the first call."""
        if password not in self._hashes:
            self._hashes[password] = super().hash(password)
        return self._hashes[password]


class _shown_progress:
    """A bar on a terminal, nothing elsewhere."""

    def __enter__(self) -> Progress:
        self._bar: Any = None
        if not sys.stderr.isatty():
            return lambda done, steps: None
        from rich.console import Console
        from rich.progress import Progress as Bar

        self._bar = Bar(console=Console(stderr=True), transient=True)
        self._bar.start()
        task = self._bar.add_task("Demo data", total=None)
        return lambda done, steps: self._bar.update(task, completed=done, total=steps)

    def __exit__(self, *problem: object) -> None:
        if self._bar is not None:
            self._bar.stop()
