"""What stands around the doors: limits, hosts, proxies, cookies, and a log that keeps no secret."""

from __future__ import annotations

import logging
import re
import threading
from typing import Any

import pyotp
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ratoon.platform.access.limits import RateLimits
from ratoon.platform.access.second_factor import SecondFactor
from ratoon.platform.errors import TooMany
from ratoon.platform.jobs import drain

SECURE = {"public_url": "https://crm.test"}


def test_refused_passwords_and_codes_of_one_address_are_limited_whoever_they_try(house: Any) -> None:
    made = house(limit_sign_in="3 per hour")
    made.person("ada@example.com")
    made.person("eve@example.com")
    visitor = made.visitor()
    tried = [visitor.sign_in(f"{who}@example.com", "wrong").status_code for who in ("ada", "eve", "nobody", "ada")]
    assert tried == [401, 401, 401, 429]
    answer = visitor.sign_in("ada@example.com")
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 3000) == (429, True)
    assert "Too many wrong attempts" in answer.text
    elsewhere = made.visitor()
    elsewhere.client.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    assert elsewhere.sign_in("ada@example.com").status_code == 303


def test_right_passwords_are_not_counted(house: Any) -> None:
    made = house(limit_sign_in="2 per hour")
    made.person("ada@example.com")
    assert {made.visitor().sign_in("ada@example.com").status_code for _ in range(4)} == {303}


def test_wrong_codes_are_limited_too(house: Any) -> None:
    made = house(limit_sign_in="2 per hour")
    ada = made.person("ada@example.com")
    factor = SecondFactor(made.environment.world, "House")
    with made.environment.database.write() as connection:
        secret = factor.begin(connection, ada, "ada@example.com").secret
        factor.confirm(connection, ada, pyotp.TOTP(secret).at(made.environment.world.clock()))
    visitor = made.visitor()
    visitor.sign_in("ada@example.com")
    assert [visitor.post("/sign-in", {"code": "1"}).status_code for _ in range(3)] == [401, 401, 429]


def test_calls_are_limited_per_token_with_a_problem_document(house: Any) -> None:
    made = house(limit_api="3 per hour")
    accounts = made.environment.accounts
    users = [made.person(f"{name}@example.com", password=None, admin=True) for name in ("one", "two")]
    with made.environment.database.write() as connection:
        tokens = [accounts.create_token(connection, user, label="x")[0] for user in users]
    client = made.app.test_client()

    def call(token: str) -> Any:
        return client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})

    assert [call(tokens[0]).status_code for _ in range(4)] == [200, 200, 200, 429]
    answer = call(tokens[0])
    assert answer.content_type == "application/problem+json"
    assert (answer.json["code"], answer.json["status"]) == ("too_many", 429)
    assert 0 < int(answer.headers["Retry-After"]) <= 3601
    assert call(tokens[1]).status_code == 200, "another token goes on"
    assert [call("rtn_guessed").status_code for _ in range(4)] == [401, 401, 401, 429]


def test_many_limits_are_told_apart_and_nonsense_is_refused() -> None:
    limits = RateLimits("memory://", {"api": "2 per second; 100 per hour", "sign_in": ""})
    for _ in range(2):
        limits.take("api", "somebody")
    with pytest.raises(TooMany) as refused:
        limits.take("api", "somebody")
    assert refused.value.seconds in (1, 2)
    assert limits.settle("api", "another", 0) == 2
    assert limits.settle("api", "another", 2) == 0
    assert limits.refusal("api", "another").seconds in (1, 2)
    assert limits.settle("sign_in", "anybody", 10_000) > 10_000
    for storage, amount in (("nowhere://", "1 per hour"), ("memory://", "often")):
        with pytest.raises(ValueError, match=r"RATOON_LIMITS_STORAGE|is no amount"):
            RateLimits(storage, {"api": amount})


def test_a_storage_that_is_gone_limits_nothing_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    limits = RateLimits("redis://127.0.0.1:9", {"sign_in": "1 per hour"})
    for _ in range(3):
        limits.take("sign_in", "somebody")
    assert caplog.text.count("rate limits cannot be counted") == 1


def test_a_host_that_is_not_ours_is_refused_with_a_page(house: Any) -> None:
    made = house(**SECURE)
    visitor = made.visitor()
    for path in ("/sign-in", "/api/v1/me", "/nowhere"):
        answer = visitor.client.get(path, headers={"Host": "evil.example"})
        assert answer.status_code == 400, path
        assert "evil.example" not in answer.text
    for host in ("crm.test", "localhost:8000", "127.0.0.1"):
        assert visitor.client.get("/sign-in", headers={"Host": host}).status_code == 200, host
    wide = house(allowed_hosts=".example.com, crm.test").visitor().client
    assert wide.get("/sign-in", headers={"Host": "eu.example.com"}).status_code == 200
    assert wide.get("/sign-in", headers={"Host": "localhost"}).status_code == 400


def test_proxies_are_believed_only_as_many_as_are_trusted(house: Any) -> None:
    lied = {"X-Forwarded-For": "198.51.100.9, 192.0.2.1", "X-Forwarded-Host": "crm.test"}
    addresses = []
    for count in (0, 1, 2):
        made = house(trusted_proxies=count)
        made.person("ada@example.com")
        visitor = made.visitor()
        visitor.get("/sign-in")
        visitor.post("/sign-in", {"email": "ada@example.com", "password": "wrong"}, headers=lied)
        with made.environment.database.read() as connection:
            addresses.append(connection.exec_driver_sql("SELECT address FROM ratoon_sign_in").scalar())
    assert addresses == ["127.0.0.1", "192.0.2.1", "198.51.100.9"]


def test_cookies_and_headers_behind_https(house: Any) -> None:
    made = house(**SECURE)
    made.person("ada@example.com")
    client = made.app.test_client()
    page = client.get("/sign-in", base_url="https://crm.test")
    token = re.search(r'name="csrf-token" content="([^"]+)"', page.text)
    assert token is not None
    answer = client.post("/sign-in", base_url="https://crm.test", headers={"Referer": "https://crm.test/sign-in"},
                         data={"csrf_token": token.group(1), "email": "ada@example.com",
                               "password": "correct horse battery"})  # fmt: skip
    assert answer.status_code == 303
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-ratoon=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= {part.strip() for part in cookie.split(";")}
    assert "Domain" not in cookie
    assert page.headers["Strict-Transport-Security"] == "max-age=31536000"
    plain = house().app.test_client().get("/sign-in")
    assert "Strict-Transport-Security" not in plain.headers
    assert plain.headers["Set-Cookie"].startswith("session=")


def test_no_form_in_front_of_the_door_is_taken_from_another_site(house: Any) -> None:
    """Login CSRF: somebody else's page must not sign a browser in, nor ask for a reset."""
    made = house(smtp_host="127.0.0.1")
    made.person("ada@example.com")
    form = {"email": "ada@example.com", "password": "correct horse battery", "new": "x", "again": "x"}
    for path in ("/sign-in", "/sign-in/forgot", "/sign-in/link/x", "/sign-in/new-password"):
        client = made.app.test_client()
        assert client.post(path, data=form).status_code == 400, path
        assert client.get("/").status_code == 303, path


def test_a_session_begins_with_a_cookie_of_its_own(house: Any) -> None:
    made = house()
    made.person("ada@example.com")
    visitor = made.visitor()
    visitor.get("/sign-in")
    before = visitor.client.get_cookie("session").value
    visitor.sign_in("ada@example.com")
    assert visitor.client.get_cookie("session").value != before
    fixed = made.visitor()
    fixed.client.set_cookie("session", before)
    assert not fixed.inside()


def test_an_error_of_the_database_does_not_tell_the_values(house: Any) -> None:
    made = house()
    with pytest.raises(DBAPIError) as failed, made.environment.database.read() as connection:
        connection.execute(text("SELEKT :value"), {"value": "a hash of a password"})
    assert "SELEKT" in str(failed.value)
    assert "a hash of a password" not in str(failed.value)


def test_the_log_keeps_no_secret(house: Any, provider: Any, inbox: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Everything that knows a secret is done once while every logger tells all it can."""
    caplog.set_level(logging.DEBUG)
    made = house(oidc_issuer=provider.url, oidc_client_id="ratoon", oidc_client_secret="a secret of the client",
                 smtp_host="127.0.0.1", smtp_port=inbox.port, webhook_secret="a secret for webhooks")  # fmt: skip
    ada = made.person("ada@example.com")
    visitor = made.visitor()
    visitor.sign_in("ada@example.com", "wrong horse battery")
    visitor.sign_in("ada@example.com")
    session = visitor.client.get_cookie("session").value
    away = visitor.to_provider()
    before = len(caplog.records)
    back = provider.agree(away, "ada")
    theirs = caplog.records[before:]
    with visitor.client.session_transaction() as kept:
        verifier, nonce = kept["provider"]["verifier"], kept["provider"]["nonce"]
    visitor.back(back)
    visitor.client.delete_cookie("session")
    visitor.get("/sign-in/forgot")
    visitor.post("/sign-in/forgot", {"email": "ada@example.com"})
    drain(made.environment)
    link = re.search(r"/sign-in/link/\S+", inbox.mails[0].get_content())
    assert link is not None
    visitor.get(link.group(0))
    visitor.post(link.group(0), {"new": "three quiet lanterns", "again": "three quiet lanterns"})
    with made.environment.database.write() as connection:
        token, _ = made.environment.accounts.create_token(connection, ada, label="log")
        factor = SecondFactor(made.environment.world, "House").begin(connection, ada, "ada@example.com").secret
    client = made.app.test_client()
    client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    client.get("/api/v1/me", headers={"Authorization": "Bearer rtn_mistyped"})
    # The servers of the test log in threads of their own what they are told; that is not our log.
    told = [record for record in caplog.records if record.thread == threading.get_ident() and record not in theirs]
    ours = "\n".join(f"{record.getMessage()} {record.exc_text or ''}" for record in told)
    secrets = {
        "password": "correct horse battery", "wrong password": "wrong horse battery",
        "new password": "three quiet lanterns", "cookie": session, "verifier": verifier, "nonce": nonce,
        "code": back.partition("code=")[2].partition("&")[0], "client": "a secret of the client", "token": token,
        "mistyped token": "rtn_mistyped", "link": link.group(0).rpartition("/")[2], "second factor": factor,
        "webhooks": "a secret for webhooks", "signing key": "for tests only",
    }  # fmt: skip
    assert "connectionpool" in {record.name.rpartition(".")[2] for record in told}, "it does log"
    assert [name for name, secret in secrets.items() if secret in ours] == []
