"""``ratoon check --database``: a package that needs one that was applied here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

Run = Callable[..., Result]


def test_packages_that_were_applied_are_known_when_asked(run: Run, tmp_path: Path) -> None:
    run("init", "garden", "--object", "plant")
    run("apply", "garden")
    run("init", "shop", "--object", "order")
    manifest = tmp_path / "shop" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "requires": {"garden": ">=0.1,<9"}}))
    document = tmp_path / "shop" / "order" / "object.json"
    data = json.loads(document.read_text())
    data["fields"].append({"name": "plant", "type": "lookup", "label": "Plant", "object": "plant"})
    document.write_text(json.dumps(data))
    assert "missing_package" in run("check", "shop", ok=False).output
    assert run("check", "shop", "--database").exit_code == 0
    assert (
        run("lint", "shop", "--database", "--ignore", "missing_translation", "--ignore", "not_canonical").exit_code == 0
    )


def test_a_check_takes_the_old_name_that_a_plan_takes_and_says_so(run: Run, tmp_path: Path) -> None:
    run("init", "garden", "--object", "plant")
    document = tmp_path / "garden" / "plant" / "object.json"
    data = json.loads(document.read_text())
    next(f for f in data["fields"] if f["name"] == "due").update(name="ripe", renamed_from="due")
    document.write_text(json.dumps(data))
    checked = json.loads(run("check", "garden", "--no-lint", "--json").output)
    assert [(f["file"], f["pointer"], f["code"]) for f in checked["findings"]] == [
        ("plant/views/open.json", "/columns/2", "old_name")
    ]
    planned = run("plan", "garden").output
    assert "Create the table plant for the object Plant. (" in planned
    assert "Create the index" not in planned, "the indexes of a new table are counted, not listed"


def test_what_export_wrote_can_be_checked_and_compared(run: Run) -> None:
    for name in ("garden", "orchard"):
        run("init", name, "--object", f"{name}_plant")
        run("apply", name)
    run("export", "out")
    assert "They are the same" in run("drift", "out", "@").output
    assert "garden, orchard" in run("check", "out", "--no-lint").output
