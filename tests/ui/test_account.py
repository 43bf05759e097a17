"""One's own account, signing in with a second factor, and the screens of who may do what."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pyotp
import pytest

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.storage.audit import entries, verify

PASSWORD = "correct horse battery"


@pytest.fixture
def admin(site: Any) -> Any:
    """An administrator of this test's own, signed in."""
    email = f"{uuid.uuid4().hex[:12]}@example.com"
    with site.environment.write(SYSTEM) as records:
        Accounts(site.environment.world).create_user(records, name="Own", email=email, password=PASSWORD, admin=True)
    visitor = site.visitor()
    visitor.sign_in(email)
    visitor.email = email
    visitor.speak("en")
    return visitor


def test_a_second_factor_is_set_up_asked_for_and_good_once(site: Any, admin: Any) -> None:
    admin.get("/account")
    admin.post("/account", {"do": "begin_factor"})
    page = admin.get("/account").text
    assert "<svg" in page
    admin.post("/account", {"do": "cancel_factor"})
    assert "confirm_factor" not in admin.get("/account").text
    admin.post("/account", {"do": "begin_factor"})
    page = admin.get("/account").text
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", page)
    assert secret is not None
    totp = pyotp.TOTP(secret.group(1))
    now = site.environment.world.clock()
    admin.post("/account", {"do": "confirm_factor", "code": "000000"})
    shown = admin.post("/account", {"do": "confirm_factor", "code": totp.at(now)}).text
    recovery = re.findall(r"<code>([^<]+)</code>", shown)
    assert len(recovery) == 10

    again = site.visitor()
    answer = again.sign_in(admin.email)
    assert "one-time-code" in answer.text
    assert again.get("/").status_code == 303, "the password alone opens nothing"
    again.get("/sign-in")
    again.sign_in(admin.email)
    assert again.post("/sign-in", {"code": totp.at(now)}).status_code == 401, "the code was used"
    assert again.post("/sign-in", {"code": recovery[0]}).status_code == 303
    assert again.get("/").status_code == 200
    with site.environment.database.read() as conn:
        mine = [entry.action for entry in entries(conn, trail="sign_in") if entry.subject == admin.email]
    assert mine[0] == "code_asked", "a right password alone is not told as having signed in"
    other = site.visitor()
    other.sign_in(admin.email)
    assert other.post("/sign-in", {"code": recovery[0]}).status_code == 401
    assert [other.post("/sign-in", {"code": "1"}).status_code for _ in range(6)][-1] == 429


def test_sessions_and_tokens_are_listed_and_ended(site: Any, admin: Any) -> None:
    elsewhere = site.visitor()
    elsewhere.sign_in(admin.email)
    assert elsewhere.get("/").status_code == 200
    page = admin.get("/account").text
    (id,) = re.findall(r'name="id" value="([^"]+)"><button[^>]*value="end_session"', page)
    admin.post("/account", {"do": "end_session", "id": id})
    assert elsewhere.get("/").status_code == 303
    elsewhere.sign_in(admin.email)
    site.visitor().sign_in(admin.email)
    admin.post("/account", {"do": "end_others"})
    assert "2 sessions were ended." in admin.get("/account").text
    assert (elsewhere.get("/").status_code, admin.get("/").status_code) == (303, 200)
    made = admin.post("/account", {"do": "make_token", "label": "Sync", "days": "30", "read_only": "1"}).text
    token = re.search(r"<code>(rtn_[^<]+)</code>", made)
    assert token is not None
    headers = {"Authorization": f"Bearer {token.group(1)}"}
    client = site.app.test_client()
    assert client.get("/api/v1/me", headers=headers).status_code == 200
    assert client.post("/api/v1/records/account", json={"name": "X"}, headers=headers).status_code == 403
    assert "Sync" in admin.get("/account").text


def test_a_cookie_from_before_signing_in_is_worth_nothing_afterwards(site: Any, admin: Any) -> None:
    visitor = site.visitor()
    visitor.get("/sign-in")
    with visitor.client.session_transaction() as planted:
        planted["planted"] = "by somebody else"
    visitor.sign_in(admin.email)
    with visitor.client.session_transaction() as now:
        assert "planted" not in now


def test_redirects_after_signing_in_stay_here(site: Any, admin: Any) -> None:
    for target in ("//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", "/o\r\nX: y"):
        visitor = site.visitor()
        visitor.get("/sign-in")
        answer = visitor.client.post(
            "/sign-in", query_string={"next": target},
            data={"csrf_token": visitor.token, "email": admin.email, "password": "correct horse battery"},
        )  # fmt: skip
        assert answer.status_code == 303
        assert answer.headers["Location"] == "/", target


def test_administrators_see_and_change_who_may_do_what(site: Any, admin: Any) -> None:
    page = admin.get("/access").text
    assert "sales_rep" in page
    matrix = admin.get("/access/matrix?role=sales_rep").text
    assert 'name="account:read" value="1" aria-label="Accounts: read" checked' in matrix
    before = site.environment.registry.roles["sales_rep"]
    form = dict.fromkeys(re.findall(r'name="([a-z_*]+:[a-z_]+)" value="1"[^>]* checked', matrix), "1")
    form.update(dict.fromkeys(re.findall(r'name="([a-z_]+:named)"', matrix), "1"))
    given = dict(form)
    form["account:export"] = "1"
    assert admin.post("/access/matrix?role=sales_rep", form).status_code == 303
    after = site.environment.registry.roles["sales_rep"]
    assert after.objects["account"] == before.objects["account"] | {"export"}
    assert {**after.objects, "account": None} == {**before.objects, "account": None}
    admin.post("/access/matrix?role=sales_rep&object=account", {"field:phone": "hidden"})
    assert site.environment.registry.roles["sales_rep"].fields["account", "phone"] == frozenset()
    admin.post("/access/matrix?role=sales_rep&object=account", {"field:phone": "follow"})
    admin.post("/access/matrix?role=sales_rep", given)
    assert site.environment.registry.roles["sales_rep"] == before
    account = site.create("account", name="Mochi Ltd")
    rep_email = f"{uuid.uuid4().hex[:12]}@example.com"
    with site.environment.write(SYSTEM) as records:
        user = Accounts(site.environment.world).create_user(
            records, name="Rep", email=rep_email, password="correct horse battery"
        )
    admin.get("/access/users")
    admin.post("/access/users", {"do": "rights", "id": user, "roles": "sales_rep"})
    told = admin.get(f"/access/explain?user={rep_email}&object=account&id={account}").text
    assert "Sales representative allows to read account records" in told
    assert "granted" in admin.get("/access/audit?trail=access").text
    rep = site.visitor()
    rep.sign_in(rep_email)
    for path in ("/access", "/access/matrix?role=sales_rep", "/access/users", "/access/explain", "/access/audit"):
        assert rep.get(path).status_code == 403, path
    with site.environment.database.read() as conn:
        assert verify(conn).flaws == ()
        assert {"signed_in"} <= {entry.action for entry in entries(conn, trail="sign_in")}


def test_who_signs_out_and_which_sessions_were_ended_is_in_the_trail(site: Any) -> None:
    email = f"{uuid.uuid4().hex[:12]}@example.com"
    with site.environment.write(SYSTEM) as records:
        Accounts(site.environment.world).create_user(records, name="Wan", email=email, password="correct horse battery")
    here, there = site.visitor(), site.visitor()
    for visitor in (here, there):
        visitor.sign_in(email)
    here.get("/account")
    here.post("/account", {"do": "end_others"})
    assert there.get("/account").status_code == 303
    here.get("/account")
    here.post("/sign-out")
    assert here.get("/account").status_code == 303
    with site.environment.database.read() as conn:
        newest = list(entries(conn, trail="sign_in", limit=2))
        assert verify(conn).flaws == ()
    assert [entry.action for entry in newest] == ["signed_out", "session_ended"]
    assert newest[0].by == newest[1].by == newest[0].subject
    assert newest[1].detail is not None
    assert newest[1].detail["address"] == "127.0.0.1"


def test_a_record_is_given_away_and_a_list_taken_out_from_its_page(site: Any, admin: Any) -> None:
    account = site.create("account", name="Given Ltd")
    with site.environment.write(SYSTEM) as records:
        other = Accounts(site.environment.world).create_user(
            records, name="Other", email=f"{uuid.uuid4().hex[:12]}@example.com"
        )
    page = admin.get(f"/o/account/{account}").text
    assert f"/o/account/{account}/owner" in page
    assert "Give it away" in admin.get(f"/o/account/{account}/owner").text
    admin.post(f"/o/account/{account}/owner", {"do": "transfer", "owner": other, "children": "1"})
    assert site.read("account", account)["owner"] == other
    assert "/o/account/export" in admin.get("/o/account").text
    answer = admin.get("/o/account/export")
    assert answer.content_type == "text/csv; charset=utf-8"
    assert "Given Ltd" in answer.text


def test_who_may_do_what_is_said_in_the_language_of_its_reader(admin: Any) -> None:
    admin.speak("zh-Hans")
    matrix = admin.get("/access/matrix?role=sales_rep").text
    assert "<th>查看全部</th>" in matrix
    assert "view_all</th>" not in matrix
    assert "<code></code>" not in matrix
    page = admin.get("/access").text
    assert ">所有人可查看和编辑</option>" in page
    assert ">read_write<" not in page
    audit = admin.get("/access/audit").text
    assert ">登录</option>" in audit
    assert ">sign_in<" not in audit
    admin.speak("en")


def test_choosing_what_reaches_one_is_not_the_object_account(admin: Any) -> None:
    page = admin.get("/account/notifications").text
    assert 'nav-item active"><a class="nav-link" href="/o/account"' not in page
    assert 'nav-item active"><a class="nav-link" href="/o/account"' in admin.get("/o/account").text
