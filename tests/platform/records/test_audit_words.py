"""Everything that is noted has words, and words say everything: no Python, no ids, nothing left out."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import ratoon.platform.records.audit_facts as room
from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.environment import Environment
from ratoon.platform.records.audit_facts import ACTIONS
from ratoon.platform.records.audit_words import Told, Words
from ratoon.platform.storage.audit import Entry

ROOT = Path(room.__file__).resolve().parents[2]
GONE = "01900000-0000-7000-8000-0000000abcde"
FIRM: list[dict[str, Any]] = [
    {"kind": "package", "name": "firm", "version": "1.0.0", "label": "The firm"},
    {"kind": "object", "name": "deal", "label": "Deal", "plural_label": "Deals",
     "fields": [{"name": "name", "type": "text", "label": "Name"},
                {"name": "amount", "type": "currency", "label": "Amount"}]},
    {"kind": "view", "object": "deal", "name": "big", "label": "Big ones", "columns": ["name"], "sort": ["name"]},
    {"kind": "role", "name": "seller", "label": "Seller", "objects": {"deal": ["read"]}},
    {"kind": "permission_set", "name": "extra", "label": "Extra rights", "objects": {"deal": ["edit"]}},
]  # fmt: skip


def noted() -> Iterator[tuple[str, str]]:
    """(trail, action) of everything that the code notes, read from the code itself."""
    for file in (*(ROOT / "platform").rglob("*.py"), *(ROOT / "ui").glob("*.py"), *(ROOT / "plugins").rglob("*.py")):
        source = file.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)) if "Happening(" in source else ():
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "Happening":
                first, second, *_ = [*node.args, None, None]
                if isinstance(first, ast.Constant) and isinstance(second, ast.Constant) and first.value in ACTIONS:
                    yield str(first.value), str(second.value)


def test_everything_that_is_noted_has_words() -> None:
    found = set(noted())
    assert ("access", "granted") in found
    assert len(found) > 12
    assert {(trail, action) for trail, action in found if action not in ACTIONS[trail]} == set()


@pytest.fixture
def say(open_world: Callable[..., Environment]) -> Callable[..., Told]:
    """``say(trail, action, object, subject, **detail)``: an entry in words."""
    environment = open_world(FIRM)
    entry = Entry(1, datetime(2026, 11, 21, tzinfo=UTC), "", "", None, "", "", {}, "", "")

    def told(
        trail: str, action: str, object: str = "", subject: str = "", who: str | None = None, **detail: Any
    ) -> Told:
        with environment.read(SYSTEM) as records:
            kept = replace(entry, trail=trail, action=action, object=object, subject=subject, by=who, detail=detail)
            return Words(records, environment.accounts, str).of([kept])[0]

    with environment.write(SYSTEM) as records:
        told.mina = environment.accounts.create_user(  # type: ignore[attr-defined]
            records, name="Mina", email="mina@example.com"
        )
    return told


def test_entries_read_as_sentences(say: Any) -> None:
    agent = "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0"
    came = say("sign_in", "refused", "", "mina@example.com", outcome="wrong_password", address="10.0.0.1", agent=agent)
    assert (came.what, came.who.text, came.subject.text) == ("Was refused", "nobody known", "mina@example.com")
    assert came.text == "Because: wrong password; Network address: 10.0.0.1; Browser: Firefox, Windows"
    rights = say("access", "granted", "user", say.mina, before=["permission_set:extra"], after=[])
    assert (rights.kind, rights.subject.text, rights.text) == ("User", "Mina", "Permission sets: Extra rights → none")
    shared = say(
        "access", "shared", "deal", GONE, **{"with": f"user:{say.mina}", "access": "edit", "reason": "holiday"}
    )
    assert shared.subject.text == "a deleted record (…0abcde)"
    assert shared.text == "With whom: Mina; Access: edit; Reason: holiday"
    token = say("access", "token_made", "token", GONE, expires_at="2026-12-01T08:00:00+00:00", objects=["deal"])
    assert (token.kind, token.text) == ("", "Only these objects: Deal; Ends: 2026-12-01 08:00")
    below = say("access", "shared", "deal", GONE, **{"with": "below:seller", "access": "read"})
    assert below.text == "Role and below: Seller; Access: read"
    taken = say("export", "exported", "deal", "deal", who=say.mina, records=12, view="big", sort=["-name"],
                keys=["name", "amount", "amount_currency"], filter='name = "x"')  # fmt: skip
    assert (taken.who.text, taken.kind, taken.subject.text) == ("Mina", "Deal", "")
    assert taken.text == 'Records: 12; View: Big ones; Fields: Name, Amount; Sorted by: Name; Filter: name = "x"'
    erased = say("privacy", "erased", "user", say.mina, fields=["name", "email"], files=2, history=3, version=4)
    assert erased.text == "Fields: Name, E-mail; Files: 2; Changes in the history: 3"


CHANGED = {
    "message": "Sellers take lists out",
    "by": "command line",
    "packages": {"firm": "1.1.0"},
    "sums": {"changed": 2, "added": 1},
    "components": [
        "changed firm/roles/seller.json",
        "changed firm/deal/object.json",
        "added firm/deal/views/big.json",
    ],
    "changes": [
        ["firm/roles/seller.json", "objects.deal", ["read"], ["read", "export"]],
        ["firm/deal/object.json", "fields.amount.required", None, True],
        ["firm/deal/object.json", "icon", "star", "home"],
    ],
    "destructive": [],
    "settled": [],
}


def test_changes_of_the_metadata_say_what_was_and_what_is(say: Any) -> None:
    told = say("setup", "applied", "revision", "7", **CHANGED)
    assert (told.kind, told.subject.text, told.who.text) == ("Revision", "7", "command line")
    assert told.text.split("; ") == [
        "Message: Sellers take lists out",
        "Packages: The firm 1.1.0",
        "role “Seller”: Deal: read → read, export",
        "object “Deal”, Amount: required: none → yes",
        "object “Deal”: icon: star → home",
        "Added: view “Big ones” of Deal",
    ]
    purged = say("setup", "purged", "kept_data", "deal.old", lost={"deal.old": 3}, packages=["firm"])
    assert purged.text == "Deal: old: 3 values dropped; Packages: The firm"


def test_what_a_later_version_notes_is_still_read(say: Any) -> None:
    told = say("access", "moon_landed", "deal", GONE, stones=["grey", "red"], flags=1)
    assert told.what == "Moon landed"
    assert told.text == "stones: grey, red; flags: 1"


def test_no_words_for_any_action_hold_python_or_ids(say: Any) -> None:
    detail = {
        "outcome": "ok", "purpose": "reset", "for": GONE, "before": ["seller"], "after": ["gone_role"], "to": GONE,
        "with": f"team:{GONE}", "keys": ["name", "gone"], "fields": ["name"], "lost": {"deal.x": 1}, "count": 3,
        "packages": ["firm", "gone"], "components": ["added gone/thing/object.json", "removed gone/tests/a.json"],
        "tokens_ended": 2, "objects": ["deal", "gone"], "sort": ["name"], "filter": {"by": "mina@example.com"},
        "changes": {"is_admin": [False, True], "email": [None, "x@y.z"]},
    }  # fmt: skip
    for trail, actions in ACTIONS.items():
        for action in actions:
            given = {**detail, "entries": [1, 2] if trail == "audit" else 2}
            if action in ("forgotten", "applied", "purged"):
                del given["before"], given["after"], given["changes"]
            told = say(trail, action, "deal", GONE, **given)
            said = f"{told.what} {told.kind} {told.subject.text} {told.text}"
            assert not re.search(r"[\[\]{}']|None|True|[0-9a-f]{8}-[0-9a-f]{4}", said), said
