"""“Why this value?”: the explanation of a computed field on the page of its record, and the list of functions."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def deal(site: Any) -> str:
    """An opportunity with a line."""
    account = site.create("account", name="Acme")
    made: str = site.create("opportunity", name="Big", account=account, close_date="2026-12-31", amount="1200")
    return made


def test_a_computed_field_is_explained_beside_its_value(site: Any, ada: Any, deal: str) -> None:
    fields = site.environment.registry["opportunity"].fields.values()
    computed = [f for f in fields if f.formula is not None or f.rollup is not None]
    assert computed
    page = ada.get(f"/o/opportunity/{deal}").text
    for field in computed:
        address = f"/o/opportunity/{deal}/why/{field.name}"
        piece = ada.get(address, HX_Request="true", HX_Target=f"why-{field.name}")
        assert piece.status_code == 200
        assert "<html" not in piece.text
        assert "rt-why" in piece.text
        assert "<html" in ada.get(address).text
    assert "/why/" in page


def test_what_is_not_computed_has_no_explanation(ada: Any, deal: str) -> None:
    assert ada.get(f"/o/opportunity/{deal}/why/name").status_code == 404


def test_the_functions_are_listed_with_their_examples(ada: Any) -> None:
    page = ada.get("/formulas").text
    assert "BUSINESSDAYS" in page
    assert "ROUND(2.345, 2)" in page
