"""The standard package: it checks clean, reads well, and speaks three languages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ratoon.objects
from ratoon.platform.fields import builtin_types
from ratoon.platform.metadata.compile import compile_registry
from ratoon.platform.metadata.documents import canonical, read_package

ROOT = Path(str(ratoon.objects.__file__)).parent
FILES = sorted(p for p in ROOT.rglob("*.json") if "_demo" not in p.parts)
SPOKEN = ("label", "plural_label", "description", "help", "placeholder", "message", "confirm", "related_label")
"""Keywords whose text people read."""
LOCALES = ("zh-Hans", "zh-Hant")
ONLY_SIMPLIFIED = set("户联线单产动标称优级评预发图库执务实时间长门问题决进对开关结员规认谁阶渠价销续约报过应")
ONLY_TRADITIONAL = set("戶聯線單產動標稱優級評預發圖庫執務實時間長門問題決進對開關結員規認誰階價銷續約報過應")


def texts(data: Any) -> Iterator[str]:
    """Every text of a document that people read."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key in SPOKEN and isinstance(value, str):
                yield value
            elif key == "checklist":
                yield from value
            else:
                yield from texts(value)
    elif isinstance(data, list):
        for item in data:
            yield from texts(item)


def spoken() -> dict[str, Path]:
    """Every text of the package → a file that has it."""
    documents = [p for p in FILES if p.parent.name != "strings"]
    return {text: p for p in documents for text in texts(json.loads(p.read_text(encoding="utf-8")))}


def strings(locale: str) -> dict[str, str]:
    """The translations into one locale."""
    file = ROOT / "strings" / f"{locale}.json"
    return dict(json.loads(file.read_text(encoding="utf-8"))["texts"])


def test_the_package_checks_clean() -> None:
    registry = compile_registry(read_package(ROOT), types=builtin_types())
    assert registry.access.parents == {
        "sales_rep": "sales_manager", "sales_manager": "management",
        "support_agent": "support_lead", "support_lead": "management",
    }  # fmt: skip
    assert set(registry.roles) - set(registry.access.parents) == {"management", "read_only"}
    for name in ("account", "contact", "lead", "opportunity", "product", "activity", "case", "campaign"):
        assert registry[name].layouts, name
        assert {view.kind for view in registry[name].views} >= {"list"}, name
        assert sum(view.default for view in registry[name].views) == 1, name


@pytest.mark.parametrize("file", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_document_is_canonical_and_points_at_its_schema(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    data = json.loads(text)
    assert text == canonical(data)
    schema = (file.parent / data["$schema"]).resolve()
    assert schema.name == ("manifest.json" if data["kind"] == "package" else f"{data['kind']}.json")
    assert schema.is_file()


@pytest.mark.parametrize("locale", LOCALES)
def test_every_text_is_translated_and_no_translation_is_left_over(locale: str) -> None:
    known = strings(locale)
    assert {text: file.name for text, file in spoken().items() if not known.get(text, "").strip()} == {}
    assert sorted(set(known) - set(spoken())) == []


def test_simplified_and_traditional_do_not_mix() -> None:
    only_hant = ONLY_TRADITIONAL - ONLY_SIMPLIFIED
    only_hans = ONLY_SIMPLIFIED - ONLY_TRADITIONAL
    assert {k: v for k, v in strings("zh-Hans").items() if set(v) & only_hant} == {}
    assert {k: v for k, v in strings("zh-Hant").items() if set(v) & only_hans} == {}


def test_every_object_says_what_it_is_for() -> None:
    for file in ROOT.glob("*/object.json"):
        data = json.loads(file.read_text(encoding="utf-8"))
        assert data["description"], file
        assert data["icon"], file
        assert data["color"], file


def test_what_identifies_a_person_is_marked() -> None:
    registry = compile_registry(read_package(ROOT), types=builtin_types())
    for object_name in ("contact", "lead"):
        for field in registry[object_name].fields.values():
            if field.type.name in ("email", "phone"):
                assert field.sensitivity == "personal", f"{object_name}.{field.name}"
    assert registry["contact"].fields["birthday"].sensitivity == "sensitive"
    assert registry["product"].fields["cost"].sensitivity == "sensitive"
