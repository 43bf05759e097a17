"""Drift and promotion: one environment reaches another by its address, served by a real process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from ratoon.platform.errors import BadRequest
from ratoon.platform.packages.remote import Remote, RemoteRefused, Unreachable

Run = Callable[..., Result]


@pytest.fixture
def there(served: Any, databases: Any, backend: str) -> Iterator[tuple[str, str]]:
    """The environment that is promoted to."""
    with served(databases.empty(backend)) as made:
        yield made


def test_a_package_is_promoted_and_local_edits_there_survive(run: Run, tmp_path: Path, there: tuple[str, str]) -> None:
    url, token = there
    run("init", "garden", "--object", "plant")
    run("apply", "garden")
    to = ("--to", url, "--token", token, "--package", "garden")
    shown = run("promote", *to, "--plan").output
    assert "+ object plant" in shown
    assert run("drift", "@", url, "--token", token, ok=False).exit_code == 1
    assert f"The environment at {url} refused" in run("drift", "@", url, "--token", "mistyped", ok=False).output
    assert run("promote", *to, ok=False).exit_code == 1  # nobody says yes
    applied = json.loads(run("promote", *to, "--yes", "--json", "-m", "Spring").output)
    assert applied["plan"]["components"]
    assert "They are the same" in run("drift", "garden", url, "--token", token).output
    assert "Nothing to do" in run("promote", *to, "--yes").output
    remote = Remote(url, token)
    files = {"manifest.json": (tmp_path / "garden" / "manifest.json").read_bytes()}
    document = json.loads((tmp_path / "garden" / "plant" / "object.json").read_text())
    ours = {**files, "plant/object.json": json.dumps({**document, "label": "Flower"}).encode()}
    remote.apply(ours, {}, edit="true", allow_destructive="true")
    (tmp_path / "garden" / "plant" / "object.json").write_text(json.dumps({**document, "label": "Herb"}))
    run("apply", "garden")
    refused = run("promote", *to, "--yes", "--conflicts", "asked.json", ok=False)
    assert isinstance(refused.exception, RemoteRefused)
    asked = json.loads((tmp_path / "asked.json").read_text())
    assert [c["path"] for c in asked["conflicts"]] == ["/label"]
    asked["conflicts"][0]["take"] = "ours"
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    assert "Local edits that stay" in run("promote", *to, "--yes", "--resolve", "asked.json").output
    with pytest.raises(RemoteRefused):
        Remote(url, "rtn_wrong").export()


def test_a_token_goes_only_where_it_is_safe() -> None:
    for url, token in (
        ("ftp://example.com", "t"),
        ("http://example.com", "t"),
        ("https://example.com", ""),
        ("nonsense", "t"),
    ):
        with pytest.raises(BadRequest):
            Remote(url, token)
    with pytest.raises(Unreachable):
        Remote("http://127.0.0.1:1", "t").export()


def test_folders_databases_and_revisions_are_compared(run: Run, tmp_path: Path, database_url: str) -> None:
    run("init", "garden", "--object", "plant")
    first = json.loads(run("apply", "garden", "--json").output)["revision"]
    document = tmp_path / "garden" / "plant" / "object.json"
    data = json.loads(document.read_text())
    document.write_text(json.dumps({**data, "label": "Flower"}))
    assert "label: Plant → Flower" in run("drift", "@", "garden", ok=False).output
    run("apply", "garden", "--edit")
    assert run("drift", "@", "garden").exit_code == 0
    assert run("drift", database_url, "garden").exit_code == 0
    for side in (f"@{first}", "@packages"):
        shown = json.loads(run("drift", side, "@", "--json", ok=False).output)
        assert [c["details"][0]["after"] for c in shown["components"]] == ["Flower"]
    run("export", "all.zip")
    assert run("drift", "all.zip", "garden").exit_code == 0
    for side in ("@nonsense", "nowhere"):
        assert isinstance(run("drift", side, "@", ok=False).exception, BadRequest)
