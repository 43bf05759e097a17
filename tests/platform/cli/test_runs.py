"""``ratoon worker --once`` and ``ratoon runs``: what automations did, why, and what they would do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import Result

from ratoon.platform.metadata.documents import canonical, place

DOCUMENTS: list[dict[str, Any]] = [
    {"kind": "package", "name": "p", "version": "1.0.0", "label": "P"},
    {"kind": "object", "name": "thing", "label": "Thing", "title": "name",
     "fields": [{"name": "name", "type": "text", "label": "Name"}, {"name": "size", "type": "integer", "label": "S"},
                {"name": "parts", "type": "integer", "label": "P"}, {"name": "note", "type": "text", "label": "N"}]},
    {"kind": "automation", "object": "thing", "name": "split", "label": "Split", "on": ["created"],
     "when": "after_commit", "condition": "size > 10",
     "actions": [{"type": "set_fields", "values": {"note": "TEXT(size / parts)"}}]},
]  # fmt: skip


def test_a_run_from_the_command_line(run: Callable[..., Result], tmp_path: Path) -> None:
    for document in DOCUMENTS:
        file = tmp_path / "p" / place(str(document["kind"]), document)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(canonical(document))
    run("apply", "p")
    (tmp_path / "things.csv").write_text("name,size,parts\na,20,4\nb,20,0\nc,5,1\n")
    run("import", "thing", "things.csv")
    assert "waiting" in run("runs").output
    run("worker", "--once")
    (found,) = json.loads(run("runs", "--json", "--rule", "thing.split").output)
    assert (found["state"], found["records"]) == ("failed", 2)
    shown = json.loads(run("runs", "show", found["id"], "--json").output)
    bad = next(step["record"] for step in shown["steps"] if step["state"] == "failed")
    assert "split (created): yes" in run("runs", "why", "thing", bad).output
    told = json.loads(run("runs", "try", "thing", "split", bad).output)
    assert told["failures"]
    run("runs", "retry", found["id"])
    assert "The run is cancelled." in run("runs", "cancel", found["id"]).output
    assert run("runs", "cancel", found["id"], ok=False).exit_code != 0
    assert len(run("runs", "webhook-secret").output.strip()) == 64
