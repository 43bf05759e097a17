"""Values as the pages of an object show them: amounts in their currency, links with what they say, blank numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ratoon.platform.packages import Target, apply_package
from ratoon.platform.plugins import Plugins, load_plugins

DOCUMENTS: dict[str, dict[str, Any]] = {
    "manifest.json": {"kind": "package", "name": "guild", "version": "1.0.0", "label": "Guild"},
    "craft/object.json": {
        "kind": "object",
        "name": "craft",
        "label": "Craft",
        "plural_label": "Crafts",
        "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name", "required": True},
            {"name": "fees", "type": "rollup", "label": "Fees", "of": "post", "via": "craft", "operation": "sum",
             "field": "fee"},
            {"name": "wages", "type": "rollup", "label": "Wages", "of": "post", "via": "craft", "operation": "sum",
             "field": "wage"},
        ],
    },
    "post/object.json": {
        "kind": "object",
        "name": "post",
        "label": "Post",
        "plural_label": "Posts",
        "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name", "required": True},
            {"name": "craft", "type": "lookup", "label": "Craft", "object": "craft"},
            {"name": "wage", "type": "currency", "label": "Wage", "currency": "GBP"},
            {"name": "fee", "type": "formula", "label": "Fee", "formula": "wage / 10", "returns": "currency",
             "currency": "EUR"},
            {"name": "stage", "type": "stage", "label": "Stage"},
            {"name": "crafts", "type": "many_to_many", "label": "Crafts", "object": "craft", "attributes": [
                {"name": "part", "type": "picklist", "label": "Part", "values": [
                    {"value": "lead", "label": "In the lead"}, {"value": "hand", "label": "Helping hand"}]},
                {"name": "share", "type": "percent", "label": "Share"},
            ]},
        ],
    },
    "post/pipelines/hiring.json": {
        "kind": "pipeline",
        "object": "post",
        "name": "hiring",
        "label": "Hiring",
        "stages": [
            {"name": "open", "label": "Open", "category": "open", "next": ["talks"]},
            {"name": "talks", "label": "Talks", "category": "open", "next": ["taken"], "required_fields": ["craft"]},
            {"name": "taken", "label": "Taken", "category": "won"},
        ],
    },
}  # fmt: skip


def write_package(folder: Path, documents: dict[str, dict[str, Any]]) -> Path:
    """The documents as a package folder."""
    for name, document in documents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def guild(new_site: Callable[[Plugins], Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A site with crafts and posts."""
    site = new_site(load_plugins())
    apply_package(Target.of(site.environment), write_package(tmp_path_factory.mktemp("guild"), DOCUMENTS))
    return site


@pytest.fixture
def ada(guild: Any) -> Any:
    """The administrator of that site."""
    visitor = guild.visitor()
    visitor.sign_in("ada@example.com")
    visitor.speak("en")
    return visitor


def test_a_computed_amount_is_shown_in_the_currency_that_its_formula_declares(guild: Any, ada: Any) -> None:
    craft = guild.create("craft", name="Cooper")
    post = guild.create("post", name="Barrels", craft=craft, wage="1000", wage_currency="USD")
    guild.create("post", name="Tubs", craft=craft, wage="500", wage_currency="GBP")
    assert "€100.00" in ada.get(f"/o/post/{post}").text
    page = ada.get(f"/o/craft/{craft}").text
    assert "€150.00" in page, "a rollup has the currency of the formula it adds up"
    wages = re.search(r"<dt>Wages.*?</dt><dd>(.*?)<(?:div|/dd)", page)
    assert wages is not None
    assert wages.group(1).strip() == "1,500.00", "pounds and dollars have no common sign"


def test_the_chart_of_the_first_page_adds_up_in_the_declared_currency(guild: Any, ada: Any) -> None:
    guild.create("post", name="Counted", wage="20000", wage_currency="USD")
    page = ada.get("/").text
    assert "Posts by stage" in page
    assert re.search(r'<td class="text-end">€[\d.]+K?</td>', page)


def test_a_link_says_its_attributes_beside_its_name(guild: Any, ada: Any) -> None:
    cooper, smith = (guild.create("craft", name=name) for name in ("Cooper <1>", "Smith"))
    links = [{"id": cooper, "part": "lead", "share": "40"}, {"id": smith}]
    page = ada.get(f"/o/post/{guild.create('post', name='Both', crafts=links)}").text
    assert "Cooper &lt;1&gt;</a> <span" in page
    assert "(Part: In the lead · Share: 40%)" in page
    assert "Smith</a></span>" in page or "Smith</a><span" in page, "a link without attributes has no brackets"


def test_a_blank_computed_number_stands_where_the_others_do(guild: Any, ada: Any) -> None:
    guild.create("post", name="Unpaid")
    text = ada.get("/o/post?filter=ISBLANK(wage)").text
    for label in ("Wage", "Fee"):
        cell = re.search(rf'<td data-label="{label}"([^>]*)>', text)
        assert cell is not None
        assert "text-end" in cell.group(1), label


def test_a_refused_move_takes_away_what_an_earlier_move_said(guild: Any, ada: Any) -> None:
    post = guild.create("post", name="Mover", stage="open", stage_pipeline="hiring")
    page = ada.get(f"/o/post/{post}")
    assert "less than a minute in this stage" in page.text
    assert "less than a minute" in ada.get(f"/o/post/{post}?tab=history").text
    refused = ada.post(f"/o/post/{post}/stage", {"stage": "talks"}, HX_Request="true", HX_Target="path")
    assert refused.status_code == 422
    assert "Craft is required in stage Talks." in refused.text
    flash = refused.text[refused.text.index('<div id="flash"') :]
    assert 'hx-swap-oob="true"' in flash
    assert "alert" not in flash


def test_a_word_is_translated_as_its_own_package_means_it(guild: Any, tmp_path: Path) -> None:
    texts = {"Wage": "工钱", "Craft": "手艺", "Levy": "会费"}
    strings = {"kind": "strings", "locale": "zh-Hans"}
    other = {
        "manifest.json": {"kind": "package", "name": "port", "version": "1.0.0", "label": "Port"},
        "ship/object.json": {
            "kind": "object", "name": "ship", "label": "Craft", "plural_label": "Ships", "title": "name",
            "fields": [
                {"name": "name", "type": "text", "label": "Name", "required": True},
                {"name": "due", "type": "date", "label": "Levy"},
            ],
        },
        "strings/zh-Hans.json": {**strings, "texts": {"Craft": "船只", "Wages": "水手工资"}},
    }  # fmt: skip
    documents = {**DOCUMENTS, "strings/zh-Hans.json": {**strings, "texts": texts}}
    for name, package in (("guild", documents), ("port", other)):
        apply_package(Target.of(guild.environment), write_package(tmp_path / name, package))
    reader = guild.visitor()
    reader.sign_in("ada@example.com")
    reader.speak("zh-Hans")
    craft, ship = reader.get("/o/craft/new").text, reader.get("/o/ship/new").text
    assert "手艺" in craft
    assert "船只" in ship
    assert "Levy" in ship, "the guild's word for its dues is not the port's"
    assert "会费" not in ship
    assert "水手工资" not in reader.get(f"/o/craft/{guild.create('craft', name='Baker')}").text
    described = reader.client.get("/api/v1/objects/ship", headers={"Accept-Language": "zh-Hans"}).json
    assert described["label"] == "船只"
    assert {f["name"]: f["label"] for f in described["fields"]}["due"] == "Levy"
