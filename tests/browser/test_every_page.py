"""Every kind of page in a real browser: no script error, nothing refused by the CSP, no sideways scroll on a phone."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, Response

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session")
def addresses(site: Any) -> list[str]:
    """Every kind of page, filled with long and awkward content."""
    account = site.create(
        "account", name="A company with a very long name that never seems to end " + "x" * 60, kind="customer",
        website="https://example.com/" + "path/" * 20, description="<b>not bold</b>\n" * 5, segments=["midsize"],
    )  # fmt: skip
    contact = site.create(
        "contact", last_name="Verylongsurnamewithoutanyspace" * 2, account=account, email="v@example.com"
    )
    opportunity = site.create("opportunity", name="缙桥（深圳）酒店管理有限公司 – 生产数字化二期", account=account,
                              amount="123456789.12", stage="proposal", stage_pipeline="sales")  # fmt: skip
    site.create("activity", subject="Call them", kind="call", about=opportunity, about_object="opportunity")
    pages = ["/", "/search?q=company", "/o/account/trash", "/o/nothing", "/setup/automations", "/setup/runs"]
    pages += ["/access", "/access/role", "/access/sharing", "/access/audit", f"/o/contact/{contact}/person"]
    pages += ["/account", "/access/users", "/sign-in/forgot", "/sign-in/link/none"]
    for object in site.environment.registry:
        if not object.hidden:
            kinds = {view.kind: view.name for view in object.views}
            pages += [f"/o/{object.name}/new", *(f"/o/{object.name}?view={name}" for name in kinds.values())]
    for object, id in (("account", account), ("contact", contact), ("opportunity", opportunity)):
        pages += [f"/o/{object}/{id}{rest}" for rest in ("", "?tab=history", "/edit", "/delete")]
    return pages


def _walk(tab: Page, site: Any, addresses: list[str]) -> None:
    for address in addresses:
        tab.goto(site.url + address)
        tab.wait_for_load_state("load")
        wide = tab.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"{address} scrolls sideways by {wide} px"


def test_no_page_has_an_error_on_a_desk(page: Page, site: Any, addresses: list[str], watched: Any) -> None:
    """Nor anything a browser loads without its security headers; what is text comes packed."""
    watched.expected = "status of 404"
    bare, whole, seen = [], [], set()

    def look(answer: Response) -> None:
        headers, kind = answer.headers, answer.headers.get("content-type", "").partition(";")[0]
        seen.add(kind)
        policy = headers.get("content-security-policy", "")
        safe = "script-src 'self';" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        if not safe or headers.get("x-content-type-options") != "nosniff" or headers.get("x-frame-options") != "DENY":
            bare.append(answer.url)
        if answer.status == 200 and kind in ("text/html", "text/css", "text/javascript"):
            length = int(headers.get("content-length", "0"))
            if headers.get("content-encoding") != "gzip" and length > 1400:
                whole.append(answer.url)

    page.on("response", look)
    _walk(page, site, addresses)
    assert {"text/html", "text/css", "text/javascript", "font/woff2"} <= seen
    assert not bare
    assert not whole


def test_no_page_scrolls_sideways_on_a_phone(phone: Page, site: Any, addresses: list[str], watched: Any) -> None:
    watched.expected = "status of 404"
    _walk(phone, site, addresses)


def test_the_menu_of_a_phone_opens(phone: Page, site: Any) -> None:
    phone.goto(site.url)
    assert not phone.get_by_role("link", name="Accounts", exact=True).first.is_visible()
    phone.locator(".navbar-toggler").click()
    phone.get_by_role("link", name="Accounts", exact=True).first.click()
    phone.wait_for_url("**/o/account")


def test_every_control_of_a_form_has_a_name_for_screen_readers(page: Page, site: Any) -> None:
    for object in site.environment.registry:
        if object.hidden:
            continue
        page.goto(f"{site.url}/o/{object.name}/new")
        nameless = page.evaluate(
            """() => ['input:not([type=hidden])', 'select', 'textarea', 'button']
            .flatMap(kind => [...document.querySelectorAll('main ' + kind)])
            .filter(e => e.offsetParent && !e.labels?.length && !e.getAttribute('aria-label') && !e.textContent.trim()
                         && !e.getAttribute('aria-labelledby') && !e.closest('label'))
            .map(e => e.outerHTML.slice(0, 120))"""
        )
        assert not nameless, f"{object.name}: {nameless}"
