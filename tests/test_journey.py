"""A package's life: built in dev on SQLite, promoted to production on PostgreSQL, edited on both sides, merged,
upgraded, rolled back.

Every step is a command or a call that an operator makes; production is a server in a process of its own.
"""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ratoon.platform.cli import cli

CLINIC = Path(__file__).parent / "worlds" / "clinic"


class Dev:
    """A developer's folder with the package, and an environment to try it in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = folder / "clinic"
        shutil.copytree(CLINIC, self.package)

    def run(self, *arguments: str, ok: bool = True) -> Result:
        result = CliRunner().invoke(cli, list(arguments))
        assert (result.exit_code == 0) is ok, f"{result.output}\n{result.exception!r}"
        return result

    def edit(self, file: str, change: Callable[[dict[str, Any]], None]) -> None:
        path = self.package / file
        data = json.loads(path.read_text(encoding="utf-8"))
        change(data)
        path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")


class Production:
    """The server, as an administrator's program sees it."""

    def __init__(self, address: str, token: str) -> None:
        self.address = address
        self.token = token

    @property
    def to(self) -> tuple[str, ...]:
        return "--to", self.address, "--token", self.token, "--package", "clinic"

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}/api/v1{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def document(self, file: str) -> dict[str, Any]:
        return dict(self.call("GET", "/metadata/export?package=clinic")["files"][file])

    def edit(self, file: str, change: Callable[[dict[str, Any]], None]) -> None:
        files = self.call("GET", "/metadata/export?package=clinic")["files"]
        change(files[file])
        self.call("POST", "/metadata/apply?edit=true&message=Local", {"files": files})


def field(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(f for f in document["fields"] if f["name"] == name)
    return found


def add(name: str, kind: str) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["fields"].append({"name": name, "type": kind, "label": name})


def test_from_dev_to_production_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, databases: Any, served: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RATOON_DATABASE_URL", f"sqlite:///{tmp_path / 'dev.db'}")
    dev = Dev(tmp_path)
    with served(databases.empty("postgresql")) as (address, token):
        production = Production(address, token)
        built_and_promoted(dev, production)
        edited_on_both_sides(dev, production)
        merged_and_upgraded(dev, production)
        rolled_back(dev, production)


def built_and_promoted(dev: Dev, production: Production) -> None:
    dev.run("check", "clinic")
    assert "0 failed" in dev.run("test", "clinic").output
    assert "passed" in dev.run("apply", "clinic", "--validate-only").output
    dev.run("apply", "clinic")
    assert "+ object pet" in dev.run("promote", *production.to, "--plan").output
    dev.run("promote", *production.to, "--yes", "-m", "First")
    dev.run("drift", "@", production.address, "--token", production.token, ok=True)
    owner = production.call("POST", "/records/pet_owner", {"name": "Ann", "email": "ann@example.org"})
    pet = {"name": "Rex", "pet_owner": owner["id"], "species": "cat", "weight": "4.50"}
    production.call("POST", "/records/pet", pet)


def edited_on_both_sides(dev: Dev, production: Production) -> None:
    def here(document: dict[str, Any]) -> None:
        add("colour", "text")(document)
        field(document, "weight")["label"] = "Weight of the animal"
        document["icon"] = "heart"

    def there(document: dict[str, Any]) -> None:
        add("tattoo", "text")(document)
        field(document, "weight")["max"] = 500
        document["icon"] = "star"

    production.edit("pet/object.json", here)
    (rex,) = production.call("GET", "/records/pet?limit=5")["records"]
    production.call("PATCH", f"/records/pet/{rex['id']}", {"colour": "black"})
    edits = production.call("GET", "/metadata/edits")
    assert [c["file"] for c in edits["components"]] == ["pet/object.json"]
    dev.edit("pet/object.json", there)
    dev.edit("manifest.json", lambda manifest: manifest.update(version="1.1.0"))
    dev.run("apply", "clinic")


def merged_and_upgraded(dev: Dev, production: Production) -> None:
    refused = dev.run("promote", *production.to, "--yes", "--conflicts", "asked.json", ok=False)
    assert "/icon" in refused.output + refused.stderr
    asked = json.loads((dev.folder / "asked.json").read_text())
    assert [(c["path"], c["base"], c["ours"], c["theirs"]) for c in asked["conflicts"]] == [
        ("/icon", "paw", "heart", "star")
    ]
    asked["conflicts"][0]["take"] = "ours"
    (dev.folder / "asked.json").write_text(json.dumps(asked))
    shown = dev.run("promote", *production.to, "--yes", "--resolve", "asked.json", "-m", "Upgrade").output
    assert "Local edits that stay" in shown
    pet = production.document("pet/object.json")
    assert pet["icon"] == "heart"
    assert (field(pet, "weight")["label"], field(pet, "weight")["max"]) == ("Weight of the animal", 500)
    assert {"colour", "tattoo"} <= {f["name"] for f in pet["fields"]}
    assert production.document("manifest.json")["version"] == "1.1.0"
    assert "Nothing to do" in dev.run("promote", *production.to, "--yes", "--ours").output
    (rex,) = production.call("GET", "/records/pet?limit=5")["records"]
    production.call("PATCH", f"/records/pet/{rex['id']}", {"tattoo": "A1"})


def rolled_back(dev: Dev, production: Production) -> None:
    revisions = production.call("GET", "/metadata/history")["revisions"]
    assert [r["message"] for r in revisions[:3]] == ["Upgrade", "Local", "First"]
    before = revisions[1]["revision"]
    production.call("POST", "/metadata/rollback", {"revision": before, "allow_destructive": True})
    assert "tattoo" not in {f["name"] for f in production.document("pet/object.json")["fields"]}
    (rex,) = production.call("GET", "/records/pet?limit=5")["records"]
    assert (rex["colour"], rex["weight"]) == ("black", "4.50")
    dev.run("promote", *production.to, "--yes", "--theirs")
    (rex,) = production.call("GET", "/records/pet?limit=5")["records"]
    assert (rex["colour"], rex["tattoo"]) == ("black", "A1")
    assert production.document("pet/object.json")["icon"] == "star"
