"""Signing in through OpenID Connect, with a real provider over HTTP: whose account it is, and what is not believed."""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import OctKey, RSAKey

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.access.identities import Claims
from ratoon.ui.provider import identities_of

CLIENT = {"oidc_client_id": "ratoon", "oidc_client_secret": "a secret of the client", "oidc_label": "Acme"}


@pytest.fixture
def ours(house: Any, provider: Any) -> Any:
    """``ours(…)``: a house with that provider, where Ada lives."""

    def make(**settings: Any) -> Any:
        made = house(oidc_issuer=provider.url, **CLIENT, **settings)
        made.ada = made.person("ada@example.com")
        return made

    return make


def test_who_has_a_verified_address_comes_in_and_goes_where_they_wanted(ours: Any, provider: Any) -> None:
    house = ours()
    ada = house.visitor()
    assert "Sign in with Acme" in ada.get("/sign-in?next=/account").text
    sent = ada.to_provider("/sign-in/provider?next=/account")
    asked = {key: values[0] for key, values in parse_qs(urlsplit(sent).query).items()}
    assert (asked["client_id"], asked["response_type"], asked["code_challenge_method"]) == ("ratoon", "code", "S256")
    assert asked["scope"] == "openid email profile"
    answer = ada.back(provider.agree(sent, "ada"))
    assert answer.request.path == "/account"
    page = answer.text
    assert "ada@example.com" in page
    assert provider.url in page
    assert house.trail()[0] == ("signed_in", "provider")

    ada.get("/")
    assert "Sign out of Acme" in ada.post("/sign-out", follow_redirects=True).text
    away = ada.get("/sign-in/provider/sign-out").headers["Location"]
    assert away.startswith(f"{provider.url}/oauth2/end_session?client_id=ratoon&")
    assert not ada.inside()


def test_the_pair_of_issuer_and_subject_counts_afterwards_and_no_address(ours: Any, provider: Any) -> None:
    house = ours()
    eve = house.person("eve@example.com")
    house.visitor().through(provider, "ada")
    provider.knows("ada", email="eve@example.com", email_verified=True)
    ada = house.visitor()
    ada.through(provider, "ada")
    assert "ada@example.com" in ada.get("/account").text, "a changed address does not open Eve's account"
    provider.knows("other", email="ada@example.com", email_verified=True)
    other = house.visitor()
    assert "is linked with somebody else at Acme" in other.through(provider, "other").text
    assert not other.inside()
    assert house.trail()[0] == ("refused", "other_identity")
    assert eve != house.ada


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"email": "ada@example.com"}, "unverified"),
    ({"email": "ada@example.com", "email_verified": False}, "unverified"),
    ({"email": "ada@example.com", "email_verified": "no"}, "unverified"),
    ({"name": "No address"}, "no_email"),
    ({"email": "stranger@example.com", "email_verified": True}, "unknown_user"),
    ({"email": "gone@example.com", "email_verified": True}, "inactive"),
    ({"email": "robot@example.com", "email_verified": True}, "service"),
]


def test_who_is_refused_reads_why(ours: Any, provider: Any) -> None:
    house = ours(limit_sign_in="")
    house.person("gone@example.com", active=False)
    house.person("robot@example.com", password=None, service=True)
    for claims, outcome in REFUSED:
        provider.knows("somebody", **claims)
        visitor = house.visitor()
        assert "alert-danger" in visitor.through(provider, "somebody").text, claims
        assert house.trail()[0] == ("refused", outcome), claims
        assert not visitor.inside(), claims


LIES: list[dict[str, Any]] = [
    {"iss": "https://evil.example"},
    {"aud": "another-client"},
    {"aud": ["another-client", "ratoon"], "azp": "another-client"},
    {"nonce": "of another sign-in"},
    {"nonce": None},
    {"exp": 1_700_000_000, "iat": 1_699_996_400},
    {"exp": None},
    {"sub": None},
]


def test_a_token_that_is_not_for_this_sign_in_opens_nothing(ours: Any, provider: Any) -> None:
    house = ours(limit_sign_in="")
    for lie in LIES:
        provider.lies = lie
        visitor = house.visitor()
        assert "is not proved" in visitor.through(provider, "ada").text, lie
        assert house.trail()[0] == ("refused", "provider_untrusted"), lie
        assert not visitor.inside(), lie


def test_a_token_that_the_provider_did_not_sign_opens_nothing(ours: Any, provider: Any) -> None:
    house = ours(limit_sign_in="")
    forgeries = {
        "another key": (RSAKey.generate_key(2048, auto_kid=True), {}),
        "the client's secret": (OctKey.import_key(CLIENT["oidc_client_secret"]), {"alg": "HS256"}),
        "no signature": (None, {"alg": "none"}),
    }
    for forgery, (provider.key, provider.header) in forgeries.items():
        visitor = house.visitor()
        assert "is not proved" in visitor.through(provider, "ada").text, forgery
        assert not visitor.inside(), forgery


def test_only_the_browser_that_began_can_finish_and_once(ours: Any, provider: Any, time: Any) -> None:
    house = ours()
    ada, eve = house.visitor(), house.visitor()
    back = provider.agree(ada.to_provider(), "ada")
    assert "was not begun here" in eve.back(back).text, "login CSRF: the address alone is worth nothing"
    assert "was not begun here" in ada.back(back.replace("state=", "state=x")).text
    back = provider.agree(ada.to_provider(), "ada")
    kept = ada.client.get_cookie("session").value
    ada.back(back)
    assert ada.inside()
    replayed = house.visitor()
    replayed.client.set_cookie("session", kept)
    assert "is not proved" in replayed.back(back).text, "the provider takes a code once"
    late = house.visitor()
    back = provider.agree(late.to_provider(), "ada")
    time.pass_(minutes=11)
    assert "too long ago" in late.back(back).text
    assert [outcome for _, outcome in house.trail()][:2] == ["provider_state", "provider_untrusted"]


def test_words_for_a_provider_that_says_no_or_nothing(ours: Any, house: Any, provider: Any) -> None:
    visitor = ours().visitor()
    state = parse_qs(urlsplit(visitor.to_provider()).query)["state"][0]
    assert "was called off" in visitor.back(f"/sign-in/provider/back?error=access_denied&state={state}").text
    away = house(oidc_issuer="http://127.0.0.1:9", **CLIENT)
    assert "Acme cannot be reached" in away.visitor().get("/sign-in/provider", follow_redirects=True).text
    assert away.trail()[0] == ("refused", "provider_down")
    with pytest.raises(ValueError, match="does not begin with https"):
        house(oidc_issuer="http://login.example.com", **CLIENT)


def test_nobody_is_sent_elsewhere_after_signing_in(ours: Any, provider: Any) -> None:
    house = ours()
    for target in ("//evil.example", "https://evil.example", "/\\evil.example"):
        visitor = house.visitor()
        sent = visitor.client.get("/sign-in/provider", query_string={"next": target}).headers["Location"]
        assert visitor.back(provider.agree(sent, "ada")).request.path == "/", target
        assert visitor.inside(), target


def test_first_comers_are_made_with_a_role_and_groups_give_and_take_roles(ours: Any, provider: Any) -> None:
    house = ours(
        oidc_create=True, oidc_role="helper", oidc_roles_claim="groups", oidc_roles="crm-sales=seller, other=nothing"
    )
    provider.knows("lin", email="Lin@example.com", email_verified=True, name="林", locale="zh-CN",
                   groups=["crm-sales", "unknown"])  # fmt: skip
    visitor = house.visitor()
    visitor.through(provider, "lin")
    assert visitor.inside()
    with house.environment.database.read() as connection:
        lin = house.environment.accounts.user_id(connection, "lin@example.com")
        actor = house.environment.accounts.actor_for_user(connection, lin)
    assert (actor.name, actor.locale, actor.admin) == ("林", "zh-Hans", False)
    assert house.roles(lin) == ("helper", "seller")
    provider.knows("lin", email="lin@example.com", email_verified=True)
    house.visitor().through(provider, "lin")
    assert house.roles(lin) == ("helper",), "a claim that is missing says that there are no groups"


@pytest.mark.parametrize("meanwhile", ["the user is made", "the same person comes in"])
def test_who_comes_in_twice_at_the_same_moment_is_one_user(ours: Any, provider: Any, meanwhile: str) -> None:
    house = ours(oidc_create=True)
    provider.knows("twin", email="twin@example.com", email_verified=True, name="Twin")
    visitor = house.visitor()
    back = provider.agree(visitor.to_provider(), "twin")
    coming = threading.Thread(target=visitor.back, args=(back,))
    if meanwhile == "the same person comes in":
        twin = house.person("twin@example.com")
    with house.environment.write(SYSTEM) as records:
        if meanwhile == "the user is made":
            twin = house.environment.accounts.create_user(records, name="Twin", email="twin@example.com")
        else:
            claims = Claims(provider.url, "twin", "twin@example.com", verified=True)
            assert identities_of(house.environment).arrive(records, claims).actor is not None
        coming.start()
        coming.join(0.5)  # it waits for this transaction, wherever it is when it meets it
        assert coming.is_alive()
    coming.join()
    assert "twin@example.com" in visitor.get("/account").text
    with house.environment.database.read() as connection:
        kept = connection.exec_driver_sql("SELECT user_id FROM ratoon_identity WHERE subject = 'twin'").scalars().all()
    assert [str(user) for user in kept] == [twin]


def test_matched_by_subject_an_account_is_opened_only_after_its_owner_linked_it(ours: Any, provider: Any) -> None:
    house = ours(oidc_match="subject")
    stranger = house.visitor()
    assert "No account here is linked" in stranger.through(provider, "ada").text
    ada = house.visitor()
    ada.sign_in("ada@example.com")
    assert "Link with Acme" in ada.get("/account").text
    assert "From now on you can sign in with Acme." in ada.through(provider, "ada", "/account/link").text
    again = house.visitor()
    again.through(provider, "ada")
    assert again.inside()
    assert again.inside()
    eve_id = house.person("eve@example.com")
    eve = house.visitor()
    eve.sign_in("eve@example.com")
    assert "is linked with somebody else" in eve.through(provider, "ada", "/account/link").text
    ada.get("/account")
    ada.post("/account", {"do": "unlink", "issuer": provider.url})
    assert "No account here is linked" in house.visitor().through(provider, "ada").text
    assert eve_id


def test_passwords_can_be_for_administrators_alone(ours: Any, provider: Any) -> None:
    house = ours(password_sign_in="admins")
    house.person("root@example.com", admin=True)
    page = house.visitor().get("/sign-in").text
    assert "Sign in as an administrator with a password" in page
    ada = house.visitor()
    answer = ada.sign_in("ada@example.com")
    assert (answer.status_code, "Only administrators" in answer.text) == (401, True)
    assert house.trail()[0] == ("refused", "password_off")
    root = house.visitor()
    assert root.sign_in("root@example.com").status_code == 303
    ada.through(provider, "ada")
    assert ada.inside()


def test_the_second_factor_is_left_to_the_provider(ours: Any, provider: Any) -> None:
    import pyotp

    from ratoon.platform.access.second_factor import SecondFactor

    house = ours()
    factor = SecondFactor(house.environment.world, "House")
    with house.environment.database.write() as connection:
        secret = factor.begin(connection, house.ada, "ada@example.com").secret
        code = pyotp.TOTP(secret).at(house.environment.world.clock())
        assert factor.confirm(connection, house.ada, code)
    ada = house.visitor()
    assert "one-time-code" in ada.sign_in("ada@example.com").text
    ada.through(provider, "ada")
    assert ada.inside()
    assert ada.inside()
