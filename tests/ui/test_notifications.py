"""Notifications on the screens: the list, choosing what reaches whom, and the link in a mail that stops mails."""

from __future__ import annotations

import re
from typing import Any

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.automation.stop_links import sign
from ratoon.platform.records.reading import Query
from ratoon.platform.storage.notification_ways import Way, ways
from ratoon.platform.storage.notifications import notify


def me(site: Any) -> str:
    with site.environment.read(SYSTEM) as records:
        return str(records.list(Query("user", filter='email = "ada@example.com"')).records[0]["id"])


def tell(site: Any, title: str, **about: Any) -> None:
    with site.environment.database.write() as connection:
        notify(connection, site.environment.world, me(site), title, **about)


def test_opening_a_notification_reads_it_and_goes_to_its_record(site: Any, ada: Any) -> None:
    account = site.create("account", name="Lotus")
    tell(site, "Look at Lotus", object="account", record=account, kind="overdue")
    tell(site, "Of something gone", object="account", record="01900000-0000-7000-8000-00000000dead")
    page = ada.get("/notifications?show=unread").text
    assert "Look at Lotus" in page
    assert "Of something gone" not in page, "its record is not for the reader"
    assert "You may not see this record any more." in page
    found = re.search(r'name="id" value="([^"]+)"><button class="btn btn-link rt-told-title"[^>]*>Look at Lotus', page)
    assert found is not None
    answer = ada.post("/notifications/read", {"id": found[1], "what": "open"})
    assert answer.headers["Location"].endswith(f"/o/account/{account}")
    assert "Look at Lotus" not in ada.get("/notifications?show=unread").text
    ada.post("/notifications/read", {"id": found[1], "what": "unread", "back": "/notifications?show=unread"})
    assert "Look at Lotus" in ada.get("/notifications?show=unread").text
    ada.post("/notifications/read")
    assert "Look at Lotus" not in ada.get("/notifications?show=unread").text


def test_what_reaches_me_is_chosen_per_kind_and_reset(site: Any, ada: Any) -> None:
    assert "Mornings are those of" in ada.get("/account/notifications").text
    ada.post("/account/notifications", {"bell-approval": "1", "mail-approval": "weekly", "mail-overdue": "now"})
    with site.environment.database.read() as connection:
        chosen = ways(connection, me(site))
    assert (chosen["approval"], chosen["overdue"]) == (Way(True, "weekly"), Way(False, "now"))
    ada.get("/account/notifications?for=everybody")
    ada.post("/account/notifications", {"for": "everybody", "bell-automation": "1", "mail-automation": "daily"})
    ada.post("/account/notifications", {"do": "reset"})
    with site.environment.database.read() as connection:
        assert ways(connection, me(site))["automation"] == Way(True, "daily")
    ada.post("/account/notifications", {"for": "everybody", "do": "reset"})


def test_the_link_of_a_mail_stops_such_mails_by_a_button_only(site: Any) -> None:
    visitor = site.visitor()
    path = f"/notifications/stop/{sign(site.environment.secret(), me(site), ['overdue', 'answer'])}"
    assert "Stop these mails?" in visitor.get(path).text

    def mails() -> list[str]:
        with site.environment.database.read() as connection:
            there = ways(connection, me(site))
        return [there[kind].mail for kind in ("overdue", "answer", "approval")]

    assert mails() == ["daily", "daily", "now"], "looking changes nothing"
    assert visitor.client.post(path, data={"csrf_token": "no"}).status_code == 400
    one_click = visitor.client.post(path, data={"List-Unsubscribe": "One-Click"})
    assert (one_click.status_code, mails()) == (204, ["off", "off", "now"])
    assert "no such mails any more" in visitor.post(path).text
    assert visitor.get(path[:-4] + "AAAA").status_code == 404
    ada = visitor
    ada.sign_in("ada@example.com")
    ada.get("/account/notifications")
    ada.post("/account/notifications", {"do": "reset"})


def test_a_template_is_shown_with_a_record_in_each_language(site: Any, ada: Any) -> None:
    account = site.create("account", name="Lotus Templates")
    case = site.create("case", subject="Pump leaks", account=account)
    assert "/setup/templates/urgent_case" in ada.get("/setup/templates").text
    page = ada.get(f"/setup/templates/urgent_case?record={case}&locale=zh-Hans").text
    assert "紧急：" in page
    assert "Pump leaks" in page
    assert "asks for your approval" in ada.get("/setup/templates/ratoon_approval?locale=en").text
    gone = ada.get("/setup/templates/urgent_case?record=01900000-0000-7000-8000-00000000dead").text
    assert "There is no case with id" in gone
    assert ada.get("/setup/templates/nothing").status_code == 404
