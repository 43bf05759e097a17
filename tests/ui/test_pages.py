"""Every page answers, in every language, with everything escaped and nothing inline."""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
from typing import Any

import pytest

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM

LOCALES = ("en", "zh-Hans", "zh-Hant")
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture(scope="session")
def addresses(site: Any) -> list[str]:
    """Every kind of page with something on it."""
    account = site.create("account", name="Wide & Narrow 宽窄")
    opportunity = site.create("opportunity", name="Big one", account=account)
    pages = ["/", "/search", "/search?q=wide", "/search?q=nothing-like-this"]
    for object in site.environment.registry:
        pages += [f"/o/{object.name}", f"/o/{object.name}/new", f"/o/{object.name}/trash"]
        pages += [f"/o/{object.name}?view={view.name}" for view in object.views]
    for object, id in (("account", account), ("opportunity", opportunity)):
        pages += [f"/o/{object}/{id}{rest}" for rest in ("", "?tab=history", "/edit", "/delete")]
    return pages


@pytest.mark.parametrize("locale", LOCALES)
def test_every_page_answers_in_every_language(site: Any, addresses: list[str], locale: str) -> None:
    visitor = site.visitor()
    visitor.sign_in("ada@example.com")
    visitor.speak(locale)
    for address in addresses:
        response = visitor.get(address)
        assert response.status_code == 200, address
        assert f'<html lang="{locale}"' in response.text
        assert not re.search(r"<script(?![^>]*\ssrc=)|\sstyle=|\son\w+=", response.text), f"inline code on {address}"
        ids = re.findall(r'\sid="([^"]+)"', response.text)
        assert len(ids) == len(set(ids)), (
            f"an id stands twice on {address}: {sorted(i for i in ids if ids.count(i) > 1)}"
        )
        assert "style-src 'self'" in response.headers["Content-Security-Policy"]


def test_chinese_pages_show_no_english_of_ours(site: Any, addresses: list[str]) -> None:
    visitor = site.visitor()
    visitor.sign_in("ada@example.com")
    visitor.speak("zh-Hans")
    words = re.compile(r">\s*(Edit|Delete|Save|Cancel|New|History|Details|Filter|Home|Search|Owner|Name|Stage)\s*<")
    for address in addresses:
        found = words.search(visitor.get(address).text)
        assert found is None, f"{found and found.group(1)!r} on {address}"


def test_text_of_people_is_escaped_everywhere(site: Any, ada: Any) -> None:
    account = site.create("account", name=EVIL, description=EVIL)
    site.create("opportunity", name=EVIL, account=account)
    for address in (
        f"/o/account/{account}",
        f"/o/account/{account}/edit",
        f"/o/account/{account}?tab=history",
        f"/o/account/{account}/delete",
        "/o/account?view=all",
        "/o/opportunity?view=board",
        "/search?q=script",
        "/o/account?filter=" + EVIL.replace("&", "%26"),
        "/",
    ):
        text = ada.get(address).text
        assert "<script>alert" not in text, address
        assert "<img src=x" not in text, address
    assert ada.get(f"/o/account/{account}").text.count("&lt;script&gt;") >= 1


def test_nobody_gets_in_without_signing_in_and_comes_back_afterwards(site: Any) -> None:
    visitor = site.visitor()
    response = visitor.get("/o/account?view=all")
    assert response.status_code == 303
    assert "next=/o/account?view%3Dall" in response.headers["Location"]
    visitor.get(response.headers["Location"])
    response = visitor.post(
        response.headers["Location"], {"email": "ada@example.com", "password": "correct horse battery"}
    )
    assert response.headers["Location"].endswith("/o/account?view=all")


def test_a_redirect_never_leaves_the_site(site: Any) -> None:
    for target in ("//evil.example", "https://evil.example", "/\\evil.example"):
        visitor = site.visitor()
        visitor.get("/sign-in")
        response = visitor.client.post(
            "/sign-in",
            query_string={"next": target},
            data={"csrf_token": visitor.token, "email": "ada@example.com", "password": "correct horse battery"},
        )
        assert response.headers["Location"] == "/", target


def test_a_wrong_password_is_refused_without_saying_which_part_is_wrong(site: Any) -> None:
    visitor = site.visitor()
    known = visitor.sign_in("nobody@example.com", "wrong")
    unknown = visitor.sign_in("stranger@example.com", "wrong")
    assert known.status_code == unknown.status_code == 401
    assert "E-mail or password is wrong." in known.text
    assert "E-mail or password is wrong." in unknown.text


def test_signing_out_ends_the_session_on_the_server(ada: Any) -> None:
    cookie = ada.client.get_cookie("session")
    assert ada.post("/sign-out").status_code == 303
    ada.client.set_cookie("session", cookie.value)
    assert ada.get("/").status_code == 303


def test_every_form_needs_its_csrf_token(site: Any, ada: Any) -> None:
    account = site.create("account", name="Safe")
    for address in (
        "/o/account/new",
        f"/o/account/{account}/edit",
        f"/o/account/{account}/delete",
        f"/o/account/{account}/restore",
        f"/o/account/{account}/stage",
        f"/o/account/{account}/card",
        f"/o/account/{account}/task",
        "/o/account/form-state",
        "/o/account/lookup/parent",
        "/sign-out",
        "/language",
        "/sign-in",
    ):
        assert ada.client.post(address, data={"name": "Taken over"}).status_code == 400, address
    assert site.read("account", account)["name"] == "Safe"


def test_somebody_without_a_role_sees_nothing(site: Any) -> None:
    account = site.create("account", name="Hidden from most")
    visitor = site.visitor()
    visitor.sign_in("nobody@example.com")
    assert visitor.get("/").status_code == 200
    assert visitor.get("/o/account").status_code == 404
    assert visitor.get(f"/o/account/{account}").status_code == 404
    assert "Hidden from most" not in visitor.get("/search?q=hidden").text


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/o/nothing", 404),
        ("/o/account/not-an-id", 404),
        ("/o/account/01900000-0000-7000-8000-000000000000", 404),
        ("/no/such/page", 404),
        ("/o/account?view=nothing", 400),
        ("/o/account?cursor=edited", 400),
        ("/o/account?sort=nothing", 400),
        ("/o/account?where=nothing:eq:1", 400),
        ("/o/account?filter=nothing%20%3D%201", 400),
        ("/files/01900000-0000-7000-8000-000000000000", 404),
        ("/sign-out", 405),
    ],
)
def test_what_is_not_there_is_a_page_in_the_readers_language(site: Any, address: str, status: int) -> None:
    visitor = site.visitor()
    visitor.sign_in("ada@example.com")
    visitor.speak("zh-Hant")
    response = visitor.get(address)
    assert response.status_code == status
    assert '<html lang="zh-Hant"' in response.text


def test_a_form_that_is_too_large_is_refused_with_a_page(site: Any, ada: Any) -> None:
    limit = site.environment.settings.max_body_bytes
    response = ada.post("/o/account/new", {"name": "x" * (limit + 1)})
    assert response.status_code == 413
    assert "MB" in response.text


def test_one_address_serves_the_page_or_the_fragment(ada: Any) -> None:
    page = ada.client.get("/o/account")
    part = ada.client.get("/o/account", headers={"HX-Request": "true", "HX-Target": "list"})
    assert "<html" in page.text
    assert "<html" not in part.text
    assert part.text.lstrip().startswith('<div id="list"')
    assert "HX-Request" in page.headers["Vary"]


def test_static_files_are_kept_by_browsers_when_they_carry_their_mark(ada: Any) -> None:
    address = re.search(r'href="(/static/ratoon.css\?v=\w+)"', ada.get("/").text)
    assert address is not None
    response = ada.client.get(address.group(1))
    assert response.status_code == 200
    assert {"max-age=31536000", "immutable", "public"} <= set(response.headers["Cache-Control"].split(", "))
    assert "Set-Cookie" not in response.headers
    assert response.headers["Vary"] == "Accept-Encoding"
    for other in (address.group(1).partition("?")[0], address.group(1) + "0"):
        assert "max-age=300" in ada.client.get(other).headers["Cache-Control"]
    assert ada.client.get("/static/nothing.css").status_code == 404
    assert ada.client.get("/static/../blueprint.py").status_code == 404


@pytest.mark.parametrize("path", ["/static/ratoon.css", "/static/vendor/tabler.js", "/o/account", "/sign-in"])
def test_pages_and_texts_travel_packed_to_whoever_takes_that(ada: Any, path: str) -> None:
    plain, packed = (ada.client.get(path, headers={"Accept-Encoding": by}) for by in ("identity", "gzip, br"))
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert len(packed.data) == int(packed.headers["Content-Length"]) < len(plain.data) / 2
    whole = gzip.decompress(packed.data)
    assert whole == plain.data or path.startswith("/o") or path == "/sign-in"  # each page has a token of its own
    assert abs(len(whole) - len(plain.data)) < 100
    assert packed.content_type == plain.content_type
    refused = ada.client.get(path, headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in refused.headers
    if "ETag" in packed.headers:
        again = ada.client.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")


def test_who_may_only_read_is_offered_nothing_else(site: Any) -> None:
    account = site.create("account", name="Look, do not touch")
    contact = site.create("contact", last_name="Born", birthday="1990-02-03", account=account, email="b@example.com")
    with site.environment.write(SYSTEM) as records:
        accounts = Accounts(site.environment.world)
        accounts.create_user(
            records, name="Reader", email="reader@example.com", password="correct horse battery", roles=["read_only"]
        )
    visitor = site.visitor()
    visitor.sign_in("reader@example.com")
    page = visitor.get(f"/o/account/{account}").text
    assert "Look, do not touch" in page
    for offer in ("/edit", "/delete", "/new"):
        assert f'{offer}"' not in page
        assert f"{offer}?" not in page
    assert visitor.get("/o/account/new").status_code == 403
    refused = visitor.post(f"/o/account/{account}/edit", {"name": "Touched"})
    assert refused.status_code == 403
    assert "Touched" in refused.text, "what was typed is not lost"
    assert site.read("account", account)["name"] == "Look, do not touch"
    assert "1990" not in visitor.get(f"/o/contact/{contact}").text
    assert "1990" not in visitor.get(f"/o/contact/{contact}?tab=history").text
    assert 'value="birthday"' not in visitor.get("/o/contact").text
    for view in site.environment.registry["product"].views:
        assert visitor.get(f"/o/product?view={view.name}").status_code == 200, view.name
    for address in ("/o/contact?where=birthday:eq:1990-02-03", "/o/contact?sort=birthday"):
        assert visitor.get(address).status_code == 400


def test_a_person_is_taken_out_and_erased_by_hand(site: Any, ada: Any) -> None:
    account = site.create("account", name="Stays a customer")
    id = site.create("contact", last_name="Goneforever", account=account, email="gone@example.com")
    site.create("activity", subject="Spoke with gone@example.com", kind="call", about=id, about_object="contact")
    assert f"/o/contact/{id}/person" in ada.get(f"/o/contact/{id}").text
    page = ada.get(f"/o/contact/{id}/person").text
    assert "Values: Last name, Full name, E-mail" in page or "Values: Last name" in page
    assert "Activities · Subject: 1 text names the person" in page
    taken = ada.post(f"/o/contact/{id}/person", {"do": "export"})
    with zipfile.ZipFile(io.BytesIO(taken.data)) as packed:
        found = json.loads(packed.read("person.json"))
    assert found["record"]["email"] == "gone@example.com"
    assert [a["subject"] for a in found["pointing_here"]["activity.about"]] == ["Spoke with gone@example.com"]
    told = re.search(r'name="fingerprint" value="([^"]+)"', page)
    assert told is not None
    assert ada.post(f"/o/contact/{id}/person", {"do": "erase", "fingerprint": told.group(1)}).status_code == 303
    assert site.read("contact", id)["last_name"] == "Goneforever"
    page = ada.get(f"/o/contact/{id}/person").text
    assert "Tick the box" in page
    given = re.search(r'name="fingerprint" value="([^"]+)"', page)
    assert given is not None
    answer = ada.post(f"/o/contact/{id}/person", {"do": "erase", "fingerprint": given.group(1), "sure": "1"})
    assert answer.headers["Location"] == f"/o/contact/{id}"
    page = ada.get(f"/o/contact/{id}").text
    assert "Goneforever" not in page
    assert "Stays a customer" in page
    assert "Erased" in ada.get(f"/o/contact/{id}?tab=history").text
    nobody = site.visitor()
    nobody.sign_in("nobody@example.com")
    assert nobody.get(f"/o/contact/{id}/person").status_code in (403, 404)
    assert ada.get(f"/o/account/{account}/person").status_code == 404


def test_roles_sharing_rules_and_defaults_are_edited_by_hand(site: Any, ada: Any) -> None:
    registry = lambda: (site.environment.look_again(), site.environment.registry)[1]  # noqa: E731
    ada.get("/access/role")
    made = ada.post("/access/role", {"name": "intern", "label": "Intern", "parent": "sales_rep", "do": "save"})
    assert made.headers["Location"] == "/access/matrix?role=intern&kind=role"
    assert registry().access.parents["intern"] == "sales_rep"
    ada.get("/access")
    rule = {"name": "proposals", "label": "Proposals", "object": "opportunity", "access": "read", "do": "save",
            "when": 'name = "x"', "with": "role intern"}  # fmt: skip
    assert ada.post("/access/sharing", {**rule, "when": "nothing = 1"}).status_code == 200, "refused beside the form"
    assert ada.post("/access/sharing", rule).status_code == 303
    assert "proposals" in {r.name for found in registry().access.sharing.values() for r in found}
    page = ada.get("/access/sharing?name=proposals").text
    assert "role intern" in page
    assert ada.post("/access/sharing?name=proposals", {**rule, "access": "edit"}).status_code == 303
    (kept,) = [r for found in registry().access.sharing.values() for r in found if r.name == "proposals"]
    assert kept.access == "edit"
    ada.get("/access")
    before = registry()["campaign"].default_access
    ada.post("/access/default", {"object": "campaign", "default_access": "private"})
    assert registry()["campaign"].default_access == "private"
    ada.post("/access/default", {"object": "campaign", "default_access": before})
    assert ada.post("/access/role?name=intern", {"do": "delete"}).status_code == 200, "the rule still needs it"
    assert ada.post("/access/sharing?name=proposals", {"do": "delete"}).status_code == 303
    assert ada.post("/access/role?name=intern", {"do": "delete"}).status_code == 303
    assert "intern" not in registry().roles
    nobody = site.visitor()
    nobody.sign_in("nobody@example.com")
    for path in ("/access/role", "/access/sharing"):
        assert nobody.get(path).status_code == 403
