"""What is older than the settings want goes; what something needs stays; the audit trail still verifies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.config import World
from ratoon.platform.environment import Environment
from ratoon.platform.jobs.keeping import forget_old
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.reading import Query
from ratoon.platform.storage.audit import Happening, entries, note, verify
from ratoon.platform.storage.files import File, add_file, load_files
from ratoon.platform.storage.notifications import notify, of_user

NAME = {"name": "name", "type": "text", "label": "Name", "track_history": True, "searchable": True}
PACKAGE: list[dict[str, Any]] = [
    {"kind": "package", "name": "office", "version": "1.0.0", "label": "Office"},
    {"kind": "object", "name": "folder", "label": "Folder", "title": "name", "fields": [NAME]},
    {"kind": "object", "name": "sheet", "label": "Sheet", "title": "name", "fields": [
        NAME, {"name": "folder", "type": "master_detail", "object": "folder", "label": "Folder", "required": True}]},
]  # fmt: skip


def short(environment: Environment) -> None:
    """Gives the environment settings that keep everything for thirty days."""
    names = ("sign_ins", "audit", "history", "notifications", "deleted")
    environment.settings = replace(environment.settings, **{f"keep_{name}_days": 30 for name in names})


def test_nothing_goes_unless_a_setting_says_so(open_world: Callable[..., Environment], time: Any) -> None:
    environment = open_world(PACKAGE)
    with environment.write(SYSTEM) as records:
        (folder,) = records.create("folder", [{"name": "Old"}])
        records.delete("folder", [folder["id"]])
    time.pass_(days=4000)
    assert forget_old(environment, time()) == {}


def test_what_is_too_old_goes_and_the_chain_stays(
    open_world: Callable[..., Environment], injected: World, time: Any
) -> None:
    environment = open_world(PACKAGE)
    short(environment)
    with environment.write(SYSTEM) as records:
        user = Accounts(injected).create_user(records, name="Ada", email="ada@example.com", admin=True)
        (folder,) = records.create("folder", [{"name": "First"}])
        records.update("folder", [Change(folder["id"], {"name": "Second"})])
        notify(records.connection, injected, user, "Old")
        note(records.connection, time(), Happening("export", "exported", detail={"filter": "name"}))
    Accounts(injected).sign_in(environment.database, "ada@example.com", "wrong")
    time.pass_(days=31)
    with environment.write(SYSTEM) as records:
        records.update("folder", [Change(folder["id"], {"name": "Third"})])
        notify(records.connection, injected, user, "New")
        note(records.connection, time(), Happening("export", "exported", detail={"filter": "new"}))
    done = forget_old(environment, time())
    assert done["notifications"] == done["sign-ins"] == done["trail export"] == done["trail sign_in"] == 1
    with environment.read(SYSTEM) as records:
        (save,) = records.history("folder", folder["id"])
        assert save["changes"] == {"name": ["Second", "Third"]}
        assert [n.title for n in of_user(records.connection, user)] == ["New"]
        assert verify(records.connection).flaws == ()
        assert [e.detail for e in entries(records.connection, trail="export")] == [{"filter": "new"}, None]
    assert forget_old(environment, time()) == {}


def test_the_recycle_bin_is_emptied_details_first_and_files_go(
    open_world: Callable[..., Environment], injected: World, time: Any
) -> None:
    environment = open_world(PACKAGE)
    short(environment)
    with environment.write(SYSTEM) as records:
        old, kept = records.create("folder", [{"name": "Old"}, {"name": "Kept"}])
        records.create("sheet", [{"name": f"s{number}", "folder": old["id"]} for number in range(3)])
        records.delete("folder", [old["id"]])
        file = File(injected.new_id(), "a.txt", "text/plain", 1, hashlib.sha256(b"x").hexdigest(), time(), None,
                    "folder", old["id"])  # fmt: skip
        add_file(records.connection, file)
    environment.settings.files_path.mkdir(parents=True, exist_ok=True)
    (environment.settings.files_path / file.id).write_bytes(b"x")
    time.pass_(days=31)
    with environment.write(SYSTEM) as records:
        records.delete("folder", [kept["id"]])
    assert forget_old(environment, time())["deleted records"] == 4
    assert not (environment.settings.files_path / file.id).exists()
    with environment.read(SYSTEM) as records:
        assert load_files(records.connection, [file.id]) == {}
        assert [r["name"] for r in records.list(Query("folder", deleted=True)).records] == ["Kept"]
        assert records.list(Query("sheet", deleted=True)).records == []
    with environment.write(SYSTEM) as records:
        records.restore("folder", [kept["id"]])
