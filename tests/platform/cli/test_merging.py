"""Local edits and a new version, on the command line: what is shown, and the file of conflicts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import Result

Run = Callable[..., Result]


def edit(package: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = package / "plant" / "object.json"
    data = json.loads(document.read_text())
    change(data)
    document.write_text(json.dumps(data))


def test_an_upgrade_asks_about_what_both_changed_and_takes_the_file_of_answers(run: Run, tmp_path: Path) -> None:
    run("init", "garden", "--object", "plant")
    run("apply", "garden")
    edit(tmp_path / "garden", lambda d: d.update(label="Flower", icon="flower"))
    run("apply", "garden", "--edit")
    edit(tmp_path / "garden", lambda d: d.update(label="Herb", icon="flower", color="green"))
    refused = run("plan", "garden", "--conflicts", "asked.json", "--json", ok=False)
    assert refused.exit_code == 1
    asked = json.loads((tmp_path / "asked.json").read_text())
    (found,) = asked["conflicts"]
    assert (found["path"], found["theirs"], found["ours"], found["take"]) == ("/label", "Herb", "Flower", None)
    found["take"] = "ours"
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    shown = run("plan", "garden", "--resolve", "asked.json").output
    assert "Local edits that stay" in shown
    assert "settled: garden/plant/object.json /label" in shown
    run("apply", "garden", "--resolve", "asked.json")
    run("export", "out", "--package", "garden")
    stands = json.loads((tmp_path / "out" / "plant" / "object.json").read_text())
    assert (stands["label"], stands["icon"], stands["color"]) == ("Flower", "flower", "green")
    run("apply", "garden", "--edit", "--discard-edits", ok=False)
    run("apply", "garden", "--discard-edits")
