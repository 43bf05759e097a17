"""The pictures of the tour in ``ui/tour/``: the demo data seen through the screens.

The test looks at the pages every time; it writes the pictures only when ``RATOON_TOUR=1`` is set, so that a test run
leaves the working copy as it was.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from ratoon.platform.packages.demo import load_demo, today

pytestmark = pytest.mark.browser
TOUR = Path(__file__).resolve().parents[2] / "ui" / "tour"
LARGEST = 180 * 1024


@pytest.fixture(scope="module")
def told(site: Any) -> Any:
    """The site with the demo data in it."""
    load_demo(site.environment, anchor=today(site.environment.world.clock()))
    return site


@pytest.fixture
def tab(browser: Browser, told: Any) -> Iterator[Page]:
    """A signed-in tab of the size of the pictures."""
    context = browser.new_context(viewport={"width": 1240, "height": 680}, locale="en-US")
    page = context.new_page()
    page.goto(f"{told.url}/sign-in")
    page.fill("#email", "ada@example.com")
    page.fill("#password", "correct horse battery")
    page.press("#password", "Enter")
    page.wait_for_selector(".rt-user")
    yield page
    context.close()


def keep(page: Page, name: str) -> None:
    """Writes a picture of the tour when asked to; it must stay small."""
    page.wait_for_timeout(700)
    picture = page.screenshot(type="png", animations="disabled")
    if os.environ.get("RATOON_TOUR") == "1":
        TOUR.mkdir(exist_ok=True)
        (TOUR / f"{name}.png").write_bytes(picture)
        assert len(picture) <= LARGEST, f"{name} has {len(picture)} bytes"


def test_the_tour(tab: Page, told: Any) -> None:
    tab.goto(told.url)
    expect(tab.locator(".rt-tile")).not_to_have_count(0)
    expect(tab.locator(".rt-chart canvas").first).to_be_visible()
    keep(tab, "home")
    tab.goto(f"{told.url}/o/opportunity?view=board")
    expect(tab.locator(".rt-card").first).to_be_visible()
    keep(tab, "board")
    tab.goto(f"{told.url}/o/opportunity?view=open")
    tab.locator(".rt-row .rt-first").nth(1).click()
    expect(tab.locator(".rt-path")).to_be_visible()
    keep(tab, "record")
    tab.goto(f"{told.url}/o/opportunity/new")
    tab.fill("#f-name", "")
    tab.locator("#f-account").press_sequentially("能源", delay=20)
    expect(tab.locator("#f-account--hits .rt-option").nth(3)).to_be_visible()
    keep(tab, "form")
    tab.locator(".rt-user").click()
    tab.get_by_role("button", name="简体中文").click()
    expect(tab.locator("html")).to_have_attribute("lang", "zh-Hans")
    tab.goto(f"{told.url}/o/opportunity?view=open")
    keep(tab, "chinese")
    tab.locator(".rt-user").click()
    tab.get_by_role("button", name="English").click()
    tab.set_viewport_size({"width": 390, "height": 780})
    tab.goto(f"{told.url}/o/opportunity?view=open")
    tab.locator(".rt-row .rt-first").nth(1).click()
    keep(tab, "phone")
