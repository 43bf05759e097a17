"""The filter builder: conditions become formulas, whatever is typed into them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.errors import BadRequest
from ratoon.platform.formulas.types import Type
from ratoon.ui.filters import combined, literal, quoted
from ratoon.ui.lists import choices_of
from ratoon.ui.screen import Screen

UTC = ZoneInfo("UTC")


def test_a_text_stays_a_text_whatever_it_contains() -> None:
    assert quoted('a"b\\') == '"a\\"b\\\\"'


@pytest.mark.parametrize(
    ("type_", "text", "percent", "expected"),
    [
        (Type.NUMBER, "1200.50", False, "1200.50"),
        (Type.NUMBER, "20", True, "0.2"),
        (Type.DATE, "2026-11-21", False, "DATE(2026, 11, 21)"),
        (Type.DATETIME, "2026-11-21T16:00", False, 'DATETIMEVALUE("2026-11-21 08:00:00")'),
        (Type.BOOLEAN, "true", False, "TRUE"),
        (Type.TEXT, "x", False, '"x"'),
    ],
)
def test_values_become_literals_of_their_type(type_: Type, text: str, percent: bool, expected: str) -> None:
    assert literal(type_, text, ZoneInfo("Asia/Shanghai"), percent) == expected


@pytest.mark.parametrize(("type_", "text"), [(Type.NUMBER, "many"), (Type.NUMBER, "NaN"), (Type.NUMBER, "1e400"),
                                             (Type.DATE, "tomorrow"), (Type.DATETIME, "2026-13-01")])  # fmt: skip
def test_what_is_not_of_the_type_is_refused(type_: Type, text: str) -> None:
    with pytest.raises(BadRequest):
        literal(type_, text, UTC)


def test_several_conditions_hold_together() -> None:
    assert combined(["a", "", "b || c"]) == "(a) && (b || c)"
    assert combined([]) is None


def test_every_operator_of_every_field_makes_a_list(site: Any, ada: Any) -> None:
    values = {Type.NUMBER: "1", Type.DATE: "2026-11-21", Type.DATETIME: "2026-11-21T08:00", Type.TIME: "08:00:00",
              Type.BOOLEAN: "true"}  # fmt: skip
    tried: set[tuple[str, str, str]] = set()
    for object in site.environment.registry:
        if object.hidden:
            continue
        for key, part in object.parts.items():
            if part.formula is None or part.formula is Type.REFERENCE or key in ("id", "version"):
                continue
            if object.field_of[key].volatile:
                continue
            for operator in part.operators:
                kind = (object.field_of[key].type.name, part.suffix, operator)
                if kind in tried:
                    continue
                tried.add(kind)
                known = choices_of(Screen(site.environment, SYSTEM, "en", site.environment.engine), object, key)
                value = known[0][0] if known else values.get(part.formula, "a")
                response = ada.get(f"/o/{object.name}?where={quote(f'{key}:{operator}:{value}')}")
                assert response.status_code == 200, f"{object.name}.{key} {operator}: {response.text[-2000:]}"


def test_conditions_show_as_words_and_can_be_taken_away(site: Any, ada: Any) -> None:
    site.create("account", name="Filtered in", kind="partner")
    site.create("account", name="Filtered out", kind="prospect")
    page = ada.get("/o/account?view=all&key=kind&op=eq&value=partner").text
    assert "Filtered in" in page
    assert "Filtered out" not in page
    assert "Kind is Partner" in page


def test_a_formula_with_a_mistake_is_explained_in_place(ada: Any) -> None:
    response = ada.get("/o/account?filter=" + quote("employes > 3"), HX_Request="true", HX_Target="list")
    assert response.status_code == 200
    assert "employes" in response.text
    assert 'class="invalid-feedback"' in response.text


def test_sql_and_html_in_a_filter_stay_text(site: Any, ada: Any) -> None:
    for evil in ("'; DROP TABLE account; --", '" || TRUE || "', "<b>x</b>", "%_\\", "😀", "x" * 300):
        response = ada.get("/o/account?view=all&where=" + quote(f"name:contains:{evil}"))
        assert response.status_code == 200, evil
        assert "<b>x</b>" not in response.text
