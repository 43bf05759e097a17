"""``ratoon explain access`` and ``ratoon audit``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

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
    assert [(e["action"], e["detail"]["after"]) for e in trail] == [("granted", ["seller"])]
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
