"""Boards, stage paths and checklists: moving a record by hand, with every reason when it does not go."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

HTMX = {"HX_Request": "true"}


@pytest.fixture
def sale(site: Any) -> str:
    account = site.create("account", name="Acme board")
    return str(site.create("opportunity", name="Board & sale", account=account, kind="new_business"))


def move(ada: Any, sale: str, to: str, **headers: str) -> Any:
    form = {"key": "stage", "to": to, "back": "/o/opportunity?view=board"}
    return ada.post(f"/o/opportunity/{sale}/card", form, **headers)


def test_a_card_can_be_dragged_and_offers_the_same_moves_as_a_menu(site: Any, ada: Any, sale: str) -> None:
    page = ada.get("/o/opportunity?view=board").text
    card = page[page.index(f'data-card="{sale}"') :]
    card = card[: card.index("</article>")]
    assert 'draggable="true"' in page
    assert re.findall(r'name="to" value="(\w+)"', card) == ["discovery", "proposal", "lost"]


def test_a_card_is_put_into_another_column(site: Any, ada: Any, sale: str) -> None:
    ada.get("/o/opportunity?view=board")
    answer = move(ada, sale, "discovery", **HTMX)
    assert answer.headers["HX-Redirect"] == "/o/opportunity?view=board"
    assert site.read("opportunity", sale)["stage"] == "discovery"
    assert move(ada, sale, "qualification").headers["Location"] == "/o/opportunity?view=board"


def test_a_card_that_may_not_move_says_everything_that_is_missing(site: Any, ada: Any, sale: str) -> None:
    ada.get("/o/opportunity?view=board")
    answer = move(ada, sale, "lost", **HTMX)
    assert answer.status_code == 422
    assert "Loss reason is required" in answer.text
    assert "Board &amp; sale" in answer.text
    assert "stage=lost" in answer.text
    assert site.read("opportunity", sale)["stage"] == "qualification"
    assert "Loss reason is required" in ada.get(move(ada, sale, "lost").headers["Location"]).text


def test_a_card_of_a_picklist_board_moves_too(site: Any, ada: Any) -> None:
    account = site.create("account", name="Acme kinds")
    board = next(v for v in site.environment.registry["account"].views if v.kind == "board")
    ada.get(f"/o/account?view={board.name}")
    wanted = site.environment.registry["account"].fields[board.group_by or ""].choices[-1].value
    form = {"key": board.group_by, "to": wanted, "back": "https://elsewhere.example"}
    answer = ada.post(f"/o/account/{account}/card", form)
    assert answer.headers["Location"] == "/o/account"
    assert site.read("account", account)[board.group_by] == wanted
    assert ada.post(f"/o/account/{account}/card", {"key": "name", "to": "x"}).status_code == 400


def test_tasks_of_the_stage_are_ticked_off_on_the_page(site: Any, ada: Any, sale: str) -> None:
    page = ada.get(f"/o/opportunity/{sale}").text
    task = re.search(r'name="task" value="(\w+)"', page)
    assert task
    assert page.count('aria-checked="false"') == 2
    answer = ada.post(f"/o/opportunity/{sale}/task", {"task": task[1], "done": "1"}, **HTMX)
    assert answer.text.count('aria-checked="true"') == 1
    assert ada.post(f"/o/opportunity/{sale}/task", {"task": task[1], "done": ""}).status_code == 303
    assert 'aria-checked="true"' not in ada.get(f"/o/opportunity/{sale}").text
    changes = ada.get(f"/o/opportunity/{sale}?tab=history").text
    assert ">Open again<" in changes.replace("\n", "")
    assert ">Done<" in changes.replace("\n", "")
    assert ada.post(f"/o/opportunity/{sale}/task", {"task": "nonsense", "done": "1"}).status_code == 404


def test_what_is_overdue_in_its_stage_is_marked_on_record_board_and_list(site: Any, ada: Any, sale: str) -> None:
    assert "Overdue" not in ada.get(f"/o/opportunity/{sale}").text
    past = datetime.now(UTC) - timedelta(days=1)
    with site.environment.database.write() as connection:
        table = site.environment.engine.store.tables.table("opportunity")
        connection.execute(table.update().where(table.c.id == sale).values(stage_due=past))
        assert connection.execute(text("SELECT 1")).scalar() == 1
    assert "Overdue" in ada.get(f"/o/opportunity/{sale}").text
    for view in ("board", "all", "stuck"):
        page = ada.get(f"/o/opportunity?view={view}").text
        assert "Board &amp; sale" in page, view
        assert re.search(r"bg-orange-lt[^>]*>[^A-Z]*(<svg.*?</svg>)? ?Overdue", page, re.S), view


def test_a_form_links_to_the_records_that_look_the_same(site: Any, ada: Any) -> None:
    twin = site.create("account", name="Twin Peaks Ltd")
    ada.get("/o/account/new")
    answer = ada.post("/o/account/new", {"name": "TWIN PEAKS"})
    assert answer.status_code == 422
    assert f'href="/o/account/{twin}"' in answer.text
    assert "There is a company of this name already: Twin Peaks Ltd." in answer.text
    assert "__acknowledge" in answer.text
