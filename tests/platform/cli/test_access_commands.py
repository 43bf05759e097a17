"""``ratoon explain access`` and ``ratoon audit``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ratoon.platform.cli import cli
from ratoon.platform.metadata.documents import canonical, place

Run = Callable[..., Result]
FIRM = [
    {"kind": "package", "name": "firm", "version": "1.0.0", "label": "Firm"},
    {"kind": "object", "name": "deal", "label": "Deal", "default_access": "private",
     "fields": [{"name": "name", "type": "text", "label": "Name"}]},
    {"kind": "role", "name": "seller", "label": "Seller", "objects": {"deal": ["create", "read", "edit", "delete"]}},
    {"kind": "sharing", "name": "named", "label": "Named", "object": "deal", "when": "name = \"Big\"",
     "with": [{"role": "seller"}], "access": "read"},
]  # fmt: skip


def add_user(email: str, *more: str) -> None:
    result = CliRunner().invoke(cli, ["user", "add", email, *more], input="a good password\n")
    assert result.exit_code == 0, result.output


def test_explain_access_says_which_rule_opens_a_record_and_audit_keeps_who_did_what(run: Run, tmp_path: Path) -> None:
    for document in FIRM:
        file = tmp_path / "firm" / place(str(document["kind"]), document)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(canonical(document))
    add_user("root@example.com", "--admin")
    run("apply", str(tmp_path / "firm"))
    add_user("sam@example.com", "--role", "seller")
    (tmp_path / "deals.csv").write_text("name\nBig\nSmall\n")
    run("import", "deal", str(tmp_path / "deals.csv"))
    from ratoon.platform.access.actor import SYSTEM
    from ratoon.platform.cli.opening import environment
    from ratoon.platform.records.reading import Query

    with environment() as opened, opened.read(SYSTEM) as records:
        ids = {deal["name"]: deal["id"] for deal in records.list(Query("deal")).records}
    said = run("explain", "access", "sam@example.com", "deal", ids["Big"]).output
    assert "read: yes" in said
    assert "+ The sharing rule named opens it." in said
    assert "edit: no" in said
    told = json.loads(run("explain", "access", "sam@example.com", "deal", ids["Small"], "--json").output)
    assert [(a["action"], a["allowed"]) for a in told][:2] == [("read", False), ("edit", False)]
    assert "administrator" in run("explain", "access", "root@example.com", "deal", ids["Small"]).output
    assert run("explain", "access", "x@example.com", "deal", ids["Small"], ok=False).exit_code == 1
    assert run("explain", "access", "sam@example.com", ok=False).exit_code == 2

    trail = json.loads(run("audit", "list", "--trail", "access", "--json").output)
    assert [(e["action"], e["detail"].get("after")) for e in trail] == [
        ("granted", ["seller"]), ("user_made", None), ("user_made", None)
    ]  # fmt: skip
    told = run("audit", "list", "--object", "user", "--action", "granted").output
    assert "Rights changed: User sam@example.com  (command line)" in told
    assert "Roles: none → Seller" in told
    assert json.loads(run("audit", "list", "--package", "firm", "--by", "platform", "--json").output)[0]["words"] == {
        "what": "Metadata changed", "who": "command line", "kind": "Revision", "subject": "2",
        "details": ["Message: Apply firm 1.0.0", "Packages: Firm 1.0.0",
                    "Added: object “Deal”, package “Firm”, role “Seller”, sharing rule “named”"],
    }  # fmt: skip
    assert run("audit", "list", "--component", "deal/object.json", "--from", "2026-01-01").output.startswith("#")
    assert run("audit", "list", "--until", "2020-01-01").output == "No entry is so.\n"
    refused = run("audit", "list", "--object", "deall", ok=False)
    assert refused.exit_code == 1
    assert "Did you mean deal?" in refused.output
    assert "There is no user with the address x@y.z." in run("audit", "list", "--by", "x@y.z", ok=False).output
    head = json.loads(run("audit", "verify", "--json").output)["head"]
    assert "all as they were written" in run("audit", "verify", "--head", head).output
    assert run("audit", "verify", "--head", "f" * 64, ok=False).exit_code == 1
    assert "0 entries forgotten" in run("audit", "forget", "sign_in", "--days", "30").output


def test_a_person_is_taken_out_and_erased_from_the_command_line(run: Run, tmp_path: Path) -> None:
    add_user("root@example.com", "--admin")
    add_user("mina@example.com")
    from ratoon.platform.access.accounts import Accounts
    from ratoon.platform.cli.opening import environment

    with environment() as opened, opened.database.read() as connection:
        id = Accounts(opened.world).user_id(connection, "mina@example.com")
    run("person", "export", "user", str(id), str(tmp_path / "mina.json"))
    assert json.loads((tmp_path / "mina.json").read_text())["record"]["email"] == "mina@example.com"
    run("person", "export", "user", str(id), str(tmp_path / "mina.zip"))
    told = run("person", "erase", "user", str(id), "--plan").output
    assert "the values of name, email" in told
    assert CliRunner().invoke(cli, ["person", "erase", "user", str(id)], input="n\n").exit_code == 1
    assert "Erased." in run("person", "erase", "user", str(id), "--yes").output
    assert "mina@example.com" not in run("user", "list").output
    assert "all as they were written" in run("audit", "verify").output
    trail = json.loads(run("audit", "list", "--trail", "privacy", "--json").output)
    assert [entry["action"] for entry in trail] == ["erased", "exported", "exported"]
    assert "mina" not in json.dumps(trail)


def test_a_reset_ends_tokens_where_it_is_told_to(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    add_user("sam@example.com")
    run("token", "create", "sam@example.com", "--label", "Sync")
    assert "/sign-in/link/" in run("user", "reset", "sam@example.com").output
    assert "revoked" not in run("token", "list", "sam@example.com").output
    run("user", "reset", "sam@example.com", "--end-tokens")
    assert "revoked" in run("token", "list", "sam@example.com").output
    run("token", "create", "sam@example.com", "--label", "Again")
    new = CliRunner().invoke(cli, ["user", "password", "sam@example.com", "--end-tokens"], input="another good one\n")
    assert new.exit_code == 0, new.output
    assert run("token", "list", "sam@example.com").output.count("revoked") == 2
    monkeypatch.setenv("RATOON_LANGUAGE", "zh-Hans")
    told = run("audit", "list", "--subject", "sam@example.com", "--trail", "sign_in").output
    assert "已终止的 API 令牌：1" in told or "已终止的 API 令牌: 1" in told, told
    assert "密码链接" in told
