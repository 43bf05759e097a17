"""Tried as an attacker would, through a browser: cross-site requests, frames, uploads, redirects."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest

from ratoon.ui.sniffing import clean_name, sniff

UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
NOWHERE = "01900000-0000-7000-8000-fffffffffffe"
PLACES = {"object": "account", "name": "nothing", "field": "parent", "what": "cancel", "text": "x", "revision": "1"}
SIGNED = {"screens.stop_mails"}
"""Answers to mail programs, which have no form: what lets them in is a signature in the address (RFC 8058)."""
PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0" * 40


def addresses(site: Any, id: str) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Every address of the application that has no file behind it: endpoint, path, methods."""
    for rule in site.app.url_map.iter_rules():
        if rule.endpoint.endswith(("static", "nowhere")):
            continue
        values = {name: PLACES.get(name, id) for name in rule.arguments}
        method = min(set(rule.methods or ()) - {"HEAD", "OPTIONS"})
        path = site.app.url_map.bind("localhost").build(rule.endpoint, values, method=method)
        yield rule.endpoint, path, frozenset(rule.methods or ())


def test_no_address_changes_anything_for_another_site(site: Any, ada: Any) -> None:
    """A page of another site can send the cookie along, but not the token that our pages carry."""
    id = site.create("account", name="Stays as it is")
    before = site.read("account", id)
    tried = 0
    for endpoint, path, methods in addresses(site, id):
        for method in sorted(methods & set(UNSAFE)):
            for headers in ({}, {"HX-Request": "true"}, {"X-CSRFToken": "forged"}):
                answer = ada.client.open(path, method=method, headers=headers, data={"name": "Changed"})
                refusals = (400, 403, 404) if endpoint in SIGNED else (400, 403)
                assert answer.status_code in refusals, f"{method} {path} ({endpoint}): {answer.status_code}"
                tried += 1
    assert tried > 90
    assert site.read("account", id) == before
    assert ada.get("/").status_code == 200, "signed out by another site"


def test_no_answer_can_be_framed_or_taken_for_something_else(site: Any, ada: Any) -> None:
    id = site.create("account", name="In no frame")
    stranger = site.visitor()
    for _, path, methods in addresses(site, id):
        for client in (ada.client, stranger.client) if "GET" in methods else ():
            answer = client.get(path)
            assert answer.status_code < 500, path
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy, path
            assert "frame-ancestors 'none'" in policy or "sandbox" in policy, path
            assert "unsafe-" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff", path
            assert answer.headers["X-Frame-Options"] == "DENY", path
    for path in ("/nothing/here", "/api/v1/nothing", "/o/nothing", "/static/nothing.js"):
        assert stranger.client.get(path).headers["X-Frame-Options"] == "DENY", path


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example/", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
     "javascript:alert(1)", "///evil.example", "/%0d%0aLocation:%20https://evil.example", "http:evil.example"],
)  # fmt: skip
def test_nothing_sends_the_browser_to_another_site(site: Any, ada: Any, target: str) -> None:
    id = site.create("account", name="Here")
    ada.get("/")
    for path, data in (
        ("/language", {"locale": "en", "next": target}),
        (f"/o/account/{id}/delete", {"back": target}),
        ("/notifications/read", {"next": target}),
        ("/o/account/new", {"name": "Made", "back": target}),
    ):
        answer = ada.post(path, data)
        place = answer.headers.get("Location", "/")
        assert place.startswith("/"), (path, place)
        assert not place.startswith(("//", "/\\", "/\t")), (path, place)
        assert "\n" not in place
    page = ada.get(f"/o/account/new?back={target}").text
    assert 'href="//' not in page
    assert 'href="javascript' not in page


def uploaded(ada: Any, site: Any, name: str, content: bytes, kind: str) -> Any:
    ada.get("/o/activity/new")
    made = ada.client.post(
        "/o/activity/new",
        data={"csrf_token": ada.token, "subject": "With file", "kind": "task", "attachment": "",
              "attachment__file": (io.BytesIO(content), name, kind)},
        content_type="multipart/form-data",
    )  # fmt: skip
    assert made.status_code == 303, made.text
    record = site.read("activity", made.headers["Location"].rsplit("/", 1)[1])
    return ada.client.get(f"/files/{record['attachment']}")


@pytest.mark.parametrize(
    ("name", "content", "claimed"),
    [
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "image/svg+xml"),
        ("photo.png", b"<html><script>alert(1)</script>", "image/png"),
        ("page.html", b"<!doctype html><script>alert(1)</script>", "text/html"),
        ("script.js", b"alert(1)", "image/jpeg"),
    ],
)
def test_only_what_is_a_picture_is_shown_as_one(site: Any, ada: Any, name: str, content: bytes, claimed: str) -> None:
    file = uploaded(ada, site, name, content, claimed)
    assert file.data == content
    assert file.headers["Content-Type"] == "application/octet-stream"
    assert file.headers["Content-Disposition"].startswith("attachment")
    assert file.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert file.headers["X-Content-Type-Options"] == "nosniff"


def test_a_picture_is_shown_whatever_the_browser_claims_and_its_name_is_cleaned(site: Any, ada: Any) -> None:
    file = uploaded(ada, site, "..\\..\\etc/pass\u202egnp.exe", PNG, "text/html")
    assert file.headers["Content-Type"] == "image/png"
    assert file.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert "\u202e" not in file.headers["Content-Disposition"]


def test_what_a_file_is_its_bytes_say() -> None:
    assert sniff(PNG, "a.png") == sniff(PNG, "a.png")
    assert sniff(PNG, "a.png").fits("a.png", "image/*")
    assert not sniff(b"MZ" + b"\0" * 90, "contract.pdf").fits("contract.pdf", ".pdf")
    assert not sniff(b"<html>", "contract.pdf").fits("contract.pdf", ".pdf")
    assert not sniff(b"<svg>", "a.png").fits("a.png", "image/*")
    assert sniff(b"%PDF-1.7", "contract.PDF").fits("contract.PDF", ".pdf")
    assert sniff(b"PK\x03\x04" + b"\0" * 40, "offer.docx").fits("offer.docx", ".docx")
    assert sniff("合同".encode(), "notes.txt").fits("notes.txt", "text/*")
    assert sniff(b"", "empty.txt").media_type == "text/plain"


def test_names_of_files_are_only_names() -> None:
    assert clean_name("../../etc/passwd") == "passwd"
    assert clean_name("C:\\Temp\\报价单.pdf") == "报价单.pdf"
    assert clean_name("a\u202egnp.exe\0\r\n") == "agnp.exe"
    assert clean_name("  ..") == "file"
    long = clean_name("x" * 400 + ".pdf")
    assert len(long) <= 255
    assert long.endswith(".pdf")
