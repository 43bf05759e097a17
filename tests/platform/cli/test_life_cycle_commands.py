"""Plan files, purging and asking rules, called as a person calls them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from ratoon.platform.packages import DataRefuses, Drifted

Run = Callable[..., Result]


@pytest.fixture
def garden(run: Run, tmp_path: Path) -> Path:
    run("init", "garden", "--object", "plant")
    run("apply", "garden")
    (tmp_path / "plants.csv").write_text("name,height\nFern,12\nRose,40\n")
    return tmp_path / "garden" / "plant" / "object.json"


def change(document: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    data = json.loads(document.read_text())
    edit(data)
    document.write_text(json.dumps(data))


def test_apply_does_what_the_plan_file_says_and_nothing_else(run: Run, garden: Path, tmp_path: Path) -> None:
    height = {"name": "height", "type": "integer", "label": "Height"}
    change(garden, lambda data: data["fields"].append(height))
    run("plan", "garden", "--out", "agreed.json")
    assert json.loads((tmp_path / "agreed.json").read_text())["plan"]["schema"]
    change(garden, lambda data: data.update(description="Something that nobody agreed to."))
    refused = run("apply", "garden", "--plan", "agreed.json", ok=False)
    assert isinstance(refused.exception, Drifted)
    change(garden, lambda data: data.pop("description"))
    run("apply", "garden", "--plan", "agreed.json")
    assert isinstance(run("apply", "garden", "--plan", "agreed.json", ok=False).exception, Drifted)
    (tmp_path / "other.json").write_text("{}")
    assert run("apply", "garden", "--plan", "other.json", ok=False).exit_code == 2


def test_rules_required_fields_and_purging_on_the_command_line(run: Run, garden: Path, tmp_path: Path) -> None:
    height = {"name": "height", "type": "integer", "label": "Height"}
    change(garden, lambda data: data["fields"].append(height))
    run("apply", "garden")
    run("import", "plant", "plants.csv")
    asked = run("rules", "plant", "--formula", "height > 20", ok=False)
    assert asked.exit_code == 1
    assert "Rose" in asked.output
    run("rules", "plant")
    change(garden, lambda data: data["fields"].append({"name": "bed", "type": "text", "label": "B", "required": True}))
    planned = run("plan", "garden", ok=False)
    assert planned.exit_code == 1
    assert "refused: 2 records of plant have no bed yet." in planned.output
    assert isinstance(run("apply", "garden", ok=False).exception, DataRefuses)
    run("apply", "garden", "--allow-violations")
    change(garden, lambda data: data.update(fields=[f for f in data["fields"] if f["name"] != "height"]))
    run("apply", "garden", "--allow-destructive", "--allow-violations")
    listed = json.loads(run("purge", "--plan", "--json").stdout)
    assert [(loss["name"], loss["values"]) for loss in listed["losses"]] == [("plant.height", 2)]
    assert run("purge", ok=False).exit_code == 1
    assert "Purged." in run("purge", "--yes").output
    assert "Nothing is kept" in run("purge").output
