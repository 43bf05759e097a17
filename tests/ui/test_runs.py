"""The screens of runs: the list, one run, why, a try, a button, the bell."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.jobs import drain
from ratoon.platform.metadata.documents import canonical, place
from ratoon.platform.packages import Target, apply_package
from ratoon.platform.storage.notifications import notify

ROUTINE = {"kind": "automation", "object": "account", "when": "after_commit"}
RULES: list[dict[str, Any]] = [
    {"kind": "package", "name": "routines", "version": "1.0.0", "label": "Routines", "requires": {"standard": ">=1.0"}},
    {**ROUTINE, "name": "greet", "label": "Greet", "on": ["created"], "condition": 'BEGINS(name, "Zeta")',
     "actions": [{"type": "send_email", "to": '"x@example.com"', "subject": "name", "text": "name"}]},
    {**ROUTINE, "name": "push", "label": "Push", "on": ["button"], "button": {"label": "Push it", "confirm": "Sure?"},
     "actions": [{"type": "set_fields", "values": {"description": '"pushed"'}}]},
]  # fmt: skip


@pytest.fixture(scope="module")
def rules(site: Any) -> Any:
    files = {place(str(d["kind"]), d): canonical(d).encode() for d in RULES}
    apply_package(Target.of(site.environment), files)
    return site


def test_a_failed_run_is_found_read_and_repeated(rules: Any, ada: Any) -> None:
    account = rules.create("account", name="Zeta & Sons")
    drain(rules.environment)
    page = ada.get("/setup/runs?state=failed").text
    assert re.search(r"<strong[^>]*>Greet</strong><span[^>]*>Zeta &amp; Sons", page), "which rule, and about what"
    (run,) = set(re.findall(r"/setup/runs/([0-9a-f-]{36})", page))
    one = ada.get(f"/setup/runs/{run}").text
    assert "RATOON_SMTP_HOST" in one
    assert "Zeta &amp; Sons" in one
    assert f"/o/account/{account}" in one
    assert ada.post(f"/setup/runs/{run}/retry").status_code == 303
    assert "Waiting" in ada.get(f"/setup/runs/{run}").text
    assert ada.post(f"/setup/runs/{run}/cancel").status_code == 303
    assert "Cancelled" in ada.get(f"/setup/runs/{run}").text


def test_why_and_try_on_a_record(rules: Any, ada: Any) -> None:
    account = rules.create("account", name="Omega")
    page = ada.get(f"/o/account/{account}/automations").text
    assert "condition is false" in page
    assert "because" in page
    tried = ada.post(f"/o/account/{account}/automations/greet/try").text
    assert "x@example.com" in tried
    assert "Its condition is false" in tried


def test_a_button_on_the_record_page(rules: Any, ada: Any) -> None:
    account = rules.create("account", name="Button Ltd")
    assert "Push it" in ada.get(f"/o/account/{account}").text
    assert ada.post(f"/o/account/{account}/automations/push/press").status_code == 303
    drain(rules.environment)
    assert rules.read("account", account)["description"] == "pushed"


def test_the_bell_counts_and_the_page_reads(rules: Any, ada: Any) -> None:
    ada.get("/notifications")
    ada.post("/notifications/read")  # what other tests of this site told her
    with rules.environment.write(SYSTEM) as records:
        user = records.engine.store.existing(records.connection, "user", "email", ["ada@example.com"])
        (id,) = user.values()
        notify(records.connection, rules.environment.world, id, "Look <here>", "now")
    page = ada.get("/notifications").text
    assert "Look &lt;here&gt;" in page
    assert 'aria-label="1 unread notification"' in page
    ada.post("/notifications/read")
    assert 'aria-label="0 unread notifications"' in ada.get("/").text


def test_an_automation_is_switched_off_tried_and_made_active_on_its_page(rules: Any, ada: Any) -> None:
    address = "/setup/automations/account/greet"
    assert address in ada.get("/setup/automations").text
    assert ada.post(f"{address}/status", data={"status": "off"}).status_code == 303
    account = rules.create("account", name="Zeta Rest")
    page = ada.get(f"{address}?q=Zeta+Rest").text
    assert "Make active" in page
    assert f"/o/account/{account}/automations/greet/try" in page
    assert "&#34;status&#34;: &#34;off&#34;" in page
    assert "The automation is not active" in ada.post(f"/o/account/{account}/automations/greet/try").text
    assert ada.post(f"{address}/status", data={"status": "loud"}).status_code == 400
    assert ada.post(f"{address}/status", data={"status": "active"}).status_code == 303
    assert "Switch off" in ada.get(address).text


def test_what_did_not_go_out_is_listed_and_repeated_together(rules: Any, ada: Any) -> None:
    rules.create("account", name="Zeta Undelivered")
    drain(rules.environment)
    page = ada.get("/setup/undelivered?rule=account.greet").text
    assert "Zeta Undelivered" in page
    assert "RATOON_SMTP_HOST" in page
    assert ada.post("/setup/runs/retry", data={"rule": "account.greet"}).status_code == 303
    assert "Everything went out" in ada.get("/setup/undelivered?rule=account.greet").text
