"""A walk through the screens in a real browser, the way a person does it."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
REFUSED = r"status of 4(09|22)"
"""Chromium reports every answer that is not a success on its console."""


def choose(page: Page, field: str, typed: str, option: str) -> None:
    """Types into a lookup and takes an option."""
    page.locator(f"#f-{field}").press_sequentially(typed, delay=20)
    page.locator(f"#f-{field}--hits .rt-option", has_text=option).first.click()
    expect(page.locator(f"#f-{field}")).to_have_value(option)


def test_a_record_is_made_after_its_mistakes_are_mended(page: Page, site: Any, watched: Any) -> None:
    watched.expected = REFUSED
    page.goto(f"{site.url}/o/account")
    page.get_by_role("link", name="New Account").first.click()
    page.fill("#f-name", "")
    page.fill("#f-employees", "plenty")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#problems")).to_contain_text("2 things need your attention")
    expect(page.locator("#f-name--about")).to_contain_text("Name is required.")
    expect(page.locator("#f-employees")).to_have_value("plenty")
    page.fill("#f-name", "Walked In Ltd")
    page.fill("#f-employees", "12")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("h1")).to_have_text("Walked In Ltd")
    expect(page.locator("#flash")).to_contain_text("was saved")


def test_a_record_is_edited(page: Page, site: Any) -> None:
    id = site.create("account", name="Old name")
    page.goto(f"{site.url}/o/account/{id}")
    page.keyboard.press("e")
    page.fill("#f-name", "New name 新名称")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("h1")).to_have_text("New name 新名称")


def test_a_lookup_is_chosen_by_typing_and_by_keyboard(page: Page, site: Any) -> None:
    account = site.create("account", name="Keyboard Works")
    page.goto(f"{site.url}/o/contact/new")
    page.fill("#f-last_name", "Typist")
    page.fill("#f-email", "typist@example.com")
    box = page.locator("#f-account")
    box.press_sequentially("keyboard w", delay=20)
    expect(page.locator("#f-account--hits .rt-option")).to_have_count(1)
    box.press("ArrowDown")
    box.press("Enter")
    expect(box).to_have_value("Keyboard Works")
    page.get_by_role("button", name="Save").click()
    page.wait_for_selector(".rt-hero")
    assert site.read("contact", page.url.rsplit("/", 1)[1])["account"] == account


def test_a_stage_move_is_refused_with_every_reason_and_then_succeeds(page: Page, site: Any, watched: Any) -> None:
    watched.expected = REFUSED
    account = site.create("account", name="Gate Keepers")
    site.create("contact", last_name="Gatsby", account=account, email="g@example.com")
    id = site.create("opportunity", name="Through the gate", account=account, stage="proposal",
                     stage_pipeline="sales", amount="5000")  # fmt: skip
    page.goto(f"{site.url}/o/opportunity/{id}")
    page.get_by_role("button", name="Negotiation").click()
    gate = page.locator(".rt-gate")
    expect(gate).to_contain_text("Not yet ready for “Negotiation”")
    expect(gate).to_contain_text("Primary contact is required")
    gate.get_by_role("link", name="Fill in what is missing").click()
    expect(page.locator("#f-stage")).to_have_value("negotiation")
    choose(page, "primary_contact", "gats", "Gatsby")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".rt-current")).to_contain_text("Negotiation")
    page.get_by_role("button", name="Won").click()
    expect(page.locator(".rt-current")).to_contain_text("Won")
    page.get_by_role("link", name="History").click()
    expect(page.locator(".rt-periods")).to_contain_text("Negotiation")


def test_a_card_is_dragged_into_another_column(page: Page, site: Any) -> None:
    account = site.create("account", name="Board & Sons")
    id = site.create("opportunity", name="Carried along", account=account, stage="discovery",
                     stage_pipeline="sales", amount="5000")  # fmt: skip
    page.set_viewport_size({"width": 1900, "height": 900})
    page.goto(f"{site.url}/o/opportunity?view=board&where=name:eq:Carried along")  # other tests fill the columns too
    page.locator(f"[data-card='{id}']").drag_to(page.locator("[data-lane=proposal]"))
    expect(page.locator(".alert-success")).to_contain_text("“Carried along” was moved.")
    page.goto(f"{site.url}/o/opportunity/{id}")
    expect(page.locator(".rt-current")).to_contain_text("Proposal")


def test_dependent_choices_and_conditional_fields_follow_what_is_chosen(page: Page, site: Any) -> None:
    page.goto(f"{site.url}/o/case/new")
    options = page.locator("#f-subcategory option")
    page.select_option("#f-category", "change")
    expect(options.filter(has_text="How to use it")).to_have_count(0)
    page.select_option("#f-category", "question")
    expect(options.filter(has_text="How to use it")).to_have_count(1)
    page.goto(f"{site.url}/o/activity/new")
    expect(page.locator("#f-location--box")).to_be_hidden()
    page.select_option("#f-kind", "meeting")
    expect(page.locator("#f-location")).to_be_visible()
    expect(page.locator("#f-due--label")).to_have_class("form-label required")
    page.select_option("#f-kind", "task")
    expect(page.locator("#f-location--box")).to_be_hidden()


def test_a_record_is_deleted_and_restored(page: Page, site: Any) -> None:
    id = site.create("account", name="Comes back")
    page.goto(f"{site.url}/o/account/{id}")
    page.get_by_role("link", name="Delete").click()
    expect(page.locator("h1")).to_contain_text("Delete “Comes back”?")
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#flash")).to_contain_text("is in the recycle bin")
    page.get_by_role("link", name="Recycle bin").click()
    page.locator(".rt-bin", has_text="Comes back").get_by_role("button", name="Restore").click()
    expect(page.locator("h1")).to_have_text("Comes back")


@pytest.mark.parametrize(
    ("words", "name"), [("orgelb", "Grünfeld Orgelbau"), ("深圳", "缙桥（深圳）酒店"), ("酒店", "缙桥（深圳）酒店")]
)
def test_search_finds_chinese_and_latin_while_typing(page: Page, site: Any, words: str, name: str) -> None:
    site.create("account", name=name)
    page.goto(f"{site.url}/")
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.locator("#search").press_sequentially(words, delay=20)
    expect(page.locator(".rt-hits-menu")).to_contain_text(name)
    page.locator("#search").press("Enter")
    expect(page.locator("h1")).to_contain_text(words)
    page.locator(".list-group-item", has_text=name).first.click()
    expect(page.locator("h1")).to_have_text(name)


def test_two_people_edit_the_same_record(page: Page, site: Any, watched: Any) -> None:
    watched.expected = REFUSED
    id = site.create("account", name="Contested")
    page.goto(f"{site.url}/o/account/{id}/edit")
    other = page.context.new_page()
    other.goto(f"{site.url}/o/account/{id}/edit")
    other.fill("#f-name", "Hers")
    other.get_by_role("button", name="Save").click()
    other.wait_for_selector(".rt-hero")
    page.fill("#f-name", "His")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("h1")).to_have_text("Somebody else saved first")
    expect(page.locator(".rt-compare")).to_contain_text("His")
    expect(page.locator(".rt-compare")).to_contain_text("Hers")
    page.get_by_role("button", name="Save my version").click()
    expect(page.locator("h1")).to_have_text("His")


def test_a_list_is_sorted_filtered_and_continued(page: Page, site: Any) -> None:
    for number in range(60):
        site.create("product", name=f"Part {number:02}", code=f"P-{number:02}", list_price="9.90")
    page.goto(f"{site.url}/o/product?view=all&where=name:starts:part")
    page.locator("th .rt-sort", has_text="Name").first.click()
    page.wait_for_url("**sort=**")
    expect(page.locator(".rt-row")).to_have_count(50)
    page.get_by_role("link", name="Next page").click()
    expect(page.locator(".rt-row")).to_have_count(60)
    page.locator(".rt-filter > summary").click()
    page.select_option("select[name=key]", "name")
    page.select_option("select[name=op]", "contains")
    page.fill("input[name=value]", "07")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".rt-row")).to_have_count(1)
    expect(page.locator(".rt-chip")).to_have_count(2)
    page.locator(".rt-chip-x").last.click()
    expect(page.locator(".rt-row")).to_have_count(50)


def test_many_records_are_linked_with_the_keyboard_alone(page: Page, site: Any) -> None:
    account = site.create("account", name="Guests")
    for name in ("Alpha Guest", "Beta Guest"):
        site.create("contact", last_name=name, account=account, email=f"{name[0]}@example.com")
    page.goto(f"{site.url}/o/campaign/new")
    page.fill("#f-name", "Garden party")
    for name in ("Alpha Guest", "Beta Guest"):
        choose_many(page, "members", name)
    expect(page.locator(".rt-link")).to_have_count(2)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("h1")).to_have_text("Garden party")
    stored = site.read("campaign", page.url.rsplit("/", 1)[1])
    assert len(stored["members"]) == 2


def choose_many(page: Page, field: str, name: str) -> None:
    """Adds a record to a many-to-many field."""
    box = page.locator(f"#f-{field}")
    box.press_sequentially(name, delay=20)
    expect(page.locator(f"#f-{field}--hits .rt-option", has_text=name)).to_have_count(1)
    box.press("ArrowDown")
    box.press("Enter")
    expect(page.locator(".rt-link", has_text=name)).to_have_count(1)


def test_the_editor_for_rich_text_saves_clean_html(page: Page, site: Any) -> None:
    page.goto(f"{site.url}/o/campaign/new")
    page.fill("#f-name", "Written")
    editor = page.locator("#f-description--box [contenteditable]")
    editor.click()
    page.locator("[data-command=bold]").click()
    page.keyboard.type("Loud")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".rt-richtext b, .rt-richtext strong")).to_have_text("Loud")


def test_language_and_theme_are_changed_from_the_menu(page: Page, site: Any) -> None:
    page.goto(f"{site.url}/o/account")
    page.locator(".rt-user").click()
    page.get_by_role("button", name="简体中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    expect(page.locator("h1")).to_have_text("客户")
    page.locator(".rt-user").click()
    page.get_by_role("button", name="English").click()
    expect(page.locator("h1")).to_have_text("Accounts")
    page.locator(".rt-user").click()
    page.locator("[data-theme-switch]").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")


def test_basic_forms_work_without_javascript(browser: Any, site: Any) -> None:
    site.create("account", name="Plain Paper")
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(f"{site.url}/sign-in")
    tab.fill("#email", "ada@example.com")
    tab.fill("#password", "correct horse battery")
    tab.click("button:has-text('Sign in')")
    tab.goto(f"{site.url}/o/contact/new")
    tab.fill("#f-last_name", "Scriptless")
    tab.fill("#f-email", "s@example.com")
    tab.fill("#f-account", "Plain Paper")
    tab.click("button:has-text('Save')")
    expect(tab.locator("h1")).to_contain_text("Scriptless")
    expect(tab.locator(".rt-hero, .rt-section").first).to_be_visible()
    context.close()


def test_the_audit_trail_is_filtered_without_leaving_the_page(page: Page, site: Any) -> None:
    page.goto(f"{site.url}/access/audit")
    page.select_option("#trail-trail", "sign_in")
    page.click("#trail form button")
    page.wait_for_url(f"{site.url}/access/audit?trail=sign_in")
    expect(page.locator(".rt-chip")).to_have_text("Trail: Signing in")
    expect(page.locator(".rt-trail")).to_contain_text("Signed in")
    page.select_option("#trail-action", "refused")
    page.click("#trail form button")
    page.wait_for_url(f"{site.url}/access/audit?trail=sign_in&action=refused")
    page.go_back()
    page.wait_for_url(f"{site.url}/access/audit?trail=sign_in")
    expect(page.locator(".rt-chip")).to_have_count(1)
    page.click(".rt-chip-x")
    page.wait_for_url(f"{site.url}/access/audit")
    with page.expect_download() as taken:
        page.click("text=Take out as CSV")
    assert taken.value.suggested_filename == "audit.csv"
