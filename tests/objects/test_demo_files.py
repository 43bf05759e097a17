"""The committed demo data is what its generator writes, and is of the promised size."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

import ratoon.objects

FOLDER = Path(str(ratoon.objects.__file__)).parent / "_demo"
MODULES = ("make_demo", "demo_dealings", "demo_companies", "demo_chance")


def test_the_generator_writes_what_is_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    written = importlib.import_module("make_demo").documents()
    assert sorted(written) == sorted(p.name for p in FOLDER.iterdir())
    for name, text in written.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, f"{name}: run tests/objects/make_demo.py"


def test_the_files_stay_small() -> None:
    assert sum(p.stat().st_size for p in FOLDER.iterdir()) < 2_000_000


def test_no_company_of_the_demo_has_a_real_address() -> None:
    for file in FOLDER.glob("*.json"):
        for record in json.loads(file.read_text(encoding="utf-8"))["records"]:
            for key in ("email", "website"):
                assert record["values"].get(key, "x.example").endswith(".example"), (file.name, record["key"])
