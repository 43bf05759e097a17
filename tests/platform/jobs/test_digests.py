"""Notifications by mail: at once or on the reader's morning, each in exactly one mail, only what may be seen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.automation import mailing
from ratoon.platform.automation.mailing import Mail
from ratoon.platform.environment import Environment
from ratoon.platform.jobs import drain
from ratoon.platform.jobs.digests import mail_rounds, mail_time
from ratoon.platform.records.drafts import Change
from ratoon.platform.storage.notification_ways import EVERYBODY, Way, choose, ways
from ratoon.platform.storage.notifications import mark_read, notify, of_user, unread

DOCUMENTS: list[dict[str, Any]] = [
    {"kind": "package", "name": "desk", "version": "1.0.0", "label": "Desk"},
    {
        "kind": "object", "name": "ticket", "label": "Ticket", "plural_label": "Tickets", "title": "name",
        "default_access": "private", "fields": [{"name": "name", "type": "text", "label": "Name"}],
    },
    {"kind": "role", "name": "agent", "label": "Agent", "objects": {"ticket": ["create", "read",
     "edit"]}},
    {"kind": "strings", "locale": "zh-Hans", "texts": {"Ticket": "工单", "Tickets": "工单"}},
]  # fmt: skip


@dataclass
class Desk:
    """Mei in Shanghai (Chinese), Bob in New York; mails are kept instead of sent."""

    world: Environment
    time: Any
    mails: list[Mail]
    mei: str
    bob: str

    def tell(self, user: str, title: str, kind: str = "automation", record: str | None = None) -> None:
        about = {} if record is None else {"object": "ticket", "record": record}
        with self.world.database.write() as connection:
            notify(connection, self.world.world, user, title, kind=kind, **about)

    def ticket(self, owner: str, name: str = "Broken") -> str:
        return str(self.world.transact(SYSTEM, lambda r: r.create("ticket", [{"name": name, "owner": owner}]))[0]["id"])

    def want(self, user: str, **kinds: Way | None) -> None:
        with self.world.database.write() as connection:
            choose(connection, user, kinds)

    def at(self, text: str) -> None:
        """The clock is moved there, workers look, and what is due is done."""
        self.time.now = datetime.fromisoformat(text).replace(tzinfo=UTC)
        mail_rounds(self.world, self.time.now)
        drain(self.world)


@pytest.fixture
def desk(open_world: Callable[..., Environment], time: Any, monkeypatch: pytest.MonkeyPatch) -> Desk:
    from dataclasses import replace

    world = open_world(DOCUMENTS)
    world.settings = replace(world.settings, smtp_host="mail.test", public_url="https://crm.test")
    mails: list[Mail] = []
    monkeypatch.setattr(mailing.Mailer, "send", lambda self, mail: mails.append(mail))
    people = [
        {"name": "Mei", "email": "mei@x.cn", "locale": "zh-Hans", "time_zone": "Asia/Shanghai"},
        {"name": "Bob", "email": "bob@x.com", "time_zone": "America/New_York"},
    ]
    with world.write(SYSTEM) as records:
        mei, bob = (r["id"] for r in records.create("user", people))
        for user in (mei, bob):
            Accounts(world.world).set_roles(records.connection, user, ["agent"])
    time.now = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)  # a Tuesday: 18:00 in Shanghai, 5:00 in New York
    return Desk(world, time, mails, str(mei), str(bob))


def test_a_digest_comes_on_the_readers_morning_in_the_readers_language_and_once(desk: Desk) -> None:
    for user in (desk.mei, desk.bob):
        desk.want(user, automation=Way(mail="daily"))
        desk.tell(user, "One")
        desk.tell(user, "Two")
    desk.at("2026-11-24T12:59:00")
    assert desk.mails == []
    desk.at("2026-11-24T13:00:00")  # eight in New York
    desk.at("2026-11-25T00:00:00")  # eight in Shanghai
    desk.at("2026-11-25T00:01:00")
    assert [(m.to, m.subject) for m in desk.mails] == [
        (("bob@x.com",), "2 things for you"), (("mei@x.cn",), "您有 2 条新消息"),
    ]  # fmt: skip
    assert "不再接收此类邮件" in desk.mails[1].text
    assert "2026年11月24日" in desk.mails[1].text
    assert desk.mails[0].unsubscribe is not None
    assert desk.mails[0].unsubscribe.startswith("https://crm.test/notifications/stop/")


def test_a_week_comes_on_monday_and_what_came_later_waits_for_the_next(desk: Desk) -> None:
    desk.want(desk.mei, automation=Way(mail="weekly"))
    desk.tell(desk.mei, "A")
    desk.at("2026-11-29T23:59:00")
    assert desk.mails == []
    desk.at("2026-11-30T00:00:30")
    desk.tell(desk.mei, "B")
    desk.at("2026-12-06T12:00:00")
    assert [m.subject for m in desk.mails] == ["A"]
    desk.at("2026-12-09T12:00:00")  # nobody worked on Monday: made up for
    assert [m.subject for m in desk.mails] == ["A", "B"]


def test_what_was_read_or_may_not_be_seen_any_more_is_left_out(desk: Desk) -> None:
    mine, lost = desk.ticket(desk.mei, "Mine"), desk.ticket(desk.mei, "Lost")
    desk.want(desk.mei, overdue=Way(mail="now"))
    for record, title in ((mine, "Mine is late"), (lost, "Lost is late"), (None, "Read already")):
        desk.tell(desk.mei, title, "overdue", record)
    with desk.world.database.write() as connection:
        read = next(n for n in of_user(connection, desk.mei) if n.title == "Read already")
        mark_read(connection, desk.mei, desk.time.now, [read.id])
    desk.world.transact(SYSTEM, lambda r: r.update("ticket", [Change(lost, {"owner": desk.bob})]))
    desk.at("2026-11-24T10:00:01")
    assert [m.subject for m in desk.mails] == ["Mine is late"]
    assert "Lost" not in desk.mails[0].text
    assert f"https://crm.test/o/ticket/{mine}" in desk.mails[0].text


def test_a_choice_counts_for_what_waits_and_everybodys_for_whoever_did_not_choose(desk: Desk) -> None:
    desk.want(EVERYBODY, automation=Way(bell=False, mail="daily"))
    desk.tell(desk.mei, "quiet")
    desk.tell(desk.bob, "quiet")
    desk.want(desk.mei, automation=Way(mail="off"))
    desk.tell(desk.mei, "loud")
    with desk.world.database.read() as connection:
        assert unread(connection, desk.bob) == 0
        assert [n.title for n in of_user(connection, desk.mei)] == ["loud"]
    desk.at("2026-11-26T12:00:00")
    assert [m.to for m in desk.mails] == [("bob@x.com",)]
    desk.want(desk.mei, automation=None)
    with desk.world.database.read() as connection:
        assert ways(connection, desk.mei)["automation"] == Way(bell=False, mail="daily")


def test_records_given_by_somebody_else_are_told_once_per_person_in_their_words(desk: Desk) -> None:
    ada = desk.world.transact(
        SYSTEM, lambda r: r.create("user", [{"name": "Ada", "email": "a@x.cn", "is_admin": True}])
    )
    with desk.world.database.read() as connection:
        actor = Accounts(desk.world.world).actor_for_user(connection, ada[0]["id"])
    assert actor is not None
    rows = [{"name": f"T{i}", "owner": desk.mei} for i in range(3)] + [
        {"name": "B", "owner": desk.bob},
        {"name": "own"},
    ]
    desk.world.transact(actor, lambda r: r.create("ticket", rows))
    with desk.world.database.read() as connection:
        assert [(n.title, n.kind) for n in of_user(connection, desk.mei)] == [("有 3 条工单分配给您", "assignment")]
        assert [(n.title, n.body) for n in of_user(connection, desk.bob)] == [("Ticket for you: B", "Ada")]
        assert of_user(connection, str(actor.id)) == []


def test_workers_that_look_at_once_take_each_notification_once(desk: Desk) -> None:
    desk.want(desk.mei, automation=Way(mail="now"))
    for i in range(5):
        desk.tell(desk.mei, f"N{i}")
    now = desk.time.now + timedelta(seconds=1)
    threads = [threading.Thread(target=mail_rounds, args=(desk.world, now)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    desk.at("2026-11-24T10:00:02")
    assert len(desk.mails) == 1
    assert all(f"N{i}" in desk.mails[0].text for i in range(5))


@given(
    minutes=st.integers(0, 2 * 365 * 24 * 60),
    zone=st.sampled_from(["Asia/Shanghai", "America/New_York", "Europe/Berlin", "Pacific/Apia", "Australia/Lord_Howe"]),
    mail=st.sampled_from(["daily", "weekly"]),
)
@settings(max_examples=60, deadline=None)
def test_the_morning_is_eight_there_and_lies_behind_us(minutes: int, zone: str, mail: str) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    due = mail_time(mail, at, ZoneInfo(zone))
    local = due.astimezone(ZoneInfo(zone))
    assert (local.hour, local.minute) == (8, 0)
    assert due <= at < due + timedelta(days=8 if mail == "weekly" else 2)
    assert mail == "daily" or local.weekday() == 0
