"""Forgotten passwords, invitations, service users and what is asked of a new password."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.access.links import Links
from ratoon.platform.errors import ValidationFailed
from ratoon.platform.jobs import drain
from ratoon.platform.records.reading import Query
from ratoon.platform.storage.audit import entries
from ratoon.platform.storage.runs import Wanted, find

NEW = "three quiet lanterns"


def link_in(mail: Any) -> str:
    found = re.search(r"https://crm\.test(/sign-in/link/\S+)", mail.get_content())
    assert found is not None, mail.get_content()
    return found.group(1)


@pytest.fixture
def post(house: Any, inbox: Any) -> Any:
    """``post(…)``: a house with a mail server."""

    def make(**settings: Any) -> Any:
        given = {"smtp_host": "127.0.0.1", "smtp_port": inbox.port, "public_url": "https://crm.test", **settings}
        made = house(**given)
        made.app.config.update(TRUSTED_HOSTS=None, SESSION_COOKIE_SECURE=False, SESSION_COOKIE_NAME="session")
        return made

    return make


def test_a_forgotten_password_is_replaced_by_a_link_from_a_mail(post: Any, inbox: Any) -> None:
    house = post()
    ada = house.person("ada@example.com", locale="zh-Hans")
    elsewhere, visitor = house.visitor(), house.visitor()
    elsewhere.sign_in("ada@example.com")
    assert "/sign-in/forgot" in visitor.get("/sign-in").text
    lied = {"base_url": "http://evil.example"}
    visitor.get("/sign-in/forgot", **lied)
    page = visitor.post("/sign-in/forgot", {"email": " Ada@example.com "}, **lied).text
    assert "If there is an account for Ada@example.com" in page
    drain(house.environment)
    (mail,) = inbox.mails
    assert mail["Subject"] == "Ratoon：设置新密码", "in the language of the user"
    assert "evil.example" not in mail.get_content()
    link = link_in(mail)
    assert "ada@example.com" in visitor.get(link).text
    assert visitor.get(link).status_code == 200, "looking at it uses nothing up: mail scanners look"
    assert "not the same" in visitor.post(link, {"new": NEW, "again": "other"}).text
    assert "easily guessed" in visitor.post(link, {"new": "password1", "again": "password1"}).text
    assert elsewhere.inside()
    assert visitor.post(link, {"new": NEW, "again": NEW}).status_code == 303
    assert "The password is set" in visitor.get("/sign-in").text
    assert not elsewhere.inside(), "every session is over"
    assert visitor.get(link).status_code == 404, "a link works once"
    assert house.visitor().sign_in("ada@example.com").status_code == 401
    assert house.visitor().sign_in("ada@example.com", NEW).status_code == 303
    assert [a for a, _ in house.trail()] == [
        "signed_in", "refused", "password_set", "link_made", "reset_asked", "signed_in"
    ]  # fmt: skip
    assert ada


def test_nobody_learns_whether_an_address_is_known(post: Any, inbox: Any) -> None:
    house = post()
    house.person("ada@example.com")
    house.person("robot@example.com", password=None, service=True)
    house.person("gone@example.com", active=False)
    answers, written = set(), []
    for email in ("ada@example.com", "nobody@example.com", "robot@example.com", "gone@example.com"):
        visitor = house.visitor()
        visitor.get("/sign-in/forgot")
        answer = visitor.post("/sign-in/forgot", {"email": email})
        answers.add((answer.status_code, re.sub(r'content="[^"]*"|value="[^"]*"', "", answer.text).replace(email, "X")))
        with house.environment.database.read() as connection:
            run = find(connection, Wanted(limit=1))[0]
        written.append((sorted(run.payload), run.state))
    assert len(answers) == 1
    assert written == [(["email", "purpose"], "waiting")] * 4, "the page looks nothing up; the worker does"
    drain(house.environment)
    assert [mail["To"] for mail in inbox.mails] == ["ada@example.com"]


def test_a_link_ends_and_only_its_hash_is_kept(post: Any, inbox: Any, time: Any) -> None:
    house = post(reset_minutes=30)
    ada = house.person("ada@example.com")
    links = Links(house.environment.accounts, house.environment.world, house.environment.settings)

    def made() -> str:
        with house.environment.database.write() as connection:
            guest = links.guest(connection, user_id=ada)
            assert guest is not None
            return links.make(connection, guest).removeprefix("https://crm.test")

    first, second = made(), made()
    with house.environment.database.read() as connection:
        kept = connection.exec_driver_sql("SELECT * FROM ratoon_password_link").all()
    assert first.rpartition("/")[2] not in repr(kept)
    visitor = house.visitor()
    visitor.get(second)
    assert visitor.post(second, {"new": NEW, "again": NEW}).status_code == 303
    assert visitor.get(first).status_code == 404, "the others end with it"
    third = made()
    time.pass_(minutes=31)
    assert visitor.get(third).status_code == 404
    assert "does not work" in visitor.get("/sign-in/link/forged").text
    fourth = made()
    with house.environment.database.write() as connection:
        connection.exec_driver_sql('UPDATE "user" SET active = FALSE')
    assert visitor.get(fourth).status_code == 404


def test_asking_too_often_is_refused(post: Any, inbox: Any) -> None:
    house = post(limit_reset="2 per hour")
    visitor = house.visitor()
    visitor.get("/sign-in/forgot")
    answers = [visitor.post("/sign-in/forgot", {"email": "ada@example.com"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_without_a_mail_server_the_page_says_so_and_an_administrator_makes_links(house: Any) -> None:
    made = house()
    made.person("root@example.com", admin=True)
    visitor = made.visitor()
    assert "No mail server is set here" in visitor.get("/sign-in/forgot").text
    root = made.visitor()
    root.sign_in("root@example.com")
    root.get("/access/users")
    page = root.post("/access/users", {"do": "invite", "name": "Lin", "email": "lin@example.com", "kind": "person",
                                       "roles": "seller"}).text  # fmt: skip
    link = re.search(r"<code>http://127\.0\.0\.1:8000(/sign-in/link/[^<]+)</code>", page)
    assert link is not None
    assert "no password yet" in root.get("/access/users").text
    assert "Welcome, Lin" in visitor.get(link.group(1)).text
    chosen = {"new": NEW, "again": NEW, "locale": "zh-Hant", "time_zone": "Mars/Olympus"}
    assert "There is no time zone Mars/Olympus." in visitor.post(link.group(1), chosen).text
    visitor.post(link.group(1), {**chosen, "time_zone": "Asia/Taipei"})
    assert 'lang="zh-Hant"' in visitor.get("/sign-in").text, "the door speaks the language of whoever was here last"
    lin = made.visitor()
    assert lin.sign_in("lin@example.com", NEW).status_code == 303
    assert 'lang="zh-Hant"' in lin.get("/").text
    with made.environment.read(SYSTEM) as records:
        (row,) = records.list(Query("user", filter='email = "lin@example.com"')).records
    assert row["time_zone"] == "Asia/Taipei"
    lin.post("/sign-out")
    assert 'lang="zh-Hant"' in lin.get("/sign-in").text
    lin.sign_in("lin@example.com", NEW)
    assert lin.get("/access/users").status_code == 403
    again = root.post("/access/users", {"do": "invite", "name": "Lin", "email": "lin@example.com", "kind": "person"})
    assert again.status_code == 422
    assert 'value="lin@example.com"' in again.text, "what was typed is kept"


def test_an_invitation_goes_by_mail(post: Any, inbox: Any) -> None:
    house = post()
    house.person("root@example.com", admin=True)
    root = house.visitor()
    root.sign_in("root@example.com")
    root.get("/access/users")
    root.post("/access/users", {"do": "invite", "name": "Lin", "email": "lin@example.com", "kind": "person"})
    drain(house.environment)
    (mail,) = inbox.mails
    assert (mail["To"], mail["Subject"]) == ("lin@example.com", "Your account at Ratoon")
    assert "Welcome, Lin" in house.visitor().get(link_in(mail)).text


def test_a_service_user_has_tokens_and_never_signs_in(house: Any) -> None:
    made = house()
    made.person("root@example.com", admin=True)
    root = made.visitor()
    root.sign_in("root@example.com")
    root.get("/access/users")
    root.post("/access/users", {"do": "invite", "name": "Sync", "email": "sync@example.com", "kind": "service",
                                "roles": "seller"})  # fmt: skip
    page = root.get("/access/users").text
    assert "service user" in page
    with made.environment.database.read() as connection:
        user = made.environment.accounts.user_id(connection, "sync@example.com")
    assert "does not sign in with a password" in root.post(
        "/access/users", {"do": "link", "id": user}, follow_redirects=True
    ).text  # fmt: skip
    shown = root.post("/access/users", {"do": "token", "id": user, "label": "sync", "days": "30"}).text
    token = re.search(r"<code>([^<]+)</code>", shown)
    assert token is not None
    headers = {"Authorization": f"Bearer {token.group(1)}"}
    assert made.app.test_client().get("/api/v1/me", headers=headers).json["email"] == "sync@example.com"
    # A person who becomes a service user is out at once, whatever they had.
    ada = made.person("ada@example.com")
    visitor = made.visitor()
    visitor.sign_in("ada@example.com")
    assert visitor.inside()
    with made.environment.database.write() as connection:
        connection.exec_driver_sql("""UPDATE "user" SET service = TRUE WHERE email = 'ada@example.com'""")
    assert not visitor.inside()
    assert made.visitor().sign_in("ada@example.com").status_code == 401
    assert made.trail()[0] == ("refused", "service")
    assert ada


def test_a_password_given_by_somebody_else_is_replaced_at_the_first_sign_in(house: Any) -> None:
    made = house()
    ada = made.person("ada@example.com")
    with made.environment.database.write() as connection:
        made.environment.accounts.require_new_password(connection, ada)
    visitor = made.visitor()
    answer = visitor.sign_in("ada@example.com")
    assert answer.headers["Location"] == "/sign-in/new-password"
    assert not visitor.inside(), "not before"
    assert "given by somebody else" in visitor.get("/sign-in/new-password").text
    same = visitor.post("/sign-in/new-password", {"new": "correct horse battery", "again": "correct horse battery"})
    assert "was used before" in same.text
    kept = visitor.client.get_cookie("session").value
    assert visitor.post("/sign-in/new-password", {"new": NEW, "again": NEW}).headers["Location"] == "/"
    assert visitor.inside()
    stolen = made.visitor()
    stolen.client.set_cookie("session", kept)
    assert stolen.get("/sign-in/new-password").status_code == 303, "the cookie is worth nothing afterwards"
    assert made.visitor().sign_in("ada@example.com", NEW).headers["Location"] == "/"


def test_old_passwords_are_due_and_former_ones_are_refused(house: Any, time: Any) -> None:
    made = house(password_max_days=90, password_history=3, password_min_length=12)
    ada = made.person("ada@example.com")
    time.pass_(days=91)
    visitor = made.visitor()
    assert visitor.sign_in("ada@example.com").headers["Location"] == "/sign-in/new-password"
    page = visitor.get("/sign-in/new-password").text
    assert "Your password is old" in page
    assert "At least 12 characters" in page

    def change(password: str) -> str:
        visitor.get("/sign-in/new-password")
        answer = visitor.post("/sign-in/new-password", {"new": password, "again": password})
        return str(answer.headers.get("Location", answer.text))

    assert "at least 12 characters" in change("short one x")
    assert "your name or address" in change("AdaLovelace1815")
    assert "easily guessed" in change("qwertyuiop12")
    assert change("the first of three") == "/"
    accounts = made.environment.accounts
    tried = []
    for password in ("the second of three", "correct horse battery", "the first of three", "the third of three",
                     "correct horse battery"):  # fmt: skip
        try:
            with made.environment.database.write() as connection:
                accounts.set_password(connection, ada, password)
            tried.append("taken")
        except ValidationFailed as refused:
            tried.append(refused.problems[0].code)
    assert tried == ["taken", "password_used", "password_used", "taken", "taken"], "the last three, no more"


def test_a_reset_asks_whether_api_tokens_end_too(house: Any) -> None:
    made = house()
    accounts, environment = made.environment.accounts, made.environment
    ada = made.person("ada@example.com")
    links = Links(accounts, environment.world, environment.settings)

    def link() -> str:
        with environment.database.write() as connection:
            guest = links.guest(connection, user_id=ada)
            assert guest is not None
            return links.make(connection, guest).partition("8000")[2]

    def token() -> Any:
        with environment.database.write() as connection:
            secret = accounts.create_token(connection, ada, label="Sync")[0]

        def works() -> bool:
            with environment.database.read() as connection:
                return accounts.actor_for_token(connection, secret) is not None

        return works

    def detail() -> Any:
        with environment.database.read() as connection:
            return next(e.detail for e in entries(connection, trail="sign_in") if e.action == "password_set")

    visitor = made.visitor()
    page = visitor.get(first := link()).text
    assert "end_tokens" not in page, "there is none: nothing is asked"
    one, two = token(), token()
    page = visitor.get(first).text
    assert re.search(r'name="end_tokens" value="1" checked', page)
    assert "End my 2 API tokens, too" in page
    refused = visitor.post(first, {"new": NEW, "again": "x"}).text
    assert re.search(r'name="end_tokens" value="1">', refused), "what was unticked stays unticked"
    assert visitor.post(first, {"new": NEW, "again": NEW}).status_code == 303
    assert (one(), two()) == (True, True)
    assert detail()["tokens_kept"] == 2
    visitor.get(second := link())
    assert visitor.post(second, {"new": "four quiet rivers", "again": "four quiet rivers", "end_tokens": "1"})
    assert detail()["tokens_ended"] == 2
    assert (one(), two()) == (False, False)
