"""The audit trail on the screen: filters in the address, names instead of ids, pages, CSV, three languages."""

from __future__ import annotations

import csv
import io
import re
import uuid
from typing import Any
from urllib.parse import quote

import pytest

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.records.ownership import Ownership
from ratoon.platform.records.persons import Persons
from ratoon.platform.storage.audit import Happening, note, verify
from ratoon.platform.storage.audit_search import Wanted, find

PASSWORD = "correct horse battery"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture
def admin(site: Any) -> Any:
    """An administrator of this test's own, signed in; ``id`` and ``email`` are known."""
    email = f"{uuid.uuid4().hex[:12]}@example.com"
    with site.environment.write(SYSTEM) as records:
        accounts = Accounts(site.environment.world)
        id = accounts.create_user(records, name="Olga Petrova", email=email, password=PASSWORD, admin=True)
    visitor = site.visitor()
    visitor.sign_in(email)
    visitor.email, visitor.id = email, id
    visitor.speak("en")
    return visitor


def shared(site: Any, admin: Any) -> tuple[str, str]:
    """An account that the administrator gave to Sam, whose roles changed, too; ids of both."""
    account = site.create("account", name="Mochi & Sons")
    with site.environment.write(SYSTEM) as records:
        accounts = Accounts(site.environment.world)
        sam = accounts.create_user(records, name="Sam Weber", email=f"{uuid.uuid4().hex[:8]}@example.com",
                                   roles=["sales_rep"])  # fmt: skip
        accounts.set_roles(records.connection, sam, ["sales_rep", "sales_manager"], by=admin.id)
    actor = site.environment.accounts.actor_for_user
    with site.environment.database.read() as conn:
        olga = actor(conn, admin.id)
    with site.environment.write(olga) as records:
        Ownership(records).transfer("account", [account], sam)
    return account, sam


def visible(page: str) -> str:
    """What a reader sees of the entries: no tags."""
    entries = page[page.index('<ol class="rt-trail">') : page.index("</ol>")]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", entries))


def test_what_happened_is_told_with_names_that_lead_to_the_records(site: Any, admin: Any) -> None:
    account, sam = shared(site, admin)
    page = admin.get(f"/access/audit?by={quote(admin.email)}&trail=access").text
    text = visible(page)
    assert "Given away Account Mochi &amp; Sons" in text
    assert "New owner Sam Weber" in text
    assert "Rights changed User Sam Weber" in text
    assert re.search(r"Roles Sales representative became Sales manager ?, Sales representative", text), text
    assert f'<a href="/o/account/{account}">Mochi &amp; Sons</a>' in page
    assert f'<a href="/o/user/{sam}">Sam Weber</a>' in page
    everything = visible(admin.get("/access/audit").text)
    assert not UUID.search(everything), everything
    assert "[" not in everything


def test_who_becomes_an_administrator_or_gets_another_address_is_told(site: Any, admin: Any) -> None:
    former, later = f"{uuid.uuid4().hex[:8]}@example.com", f"{uuid.uuid4().hex[:8]}@example.com"
    with site.environment.database.read() as conn:
        olga = site.environment.accounts.actor_for_user(conn, admin.id)
    with site.environment.write(olga) as records:
        kim = site.environment.accounts.create_user(records, name="Kim Novak", email=former)
    with site.environment.write(olga) as records:
        records.update("user", [_change(kim, is_admin=True, email=later, job_title="Boss")])
    with site.environment.write(olga) as records:
        records.update("user", [_change(kim, job_title="Boss of all")])
        records.delete("user", [kim])
    text = visible(admin.get(f"/access/audit?object=user&record={kim}&by={quote(admin.email)}").text)
    assert f"E-mail {former} became {later} Administrator no became yes" in text
    assert [text.count(f"User {word}") for word in ("added", "changed", "deleted")] == [1, 1, 1], (
        "other fields matter not"
    )
    with site.environment.write(olga) as records:
        records.restore("user", [kim])
        persons = Persons(records)
        persons.erase("user", kim, persons.plan("user", kim).fingerprint)
    with site.environment.database.read() as conn:
        kept = str(find(conn, Wanted(subjects=(kim,))))
        assert verify(conn).flaws == ()
    assert former not in kept
    assert later not in kept
    assert "user_deleted" in kept


def test_one_record_is_found_by_its_id_its_page_and_from_its_history(site: Any, admin: Any) -> None:
    account, sam = shared(site, admin)
    found = admin.get(f"/access/audit?object=account&record={account}").text
    assert "Given away" in found
    assert "Rights changed" not in visible(found)
    pasted = admin.get(f"/access/audit?trail=&by=&subject={quote(f'https://crm.example/o/account/{account}?tab=x')}")
    assert pasted.status_code == 303
    assert pasted.headers["Location"] == f"/access/audit?object=account&record={account}"
    assert f"/access/audit?object=account&amp;record={account}" in admin.get(f"/o/account/{account}?tab=history").text
    of_sam = visible(admin.get(f"/access/audit?record={sam}").text)
    assert "Rights changed" in of_sam


def test_the_filter_bar_answers_with_what_it_shows_and_its_address(site: Any, admin: Any) -> None:
    answer = admin.get("/access/audit?trail=sign_in&by=&from=", HX_Request="true", HX_Target="trail")
    assert answer.headers["HX-Push-Url"] == "/access/audit?trail=sign_in"
    assert answer.text.lstrip().startswith('<div id="trail">')
    assert "<html" not in answer.text
    assert "Remove the filter Trail: Signing in" in answer.text
    for query, said in (
        ("by=nobody.at.all@example.com", "There is no user with the address nobody.at.all@example.com."),
        ("from=yesterday", "from is a day or a moment"),
        ("from=2026-11-21&until=2026-11-20", "until comes before from"),
        ("object=acount", "Did you mean account?"),
    ):
        page = admin.get(f"/access/audit?{query}")
        assert page.status_code == 200
        assert said in page.text
        assert "This filter cannot be read" in page.text
        assert 'class="rt-trail"' not in page.text
    assert admin.get("/access/audit?cursor=x").status_code == 404
    assert "is-invalid" in admin.get("/access/audit?from=yesterday").text


def test_days_are_those_of_the_reader(site: Any, admin: Any) -> None:
    from datetime import UTC, datetime

    with site.environment.write(SYSTEM) as records:
        records.update("user", [_change(admin.id, time_zone="Asia/Shanghai")])
    mark = uuid.uuid4().hex[:8]
    with site.environment.database.write() as conn:
        for hour in (15, 17):  # 23:00 and 01:00 in Shanghai
            note(
                conn, datetime(2020, 5, 4, hour, tzinfo=UTC), Happening("export", "exported", subject=f"{mark}-{hour}")
            )
    admin.sign_in(admin.email)
    text = visible(admin.get("/access/audit?from=2020-05-05&until=2020-05-05").text)
    assert f"{mark}-17" in text
    assert "May 5, 2020, 1:00:00" in text
    assert f"{mark}-15" not in text


def _change(id: str, **values: Any) -> Any:
    from ratoon.platform.records.service import Change

    return Change(id, values)


def test_older_entries_follow_page_by_page(site: Any, admin: Any) -> None:
    mark = uuid.uuid4().hex[:8]
    with site.environment.database.write() as conn:
        happenings = [Happening("export", "exported", admin.id, "account", f"{mark} {n}") for n in range(120)]
        note(conn, site.environment.world.clock(), *happenings)
    page, seen = admin.get(f"/access/audit?by={quote(admin.email)}&trail=export").text, []
    while True:
        seen += re.findall(rf"{mark} (\d+)", page)
        more = re.search(r'hx-get="([^"]*cursor=[^"]*)"', page)
        if more is None:
            break
        page = admin.get(more.group(1).replace("&amp;", "&"), HX_Request="true", HX_Target="trail-more").text
        assert "<form" not in page
    assert [int(n) for n in seen] == list(range(119, -1, -1))


def test_what_is_filtered_is_taken_out_harmless_and_that_is_noted(site: Any, admin: Any) -> None:
    account, _ = shared(site, admin)
    with site.environment.write(SYSTEM) as records:
        records.update("account", [_change(account, name="=HYPERLINK(1)")])
    answer = admin.get(f"/access/audit/export?object=account&record={account}")
    assert answer.content_type == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff")))
    assert row["what"] == "Given away"
    assert row["subject"] == "'=HYPERLINK(1)"
    assert row["subject_id"] == account
    assert row["details"] == "New owner: Sam Weber"
    with site.environment.database.read() as conn:
        taken, *_ = find(conn, Wanted(trail="export", by=admin.id))
    assert taken.detail == {"entries": 1, "filter": {"object": "account", "record": account}}
    assert "Taken out Audit trail" in visible(admin.get("/access/audit?object=audit_trail").text)
    assert admin.get("/access/audit/export?by=nobody.there@example.com").status_code == 400


def test_the_trail_speaks_the_reader_s_language(site: Any, admin: Any) -> None:
    shared(site, admin)
    admin.speak("zh-Hans")
    text = visible(admin.get(f"/access/audit?by={quote(admin.email)}&trail=access").text)
    assert "更改了权限 用户 Sam Weber" in text
    assert "新负责人 Sam Weber" in text
    assert not re.search(r"\b(granted|Roles|New owner|Given away)\b", text)
    admin.speak("en")


def test_nobody_else_sees_it(site: Any) -> None:
    visitor = site.visitor()
    visitor.sign_in("nobody@example.com")
    for path in ("/access/audit", "/access/audit/export", "/access/audit?by=ada@example.com"):
        assert visitor.get(path).status_code == 403, path
