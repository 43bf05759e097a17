"""Moving packages on the command line: keys, signed and picked exports, uninstalling."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from ratoon.platform.cli.opening import environment
from ratoon.platform.packages import Target
from ratoon.platform.packages.uninstalling import uninstall

Run = Callable[..., Result]


def test_a_signed_export_is_taken_where_its_key_is_trusted(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("init", "garden", "--object", "plant")
    run("apply", "garden")
    public = run("key", "create", "release.pem").output.strip()
    assert json.loads(run("key", "show", "release.pem", "--json").output)["public"] == public
    run("export", "garden.zip", "--package", "garden", "--sign", "release.pem")
    run("export", "plant.zip", "--component", "object/plant")
    run("export", "sealed", "--package", "garden", "--checksums")
    assert (tmp_path / "sealed" / "_checksums.json").exists()
    monkeypatch.setenv("RATOON_REQUIRE_SIGNATURE", "1")
    assert run("plan", "garden.zip", ok=False).exit_code == 1
    monkeypatch.setenv("RATOON_TRUSTED_KEYS", f"other, {public}")
    assert "Nothing to do" in run("plan", "garden.zip").output
    assert run("plan", "plant.zip", ok=False).exit_code == 1
    monkeypatch.delenv("RATOON_REQUIRE_SIGNATURE")
    assert "Nothing to do" in run("plan", "plant.zip").output


@pytest.mark.parametrize("command", ["history", "serve"])
@pytest.mark.parametrize("address", ["mysql://host/name", "garbage"])
def test_an_address_of_no_database_is_refused_in_words(
    run: Run, monkeypatch: pytest.MonkeyPatch, address: str, command: str
) -> None:
    monkeypatch.setenv("RATOON_DATABASE_URL", address)
    refused = run(command, ok=False)
    assert refused.exit_code == 1
    assert "bad_setting: " in refused.output
    assert "use sqlite:///path or postgresql://user@host/name" in refused.output


def test_a_package_is_taken_away(run: Run) -> None:
    run("init", "garden", "--object", "plant")
    run("apply", "garden")
    assert "- object plant" in run("uninstall", "garden", "--plan").output
    refused = run("uninstall", "garden", ok=False)
    assert refused.exit_code == 1
    assert "--allow-destructive does it all the same" in refused.output
    gone = json.loads(run("uninstall", "garden", "--allow-destructive", "--json").output)
    assert {c["action"] for c in gone["plan"]["components"]} == {"removed"}
    assert "Uninstall garden" in run("history").output
    run("rollback", str(gone["revision"] - 1))


def test_settings_are_given_listed_and_changed(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("init", "garden", "--object", "plant")
    manifest = tmp_path / "garden" / "manifest.json"
    asked = [{"name": "key", "type": "text", "label": "Key", "secret": True, "required": True}]
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "settings": asked}))
    refused = run("apply", "garden", ok=False)
    assert refused.exit_code == 1
    assert run("apply", "garden", "--set", "key", ok=False).exit_code == 2
    (tmp_path / "given.json").write_text('{"garden.key": "one"}')
    refused = run("apply", "garden", "--settings", "given.json", ok=False)
    assert "secret_key_missing: garden.key is a secret" in refused.stderr
    monkeypatch.setenv("RATOON_SECRET_KEY", "a long random text")
    run("apply", "garden", "--settings", "given.json")
    assert "(secret)" in run("setting", "list").output
    run("setting", "set", "garden", "key", "two")
    monkeypatch.setenv("RATOON_SECRET_KEY", "another")
    monkeypatch.setenv("RATOON_OLD_SECRET_KEYS", "a long random text")
    assert "1 secret encrypted" in run("setting", "reseal").output
    monkeypatch.delenv("RATOON_OLD_SECRET_KEYS")
    (shown,) = json.loads(run("setting", "list", "garden", "--json").output)
    assert (shown["has_value"], "two" in str(shown)) == (True, False)
    run("setting", "set", "garden", "key", "--clear")
    assert "missing" in run("setting", "list").output


def test_history_and_trail_name_who_did_it_and_drift_makes_no_file(run: Run, tmp_path: Path) -> None:
    run("init", "garden", "--object", "plant")
    run("apply", "garden")
    run("user", "add", "ann@example.org", "--admin", "--no-password")
    with environment() as opened:
        with opened.database.read() as connection:
            ann = opened.accounts.user_id(connection, "ann@example.org")
        uninstall(Target.of(opened), "garden", by=ann, allow_destructive=True)
    newest, before, *_ = json.loads(run("history", "--json").output)
    assert [(one["by"], one["email"]) for one in (newest, before)] == [(ann, "ann@example.org"), ("command line", None)]
    assert "ann@example.org" in run("history").output
    entry, *_ = json.loads(run("audit", "list", "--trail", "setup", "--json").output)
    assert (entry["email"], entry["detail"]["packages"]) == ("ann@example.org", {"garden": None})
    run("purge", "--yes")
    entry, *_ = json.loads(run("audit", "list", "--trail", "setup", "--json").output)
    assert (entry["action"], entry["detail"]["by"], entry["subject"]) == ("purged", "command line", "plant")
    missing = run("drift", "garden", f"sqlite:///{tmp_path}/no.db", ok=False)
    assert (missing.exit_code, "There is no file" in missing.stderr) == (1, True)
    assert not (tmp_path / "no.db").exists()
    (tmp_path / "empty.db").touch()
    assert "There is no Ratoon in" in run("drift", "garden", f"sqlite:///{tmp_path}/empty.db", ok=False).stderr


def test_a_broken_file_of_resolutions_names_its_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "choices.json").write_text("{\n")
    more = ("--to", "http://127.0.0.1:1", "--token", "x", "--resolve", "choices.json")
    refused = run("promote", *more, ok=False)
    assert (refused.exit_code, "choices.json: line 2" in refused.stderr) == (2, True)
