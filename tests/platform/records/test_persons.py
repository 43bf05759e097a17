"""A person is taken out whole and erased for good: no value is left, everything that points there stays."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import String, Text, insert

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM, Actor
from ratoon.platform.config import World
from ratoon.platform.environment import Environment
from ratoon.platform.errors import BadRequest, Conflict, Forbidden, NotFound
from ratoon.platform.formulas.columns import Json
from ratoon.platform.metadata.documents import canonical, place
from ratoon.platform.packages import Target, apply_package
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.persons import Persons
from ratoon.platform.records.reading import Query
from ratoon.platform.storage import idempotency
from ratoon.platform.storage.audit import Happening, note, verify
from ratoon.platform.storage.erasing import ACCOUNT, TEXTS
from ratoon.platform.storage.files import File, add_file, attach_files, load_files
from ratoon.platform.storage.notifications import notify
from ratoon.platform.storage.system import system_tables

LAST, FIRST, MAIL, PHONE = "Quillfeather", "Zephyrine", "zq.feather@example.com", "+4917655501234"
GONE = (LAST, FIRST, MAIL, PHONE, "Nightingale", "Fluffernut", "1981-02-03", "passport-scan")
"""Values of the person, now and before, that must be nowhere afterwards."""


def text(name: str, label: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "text", "label": label, **more}


def documents(*, nickname: bool) -> list[dict[str, Any]]:
    personal = {"sensitivity": "personal", "track_history": True}
    fields = [
        text("last_name", "Last name", required=True, searchable=True, **personal),
        text("first_name", "First name", searchable=True, **personal),
        {"name": "full_name", "type": "formula", "returns": "text", "label": "Name", "searchable": True,
         "formula": 'BLANKVALUE(first_name, "") & " " & last_name', **personal},
        {"name": "email", "type": "email", "label": "E-mail", "required": True, "unique": True, **personal},
        {"name": "phone", "type": "phone", "label": "Phone", **personal},
        {"name": "born_on", "type": "date", "label": "Born", "sensitivity": "sensitive", "track_history": True},
        {"name": "passport", "type": "file", "label": "Passport", "sensitivity": "sensitive"},
        {"name": "greeting", "type": "formula", "returns": "text", "label": "Greeting", "track_history": True,
         "formula": '"Dear " & last_name'},
        text("level", "Level", track_history=True),
    ]  # fmt: skip
    if nickname:
        fields.append(text("nickname", "Nickname", track_history=True))
    return [
        {"kind": "package", "name": "club", "version": "1.0.0" if nickname else "1.1.0", "label": "Club"},
        {"kind": "object", "name": "member", "label": "Member", "title": "full_name", "person": True,
         "fields": fields},
        {"kind": "object", "name": "bill", "label": "Bill", "title": "name", "fields": [
            text("name", "Name", searchable=True),
            {"name": "member", "type": "lookup", "object": "member", "label": "Member", "on_delete": "restrict"},
            {"name": "billed_to", "type": "formula", "returns": "text", "label": "Billed to", "track_history": True,
             "formula": "member.full_name", "searchable": True},
            {"name": "amount", "type": "decimal", "label": "Amount"}]},
        {"kind": "duplicate", "object": "member", "name": "same_mail", "label": "Same mail",
         "match": [{"field": "email"}], "action": "warn", "message": "There is one: {titles}."},
        {"kind": "role", "name": "desk", "label": "Desk", "objects": {"*": ["create", "read", "edit", "export"]},
         "fields": {"member.born_on": []}},
    ]  # fmt: skip


def apply(environment: Environment, found: list[dict[str, Any]]) -> None:
    source: Any = {place(str(d["kind"]), d): canonical(d).encode() for d in found}
    apply_package(Target.of(environment), source, message="test", allow_destructive=True)


class Club:
    """A member who left traces everywhere, and an administrator."""

    def __init__(self, environment: Environment, world: World) -> None:
        self.environment = environment
        apply(environment, documents(nickname=True))
        with environment.write(SYSTEM) as records:
            accounts = Accounts(world)
            admin = accounts.create_user(records, name="Ada", email="ada@example.com", admin=True)
            desk = accounts.create_user(records, name="Desk", email="desk@example.com", roles=["desk"])
            given = {"last_name": "Nightingale", "first_name": FIRST, "email": MAIL, "phone": PHONE, "level": "gold",
                     "born_on": "1981-02-03", "nickname": "Fluffernut"}  # fmt: skip
            self.member = str(records.create("member", [given])[0]["id"])
            self.bill = str(records.create("bill", [{"name": "B1", "member": self.member, "amount": "12.30"}])[0]["id"])
            records.create("bill", [{"name": f"Called {MAIL} twice"}])
        with environment.write(SYSTEM) as records:
            conn = records.connection
            for id, name in ((world.new_id(), "passport-scan.pdf"),):
                add_file(conn, File(id, name, "application/pdf", 4, hashlib.sha256(b"scan").hexdigest(),
                                    world.clock(), None))  # fmt: skip
                self.file = id
            records.update("member", [Change(self.member, {"last_name": LAST, "passport": self.file})])
            attach_files(conn, [self.file], "member", self.member)
            notify(conn, world, admin, f"{FIRST} {LAST} joined", "Say hello", object="member", record=self.member)
            notify(conn, world, admin, "A mail came back", f"It went to {MAIL.upper()}.")
            idempotency.begin(conn, "x", "key", "digest", world.clock())
            idempotency.finish(conn, "x", "key", idempotency.Answer(201, {}, f'{{"id":"{self.member}"}}'.encode()))
            note(conn, world.clock(), Happening("export", "exported", detail={"filter": f'email = "{MAIL}"'}))
            self._run(conn, world)
        apply(environment, documents(nickname=False))
        with environment.database.read() as conn:
            made = [accounts.actor_for_user(conn, user) for user in (admin, desk)]
        assert made[0] is not None
        assert made[1] is not None
        self.admin: Actor = made[0]
        self.desk: Actor = made[1]

    def _run(self, conn: Any, world: World) -> None:
        """What a finished automation noted of the member: its input, what its condition saw, the mail it sent."""
        tables, run, now = system_tables().tables, world.new_id(), world.clock()
        conn.execute(insert(tables["ratoon_run"]), {
            "id": run, "name": "automation", "state": "done", "trigger": "updated", "object": "member", "records": 1,
            "payload": {"name": LAST}, "due_at": now, "created_at": now, "tries": 1, "handed": 1})  # fmt: skip
        conn.execute(insert(tables["ratoon_run_record"]), {"record": self.member, "run": run, "seen": {"x": LAST}})
        for step, record, detail in (("1", self.member, {"to": [MAIL], "subject": f"Hello {FIRST}"}),
                                     ("2", "", {"hello": LAST})):  # fmt: skip
            conn.execute(insert(tables["ratoon_run_step"]), {
                "run": run, "step": step, "record": record, "state": "done", "kind": "send_mail", "at": now,
                "tries": 1, "ms": 3, "detail": detail})  # fmt: skip

    def erase(self) -> list[str]:
        with self.environment.write(self.admin) as records:
            persons = Persons(records)
            return persons.erase("member", self.member, persons.plan("member", self.member).fingerprint)


@pytest.fixture
def club(open_world: Callable[..., Environment], injected: World) -> Club:
    return Club(open_world(), injected)


def remains(environment: Environment, values: tuple[str, ...]) -> set[str]:
    """Which of these values are still anywhere in the database: its whole file, or every row of every table."""
    url = environment.settings.database_url
    environment.close()
    if url.startswith("sqlite"):
        file = url.removeprefix("sqlite:///")
        with sqlite3.connect(file) as raw:
            raw.execute("VACUUM")
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        raw.close()
        everything = b"".join(p.read_bytes() for p in Path(file).parent.glob(Path(file).name + "*")).lower()
        return {v for v in values if v.lower().encode() in everything}
    found: set[str] = set()
    with psycopg.connect(url) as pg:
        tables = pg.execute(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        assert len(tables) > 20, urlsplit(url).path
        for (table,) in tables:
            for (row,) in pg.execute(f"SELECT t::text FROM {table} AS t".encode()):
                found |= {v for v in values if v.lower() in row.lower()}
    return found


def test_an_erased_person_is_nowhere_in_the_database(club: Club) -> None:
    with club.environment.write(SYSTEM) as records:
        (other,) = (r["id"] for r in records.list(Query("bill", filter="ISBLANK(member)")).records)
        records.update("bill", [Change(other, {"name": "Called twice"})])  # what people wrote is for people to mend
    club.erase()
    assert remains(club.environment, (*GONE, MAIL.partition("@")[0])) == set()


def test_what_points_at_an_erased_person_still_does(club: Club) -> None:
    club.erase()
    with club.environment.read(club.admin) as records:
        member, bill = records.get("member", club.member), records.get("bill", club.bill)
        assert bill["member"] == club.member
        assert str(bill["amount"]) == "12.30"
        assert member["level"] == "gold"
        assert (member["last_name"], member["first_name"], member["phone"]) == ("[erased]", None, None)
        assert member["email"] == f"erased-{club.member}@erased.invalid"
        assert bill["billed_to"] == member["full_name"] == "[erased]"
        assert records.search("Quillfeather") == records.search("Nightingale") == []
        assert {hit[1] for hit in records.search("erased")} == {club.member, club.bill}
        saves = records.history("member", club.member)
        assert saves[0]["action"] == "erased"
        assert {key for save in saves for key, pair in save["changes"].items() if pair != [None, None]} <= {"level"}
        records.list(Query("member"))


def test_the_plan_says_what_goes_and_what_stays(club: Club) -> None:
    with club.environment.read(club.admin) as records:
        plan = Persons(records).plan("member", club.member)
    assert set(plan.fields) >= {"last_name", "first_name", "email", "phone", "born_on", "passport", "full_name"}
    assert "level" not in plan.fields
    assert plan.files == ("passport-scan.pdf",)
    assert plan.kept == {"bill.member": 1}
    assert plan.mentions == {"bill.name": 1}
    assert set(plan.traces) == {
        "history", "kept_columns", "runs", "notifications", "answers", "named_elsewhere", "audit",
    }  # fmt: skip


def test_nothing_is_erased_that_was_not_shown(club: Club) -> None:
    with club.environment.read(club.admin) as records:
        plan = Persons(records).plan("member", club.member)
    with club.environment.write(SYSTEM) as records:
        records.update("member", [Change(club.member, {"level": "silver"})])
    with pytest.raises(Conflict), club.environment.write(club.admin) as records:
        Persons(records).erase("member", club.member, plan.fingerprint)
    with club.environment.read(club.admin) as records:
        assert records.get("member", club.member)["last_name"] == LAST


def test_erasing_is_written_down_and_the_trail_stays_whole(club: Club) -> None:
    gone = club.erase()
    with club.environment.database.read() as conn:
        assert verify(conn).flaws == ()
        assert load_files(conn, gone)[club.file].name == "[erased]"
        assert load_files(conn, gone)[club.file].record is None
    with club.environment.write(club.admin) as records:
        again = Persons(records).plan("member", club.member)
        assert again.files == ()
        assert again.mentions == {}
        Persons(records).erase("member", club.member, again.fingerprint)


def test_only_an_administrator_erases_and_only_people(club: Club) -> None:
    for object, record, refusal in (("member", club.member, Forbidden), ("bill", club.bill, BadRequest)):
        with pytest.raises(refusal), club.environment.read(club.desk) as records:
            Persons(records).plan(object, record)
    with club.environment.read(club.admin) as records:
        with pytest.raises(NotFound):
            Persons(records).plan("member", club.bill)
        with pytest.raises(BadRequest):
            Persons(records).plan("user", str(club.admin.id))


def test_everything_about_a_person_comes_out_under_the_rights_of_who_asks(club: Club) -> None:
    with club.environment.write(club.desk) as records:
        found = Persons(records).everything("member", club.member)
    assert found["record"]["email"] == MAIL
    assert "born_on" not in found["record"]
    assert all("born_on" not in save["changes"] for save in found["history"])
    assert [bill["name"] for bill in found["pointing_here"]["bill.member"]] == ["B1"]
    assert "notes_of_the_platform" not in found
    with club.environment.write(club.admin) as records:
        found = Persons(records).everything("member", club.member)
    assert found["record"]["born_on"] == "1981-02-03"
    assert found["files"][0]["name"] == "passport-scan.pdf"
    assert found["notes_of_the_platform"]["steps_of_automations"][0]["detail"]["to"] == [MAIL]


def test_a_deleted_person_and_a_user_can_be_erased_too(club: Club, injected: World) -> None:
    with club.environment.write(SYSTEM) as records:
        records.delete("bill", [club.bill])
        records.delete("member", [club.member])
        accounts = Accounts(injected)
        user = accounts.create_user(
            records, name="Wilhelmina Ostrander", email="mina@example.com", password="long enough 99"
        )
    accounts.sign_in(club.environment.database, "mina@example.com", "wrong", address="203.0.113.77")
    with club.environment.database.write() as conn:
        accounts.end_session(conn, accounts.start_session(conn, user, address="203.0.113.88", agent="Mina's Browser"))
    club.erase()
    with club.environment.write(club.admin) as records:
        persons = Persons(records)
        persons.erase("user", user, persons.plan("user", user).fingerprint)
    assert accounts.sign_in(club.environment.database, "mina@example.com", "long enough 99").actor is None
    values = (LAST, "Ostrander", "mina@example.com", "203.0.113.77", "203.0.113.88", "Mina's", PHONE)
    # the last refused attempt wrote the address that was typed into the trail anew
    assert remains(club.environment, values) == {"mina@example.com"}


HARMLESS: dict[str, set[str]] = {
    "ratoon_audit_about": {"kind", "name"},
    "ratoon_apply": {"name", "by", "host", "what"},
    "ratoon_approval": {"object", "process", "state", "step"},
    "ratoon_base": {"package", "file", "kind", "body"},
    "ratoon_counter": {"name"},
    "ratoon_decision": {"event", "step", "source"},
    "ratoon_document": {"path", "package", "file", "kind", "body"},
    "ratoon_due": {"rule"},
    "ratoon_file": {"media_type", "sha256", "object"},
    "ratoon_history": {"object", "event", "key", "source"},
    "ratoon_idempotency": {"actor", "key", "request", "headers"},
    "ratoon_kept": {"kind", "object", "key", "table", "column", "signature", "declaration"},
    "ratoon_match": {"object", "rule", "key"},
    "ratoon_notification": {"object", "key", "rule", "kind", "mail"},
    "ratoon_notification_way": {"kind", "mail"},
    "ratoon_package_setting": {"package", "name", "value"},
    "ratoon_quota": {"name", "grants"},
    "ratoon_revision": {"by", "message"},
    "ratoon_run": {"name", "key", "state", "trigger", "rule", "object", "worker", "error_code"},
    "ratoon_run_step": {"step", "record", "state", "kind", "error_code"},
    "ratoon_setting": {"name", "value"},
    "ratoon_share": {"object", "grantee", "access"},
    "ratoon_sign_in": {"outcome"},
    "ratoon_stage": {"object", "field", "pipeline", "stage", "previous"},
    "ratoon_stage_task": {"pipeline", "stage", "task", "object"},
    "ratoon_timer": {"name", "shape"},
    "ratoon_turn": {"rule"},
    "ratoon_undo": {"object", "key", "record", "signature"},
    "ratoon_unlinked": {"object", "key"},
    "ratoon_user_role": {"role"},
    "ratoon_vote": {"step", "state"},
    "ratoon_worker": {"id", "host"},
}
"""Texts of the platform's tables that hold names of metadata, ids, states or settings, and nothing about people."""
EMPTIED: dict[str, set[str]] = {
    "ratoon_audit": {"trail", "action", "object", "subject", "detail", "previous", "hash"},
    "ratoon_history": {"old", "new"},
    "ratoon_undo": {"old", "new"},
    "ratoon_session": {"hash", "address", "agent"},
    "ratoon_sign_in": {"address", "agent"},
    "ratoon_token": {"hash", "label", "objects"},
}
"""Texts that erasing looks after one by one (``storage/erasing.py``)."""


def test_erasing_knows_every_text_that_the_platform_keeps() -> None:
    """Whoever adds a table says here, or in ``erasing.TEXTS``, what becomes of a person in it."""
    unknown = [
        f"{table.name}.{column.name}"
        for table in system_tables().sorted_tables
        for column in table.c
        if isinstance(column.type, String | Text | Json)
        and table.name not in ACCOUNT
        and column.name not in {*TEXTS.get(table.name, ()), *HARMLESS.get(table.name, ()), *EMPTIED.get(table.name, ())}
    ]
    assert unknown == []
