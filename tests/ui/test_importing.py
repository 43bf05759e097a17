"""Importing a spreadsheet on the screens: columns by their labels, cells as people write them, all of it or nothing."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.records.reading import Query

ADDRESS = "/o/contact/import"


@pytest.fixture(scope="module")
def account(site: Any) -> str:
    return str(site.create("account", name="Spread & Sheet"))


def send(visitor: Any, text: str | bytes, address: str = ADDRESS, **more: str) -> Any:
    """Sends a file as the form does."""
    visitor.get(address)
    content = text if isinstance(text, bytes) else text.encode()
    return visitor.post(address, {"file": (io.BytesIO(content), "people.csv"), "do": "import", **more})


def contacts(site: Any, last_name: str) -> list[dict[str, Any]]:
    """Those of that name."""
    with site.environment.read(SYSTEM) as records:
        return list(records.list(Query("contact", filter=f'last_name = "{last_name}"', sort=["first_name"])).records)


def test_a_file_with_labels_names_and_words_goes_in(site: Any, ada: Any, account: str) -> None:
    head = ada.get(f"{ADDRESS}?template=1").text.lstrip("\ufeff").strip().split(",")
    assert {"Last name", "First name", "Account"} <= set(head)
    sheet = "Last name,First name,Account,Email,Language\nSheet,Ann,spread & sheet,ann@example.com,English\n"
    assert "1 line can be imported; nothing was saved yet." in send(ada, sheet, do="check").text
    assert contacts(site, "Sheet") == []
    assert send(ada, sheet).headers["Location"] == "/o/contact"
    (ann,) = contacts(site, "Sheet")
    assert (ann["account"], ann["language"], ann["email"]) == (account, "en", "ann@example.com")


def test_one_wrong_line_keeps_the_whole_file_out_and_every_problem_is_told(site: Any, ada: Any, account: str) -> None:
    sheet = f"last_name,account,email\nHalf,{account},half@example.com\nHalf,Nowhere Ltd,x(at)y\n,{account},no\n"
    answer = send(ada, sheet)
    assert answer.status_code == 422
    rows = re.findall(r"<tr><td>(\d+)</td><td>([^<]*)</td><td", answer.text)
    assert rows == [("3", "Account"), ("3", "Email"), ("4", "Email"), ("4", "Last name")], "each problem once"
    for told in ("Nothing was imported", "No record is called “Nowhere Ltd”."):
        assert told in answer.text
    assert contacts(site, "Half") == []


def test_known_records_are_changed_by_their_external_reference(site: Any, ada: Any, account: str) -> None:
    sheet = "Last name,Email,Account,External reference\nKey,{0}@example.com,Spread & Sheet,K-1\n"
    for name in ("first", "second"):
        assert send(ada, sheet.format(name), key="external_ref").status_code == 303
    (found,) = contacts(site, "Key")
    assert found["email"] == "second@example.com"


def test_chinese_spreadsheets_and_foreign_columns(site: Any, ada: Any, account: str) -> None:
    ada.speak("zh-Hans")
    sheet = "姓,名,客户,邮箱\n表,格,Spread & Sheet,biao@example.com\n".encode("gb18030")
    assert send(ada, sheet).status_code == 303, "as a Chinese spreadsheet saves it"
    ada.speak("en")
    assert len(contacts(site, "表")) == 1
    assert "These columns are no fields: Shoe size." in send(ada, "Last name,Shoe size\nX,44\n").text
    assert "Choose a file first." in ada.post(ADDRESS, {"do": "import"}).text
    assert "UTF-8 or GB18030" in send(ada, b"\xff\xff\xff").text


def test_who_may_not_make_records_may_not_import_them(site: Any) -> None:
    nobody = site.visitor()
    nobody.sign_in("nobody@example.com")
    assert nobody.get(ADDRESS).status_code in (403, 404)
    assert nobody.post(ADDRESS, {"do": "import"}).status_code in (403, 404)
