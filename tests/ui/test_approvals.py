"""Approvals on the screens: submitting and answering on the record, what I am asked, standing in."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.metadata.documents import canonical, place
from ratoon.platform.packages import Target, apply_package
from ratoon.platform.records.reading import Query

DOCUMENTS: list[dict[str, Any]] = [
    {"kind": "package", "name": "trips", "version": "1.0.0", "label": "Trips"},
    {
        "kind": "object", "name": "trip", "label": "Trip", "plural_label": "Trips", "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name"}, {"name": "checker", "type": "user", "label": "C"},
            {"name": "pages", "type": "integer", "label": "Pages"},
            {"name": "cost", "type": "currency", "label": "Cost", "currency": "EUR"},
        ],
    },
    {
        "kind": "layout", "object": "trip", "name": "default", "label": "Standard", "highlights": ["checker"],
        "sections": [{"name": "all", "label": "All", "fields": ["name", "checker", "pages", "cost"]}],
    },
    {
        "kind": "approval", "object": "trip", "name": "trip", "label": "Trip approval",
        "condition": "OR(ISBLANK(cost), cost > 10)",
        "steps": [{"name": "one", "label": "Boss", "own": True, "approvers": [{"field": "checker"}]}],
    },
]  # fmt: skip


@pytest.fixture
def trip(site: Any, ada: Any) -> str:
    if "trip" not in site.environment.registry.objects:
        source: Any = {place(str(d["kind"]), d): canonical(d).encode() for d in DOCUMENTS}
        apply_package(Target.of(site.environment), source, message="test")
    with site.environment.read(SYSTEM) as records:
        me = records.list(Query("user", filter='email = "ada@example.com"')).records[0]["id"]
    return str(site.create("trip", name="Lisbon", checker=me, cost="1250", pages=7))


def test_a_record_is_submitted_locked_and_answered_from_its_page(site: Any, ada: Any, trip: str) -> None:
    page = ada.get(f"/o/trip/{trip}").text
    assert "Submit: Trip approval" in page
    assert ada.post(f"/o/trip/{trip}/submit", {"process": "trip", "comment": "two days"}).status_code == 303
    page = ada.get(f"/o/trip/{trip}").text
    assert "Waiting for approval" in page
    assert "two days" in page
    asked = ada.get("/approvals").text
    assert "Lisbon" in asked
    assert 'href="/approvals"' in asked
    home = ada.get("/").text
    assert "1 approval waits for you" in home
    headings = re.findall(r'rt-side-heading" role="presentation">([^<]+)<', home)
    assert headings == ["Standard CRM", "Trips"], "several packages are named in the menu, the platform's own is not"
    assert "€1,250.00" in asked, "what the condition reads is what the decision is about"
    assert "Pages" not in asked, "the rest is on the page of the record"
    assert "two days" in asked
    approval = asked[asked.index("/approvals/") :].split("/")[2]
    assert '<option value="">Somebody else…</option>' in asked, "nobody is chosen before somebody chooses"
    ada.post(f"/approvals/{approval}/answer", {"what": "delegate", "to": ""})
    assert "Choose who is asked instead of you." in ada.get("/approvals").text
    for path in (f"/o/trip/{trip}", "/approvals"):
        assert "/answer" in ada.get(path).text
    answer = ada.post(f"/approvals/{approval}/answer", {"what": "approve", "back": f"/o/trip/{trip}"})
    assert answer.headers["Location"] == f"/o/trip/{trip}"
    page = ada.get(f"/o/trip/{trip}").text
    assert "You approved it." in page
    assert "bg-green-lt" in page
    ada.post(f"/approvals/{approval}/answer", {"what": "reject"})
    assert "decided already" in ada.get("/approvals").text


def test_somebody_stands_in_until_it_is_ended(site: Any, ada: Any, trip: str) -> None:
    other = site.create("user", name="Grace Standin", email="grace.standin@example.com")
    ada.get("/approvals")
    ada.post("/approvals/standing-in", {"delegate": other, "until": "2099-01-01"})
    page = ada.get("/approvals").text
    assert "Grace Standin stands in" in page
    mark = page[page.index("/approvals/standing-in/") :].split("/")[3]
    ada.post(f"/approvals/standing-in/{mark}/end")
    assert "Grace Standin stands in" not in ada.get("/approvals").text


def test_the_link_of_a_mail_answers_without_signing_in_and_only_once(site: Any, ada: Any, trip: str) -> None:
    from ratoon.platform.automation.approval_links import sign
    from ratoon.platform.storage import approvals as store

    ada.get(f"/o/trip/{trip}")
    ada.post(f"/o/trip/{trip}/submit", {"process": "trip"})
    with site.environment.read(SYSTEM) as records:
        request = store.pending(records.connection, [trip])[trip]
        (vote,) = store.votes_of(records.connection, request["id"])
    text = sign(site.environment.secret(), vote["id"], vote["user_id"], site.environment.world.clock())
    visitor = site.visitor()
    page = visitor.get(f"/approvals/link/{text}")
    assert page.status_code == 200
    assert "Lisbon" in page.text
    assert site.read("trip", trip)["version"] == 1, "opening decides nothing"
    assert visitor.get(f"/approvals/link/{text[:-2]}AA").status_code == 404
    visitor.get(f"/approvals/link/{text}")
    assert "You rejected it." in visitor.post(f"/approvals/link/{text}", {"what": "reject", "comment": "no"}).text
    assert visitor.get(f"/approvals/link/{text}").status_code == 404
    assert "no" in ada.get(f"/o/trip/{trip}").text
