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
