"""Forms: what is wrong comes back all at once, what was typed is kept, nothing is lost when two people save."""

from __future__ import annotations

import io
import re
from html import unescape
from typing import Any

import pytest

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.records.drafts import Change
from ratoon.platform.records.reading import Query
from ratoon.platform.storage.role_members import members

PASSWORD = "correct horse battery"


def test_a_record_is_made_through_the_form_as_a_browser_sends_it(site: Any, ada: Any) -> None:
    values = ada.form(ada.get("/o/account/new").text)
    assert values["kind"] == "prospect", "defaults are filled in"
    values.update(name="Harbour Foods", employees="120", annual_revenue="1200.50", annual_revenue_currency="EUR",
                  segments=["", "midsize"], billing_city="Bergen")  # fmt: skip
    response = ada.post("/o/account/new", values)
    assert response.status_code == 303, response.text
    id = response.headers["Location"].rsplit("/", 1)[1]
    stored = site.read("account", id)
    assert stored["name"] == "Harbour Foods"
    assert str(stored["annual_revenue"]) == "1200.50"
    assert stored["annual_revenue_currency"] == "EUR"
    assert tuple(stored["segments"]) == ("midsize",)
    assert "Harbour Foods" in ada.get(response.headers["Location"]).text


def test_every_problem_is_shown_at_once_beside_its_field_and_the_input_is_kept(ada: Any) -> None:
    ada.get("/o/account/new")
    response = ada.post(
        "/o/account/new",
        {"name": "", "employees": "many", "website": "not a page", "phone": "12", "billing_city": "Kept"},
    )
    assert response.status_code == 422
    for message in (
        "Name is required.",
        "This must be a whole number, such as 12.",
        "This is not a web address",
        "This is not a phone number",
    ):
        assert message in unescape(response.text)
    assert 'value="many"' in response.text
    assert 'value="Kept"' in response.text
    assert 'href="#f-employees"' in response.text
    assert 'aria-invalid="true"' in response.text


def test_only_what_was_changed_is_saved(site: Any, ada: Any) -> None:
    id = site.create("account", name="Before", employees=5, description="two\nlines")
    values = ada.form(ada.get(f"/o/account/{id}/edit").text)
    before = site.read("account", id)
    response = ada.post(f"/o/account/{id}/edit", {**values, "name": "After"})
    assert response.status_code == 303, response.text
    after = site.read("account", id)
    changed = {k for k in after if after[k] != before[k]}
    assert changed <= {"name", "group_name", "version", "modified_at", "modified_by"}
    assert after["name"] == "After"


def test_a_stale_form_shows_both_versions_and_either_can_be_kept(site: Any, ada: Any) -> None:
    id = site.create("account", name="Original", phone="+1 415 555 0100")
    values = ada.form(ada.get(f"/o/account/{id}/edit").text)
    ada.post(f"/o/account/{id}/edit", {**values, "name": "Theirs"})
    response = ada.post(f"/o/account/{id}/edit", {**values, "name": "Mine"})
    assert response.status_code == 409
    assert "Mine" in response.text
    assert "Theirs" in response.text
    assert site.read("account", id)["name"] == "Theirs"
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', response.text))
    mine = {k: unescape(v) for k, v in hidden.items()}
    form = ada.post(f"/o/account/{id}/edit", {**mine, "__again": "1"})
    assert form.status_code == 200
    assert 'value="Mine"' in form.text
    again = ada.post(f"/o/account/{id}/edit", mine)
    assert again.status_code == 303, again.text
    assert site.read("account", id)["name"] == "Mine"


def test_a_lookup_works_without_javascript_by_typing_the_name(site: Any, ada: Any) -> None:
    account = site.create("account", name="Typed By Hand 手填")
    site.create("account", name="Twice"), site.create("account", name="Twice")
    ada.get("/o/contact/new")
    person = {"last_name": "Doe", "email": "doe@example.com", "account": "", "account__shown": ""}
    made = ada.post("/o/contact/new", {**person, "account__text": "typed by hand 手填"})
    assert made.status_code == 303, made.text
    assert site.read("contact", made.headers["Location"].rsplit("/", 1)[1])["account"] == account
    none = ada.post("/o/contact/new", {**person, "account__text": "No such company"})
    assert none.status_code == 422
    assert "No record is called “No such company”." in none.text
    two = ada.post("/o/contact/new", {**person, "account__text": "Twice"})
    assert "More than one record is called “Twice”" in two.text


def test_the_type_ahead_respects_the_filter_of_the_lookup(site: Any, ada: Any) -> None:
    mine, other = site.create("account", name="Mine Ltd"), site.create("account", name="Other Ltd")
    site.create("contact", last_name="Zhang", first_name="Wei", account=mine, email="w@example.com")
    site.create("contact", last_name="Zhang", first_name="Min", account=other, email="m@example.com")
    ada.get("/o/opportunity/new")
    response = ada.post(
        "/o/opportunity/lookup/primary_contact",
        {"account": mine, "primary_contact__text": "zhang", "account__text": "Mine Ltd", "account__shown": "Mine Ltd"},
        HX_Request="true",
    )
    assert response.status_code == 200
    assert "Wei" in response.text
    assert "Min" not in response.text.replace("Mine", "")


def test_dependent_choices_follow_the_controlling_field(ada: Any) -> None:
    ada.get("/o/case/new")
    for category, offered, missing in (("question", "how_to", "how_to_not"), ("change", "documentation", "how_to")):
        response = ada.post(
            "/o/case/form-state", {"__changed": "category", "category": category, "subject": "x"}, HX_Request="true"
        )
        assert response.status_code == 200
        assert f'value="{offered}"' in response.text
        assert f'value="{missing}"' not in response.text
        assert 'hx-swap-oob="true"' in response.text


def test_conditional_fields_appear_and_become_required_with_what_is_typed(ada: Any) -> None:
    ada.get("/o/activity/new")
    task = ada.post("/o/activity/form-state", {"kind": "task", "__changed": "kind"}, HX_Request="true").text
    meeting = ada.post("/o/activity/form-state", {"kind": "meeting", "__changed": "kind"}, HX_Request="true").text
    assert 'name="location"' not in task
    assert 'name="location"' in meeting
    due = meeting[meeting.index('id="f-due--box"') :]
    assert 'class="form-label required"' in due[:400]


def test_times_are_read_and_shown_in_the_zone_of_the_reader(site: Any) -> None:
    visitor = site.visitor()
    visitor.sign_in("ada@example.com")
    with site.environment.write(SYSTEM) as records:
        user = records.list(Query("user", filter='email = "ada@example.com"')).records[0]["id"]
        records.update("user", [Change(user, {"time_zone": "Asia/Shanghai"})])
    visitor.get("/o/activity/new")
    made = visitor.post("/o/activity/new", {"subject": "Call", "kind": "task", "due": "2026-11-21T16:00"})
    assert made.status_code == 303, made.text
    id = made.headers["Location"].rsplit("/", 1)[1]
    stored = site.read("activity", id)["due"]
    page = visitor.get(f"/o/activity/{id}/edit").text
    with site.environment.write(SYSTEM) as records:
        records.update("user", [Change(user, {"time_zone": "UTC"})])
    assert stored.isoformat() == "2026-11-21T08:00:00+00:00"
    assert 'value="2026-11-21T16:00:00"' in page


def test_many_to_many_links_are_set_as_a_whole(site: Any, ada: Any) -> None:
    account = site.create("account", name="Linked")
    people = [
        site.create("contact", last_name=name, account=account, email=f"{name}@example.com") for name in ("one", "two")
    ]
    ada.get("/o/campaign/new")
    made = ada.post("/o/campaign/new", {"name": "Fair", "kind": "event", "status": "planned",
                                        "members__present": "1", "members": people})  # fmt: skip
    assert made.status_code == 303, made.text
    id = made.headers["Location"].rsplit("/", 1)[1]
    assert {link["id"] for link in site.read("campaign", id)["members"]} == set(people)
    values = ada.form(ada.get(f"/o/campaign/{id}/edit").text)
    assert set(values["members"]) == set(people)
    kept = ada.post(f"/o/campaign/{id}/edit", {**values, "members": people[:1]})
    assert kept.status_code == 303, kept.text
    assert [link["id"] for link in site.read("campaign", id)["members"]] == people[:1]


def test_a_polymorphic_lookup_takes_the_object_beside_the_record(site: Any, ada: Any) -> None:
    account = site.create("account", name="Talked about")
    page = ada.get(f"/o/activity/new?about={account}&about_object=account").text
    values = ada.form(page)
    assert values["about__text"] == "Talked about"
    made = ada.post("/o/activity/new", {**values, "subject": "Visit"})
    assert made.status_code == 303, made.text
    stored = site.read("activity", made.headers["Location"].rsplit("/", 1)[1])
    assert (stored["about"], stored["about_object"]) == (account, "account")


def test_files_go_in_with_the_form_and_come_out_for_who_may_read(site: Any, ada: Any) -> None:
    ada.get("/o/activity/new")
    upload = (io.BytesIO(b"<script>alert(1)</script>"), "notes.html", "text/html")
    made = ada.client.post(
        "/o/activity/new",
        data={"csrf_token": ada.token, "subject": "With file", "kind": "task", "attachment": "",
              "attachment__file": upload},
        content_type="multipart/form-data",
    )  # fmt: skip
    assert made.status_code == 303, made.text
    record = site.read("activity", made.headers["Location"].rsplit("/", 1)[1])
    page = ada.get(made.headers["Location"]).text
    assert "notes.html" in page
    file = ada.client.get(f"/files/{record['attachment']}")
    assert file.data == b"<script>alert(1)</script>"
    assert file.headers["Content-Type"] == "application/octet-stream"
    assert file.headers["Content-Disposition"].startswith("attachment")
    stranger = site.visitor()
    stranger.sign_in("nobody@example.com")
    assert stranger.get(f"/files/{record['attachment']}").status_code in (403, 404)


def test_deleting_asks_first_and_the_recycle_bin_gives_back(site: Any, ada: Any) -> None:
    id = site.create("account", name="Thrown away")
    asked = ada.get(f"/o/account/{id}/delete")
    assert "Delete “Thrown away”?" in asked.text
    assert site.read("account", id)["name"] == "Thrown away"
    assert ada.post(f"/o/account/{id}/delete").status_code == 303
    assert ada.get(f"/o/account/{id}").status_code == 404
    assert "Thrown away" in ada.get("/o/account/trash").text
    assert ada.post(f"/o/account/{id}/restore").status_code == 303
    assert ada.get(f"/o/account/{id}").status_code == 200


def test_what_others_hold_cannot_be_deleted_and_the_page_says_why(site: Any, ada: Any) -> None:
    account = site.create("account", name="Held")
    site.create("opportunity", name="Holds it", account=account)
    ada.get("/")
    response = ada.post(f"/o/account/{account}/delete")
    assert response.status_code == 409
    assert site.read("account", account)["name"] == "Held"


def test_a_stage_move_shows_everything_that_is_missing_then_succeeds(site: Any, ada: Any) -> None:
    account = site.create("account", name="Moving")
    id = site.create(
        "opportunity", name="Deal", account=account, stage="proposal", stage_pipeline="sales", amount="100"
    )
    ada.get(f"/o/opportunity/{id}")
    refused = ada.post(f"/o/opportunity/{id}/stage", {"stage": "negotiation"}, HX_Request="true", HX_Target="path")
    assert refused.status_code == 422
    assert "Primary contact is required in stage Negotiation." in refused.text
    assert site.read("opportunity", id)["stage"] == "proposal"
    contact = site.create("contact", last_name="Yes", account=account, email="yes@example.com")
    values = ada.form(ada.get(f"/o/opportunity/{id}/edit?stage=negotiation").text)
    assert values["stage"] == "negotiation"
    saved = ada.post(
        f"/o/opportunity/{id}/edit", {**values, "primary_contact": contact, "primary_contact__text": "Yes",
                                      "primary_contact__shown": "Yes"},
    )  # fmt: skip
    assert saved.status_code == 303, saved.text
    moved = ada.post(f"/o/opportunity/{id}/stage", {"stage": "won"}, HX_Request="true", HX_Target="path")
    assert moved.headers["HX-Redirect"].endswith(f"/o/opportunity/{id}")
    assert site.read("opportunity", id)["stage"] == "won"
    history = ada.get(f"/o/opportunity/{id}?tab=history").text
    assert "Time in each stage" in history


@pytest.mark.parametrize("key", ["name", "owner", "kind"])
def test_messages_of_fields_speak_the_language_of_the_reader(site: Any, key: str) -> None:
    visitor = site.visitor()
    visitor.sign_in("ada@example.com")
    visitor.speak("zh-Hans")
    response = visitor.post("/o/account/new", {"name": "", "kind": ""})
    assert "必须填写名称。" in response.text
    assert "is required" not in response.text


def test_a_form_that_was_open_too_long_keeps_its_input_and_can_be_sent_again(site: Any, ada: Any) -> None:
    ada.get("/o/account/new")
    refused = ada.client.post("/o/account/new", data={"csrf_token": "stale", "name": "Kept <b>anyway</b>"})
    assert refused.status_code == 400
    assert "Kept &lt;b&gt;anyway&lt;/b&gt;" in refused.text
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', refused.text))
    again = ada.client.post("/o/account/new", data={k: unescape(v) for k, v in hidden.items()})
    assert again.status_code == 303
    assert site.read("account", again.headers["Location"].rsplit("/", 1)[1])["name"] == "Kept <b>anyway</b>"


def test_a_failure_nobody_foresaw_keeps_the_input_too(site: Any, ada: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ada.get("/o/account/new")

    def broken(*_: Any) -> None:
        raise RuntimeError("the disk is on fire at /secret/path")

    monkeypatch.setattr("ratoon.ui.editing.read_form", broken)
    monkeypatch.setitem(site.app.config, "PROPAGATE_EXCEPTIONS", False)
    response = ada.post("/o/account/new", {"name": "Not lost"})
    assert response.status_code == 500
    assert "Not lost" in response.text
    assert "fire" not in response.text
    assert "/secret/path" not in response.text


def test_infos_of_rules_are_told_after_saving(site: Any, ada: Any) -> None:
    account = site.create("account", name="Silent")
    ada.get("/o/contact/new")
    made = ada.post("/o/contact/new", {"last_name": "Quiet", "account": account})
    assert made.status_code == 303, made.text
    assert "nobody can reach this person" in ada.get(made.headers["Location"]).text


def test_a_new_record_from_a_related_list_is_filled_in_and_leads_back(site: Any, ada: Any) -> None:
    account = site.create("account", name="Parent of many")
    page = ada.get(f"/o/account/{account}").text
    link = re.search(r'href="(/o/contact/new\?[^"]+)"', page)
    assert link is not None
    values = ada.form(ada.get(unescape(link.group(1))).text)
    assert values["account"] == account
    made = ada.post("/o/contact/new", {**values, "last_name": "Child", "email": "c@example.com"})
    assert made.headers["Location"] == f"/o/account/{account}"
    assert "Child" in ada.get(f"/o/account/{account}").text


def test_a_lead_whose_owner_is_emptied_goes_to_whom_the_assignment_finds(site: Any) -> None:
    with site.environment.write(SYSTEM) as records:
        accounts = Accounts(site.environment.world)
        people = {
            role: accounts.create_user(
                records, name=f"The {role}", email=f"{role}@example.com", password=PASSWORD, roles=[role]
            )
            for role in ("sales_rep", "sales_manager")
        }
    seller = site.visitor()
    seller.sign_in("sales_rep@example.com")
    values = seller.form(seller.get("/o/lead/new").text)
    assert values["owner"] == people["sales_rep"]
    large = {"name": "Wei", "company": "Large Works", "employees": "5000", "email": "wei@example.com"}
    made = seller.post("/o/lead/new", {**values, **large, "owner": "", "owner__text": ""})
    assert made.headers["Location"] == "/o/lead", "whoever saved it does not see it any more"
    page = seller.get("/o/lead").text
    assert "It belongs to somebody else now" in page
    with site.environment.read(SYSTEM) as records:
        (lead,) = records.list(Query("lead", filter='company = "Large Works"')).records
        managers = members(records.connection, ["sales_manager"])
    assert people["sales_manager"] in managers
    assert lead["owner"] in managers, "a large company goes to a sales manager"
