"""The catalogs: every text that the product can show is translated, with the same places to fill."""

from __future__ import annotations

import re

import pytest

from ratoon.ui import catalog

PLACES = re.compile(r"\{\w+\}|%\(\w+\)s")


@pytest.mark.parametrize("locale", catalog.LOCALES)
def test_every_text_is_translated(locale: str) -> None:
    found = catalog.read(locale)
    assert found is not None
    known = {m.id if isinstance(m.id, str) else m.id[0] for m in found if m.id}
    wanted = {m if isinstance(m, str) else m[0] for m in catalog.messages()}
    missing = sorted(wanted - known)
    assert not missing, f"run python ui/catalog.py and translate: {missing}"
    assert not catalog.untranslated(found)


@pytest.mark.parametrize("locale", catalog.LOCALES)
def test_translations_fill_the_same_places(locale: str) -> None:
    found = catalog.read(locale)
    assert found is not None
    for message in found:
        source = message.id if isinstance(message.id, str) else "".join(message.id[1:])
        target = message.string if isinstance(message.string, str) else "".join(message.string)
        if source:
            assert set(PLACES.findall(source)) == set(PLACES.findall(target)), source


def test_traditional_chinese_is_not_simplified() -> None:
    found = catalog.read("zh_Hant")
    assert found is not None
    simplified = set("为这个们时来对请没还进见记录处与过从头问间开关书东车门发阶删编键览选项单页图标题类钮设置显")
    simplified -= set("處與過從頭個")
    for message in found:
        text = message.string if isinstance(message.string, str) else "".join(message.string)
        wrong = {c for c in text if c in simplified} - set("來對沒還進見記錄置")
        assert not wrong - set("置"), f"{wrong} in {text}"
