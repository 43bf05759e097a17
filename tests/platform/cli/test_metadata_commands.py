"""The metadata commands, called as a person calls them: output, exit status, JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ratoon.platform.cli import COMMANDS, cli
from ratoon.platform.errors import Conflict

CLINIC = Path(__file__).parents[2] / "worlds" / "clinic"

Run = Callable[..., Result]


def test_every_command_has_its_module_and_help() -> None:
    for name, (module, _) in COMMANDS.items():
        assert (Path(__file__).parents[3] / "platform" / "cli" / f"{module}.py").exists(), name
        assert CliRunner().invoke(cli, [name, "--help"]).exit_code == 0, name


def test_help_answers_without_loading_the_product() -> None:
    code = (
        "import sys; from ratoon.platform.cli import cli\n"
        "try: cli.main(['--help'], prog_name='ratoon')\n"
        "except SystemExit: pass\n"
        "heavy = {'sqlalchemy', 'flask', 'marshmallow', 'lark', 'jsonschema', 'rich', 'granian'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "rollback" in done.stdout


def test_from_an_empty_folder_to_a_changed_package_and_back(run: Run, tmp_path: Path) -> None:
    run("init", "garden", "--object", "plant")
    assert (tmp_path / "garden" / ".schemas" / "field.json").exists()
    assert "no problems" in run("check", "garden").output
    assert "+ object plant" in run("plan", "garden").output
    first = json.loads(run("apply", "garden", "--json").output)
    assert first["plan"]["components"][0]["name"] == "garden"
    document = tmp_path / "garden" / "plant" / "object.json"
    data = json.loads(document.read_text())
    data["fields"].append({"name": "height", "type": "decimal", "label": "Height"})
    document.write_text(json.dumps(data))
    assert "+ fields.height: decimal" in run("plan", "garden").output
    assert "nothing was changed" in run("apply", "garden", "--validate-only").output
    second = json.loads(run("apply", "garden", "-m", "Heights", "--json").output)
    assert second["revision"] == first["revision"] + 1
    revisions = json.loads(run("history", "--json").output)
    assert next(r["message"] for r in revisions) == "Heights"
    assert "Heights" in run("history").output
    run("export", "out", "--package", "garden")
    assert (tmp_path / "out" / "plant" / "object.json").exists()
    refused = run("rollback", str(first["revision"]), ok=False)
    assert isinstance(refused.exception, Conflict)
    assert "- fields.height" in run("rollback", str(first["revision"]), "--plan").output
    run("rollback", str(first["revision"]), "--allow-destructive")
    steps = json.loads(run("explain", "plant", "created", "--json").output)
    assert [s["step"] for s in steps] == list(range(1, 18))
    assert any(part["name"] == "done_needs_notes" for step in steps for part in step["parts"])
    assert "done_needs_notes" in run("explain", "plant", "created").output


def test_check_lists_every_problem_and_ends_with_1(run: Run, tmp_path: Path) -> None:
    run("init", "garden", "--object", "plant")
    document = tmp_path / "garden" / "plant" / "object.json"
    document.write_text(document.read_text().replace('"searchable"', '"serchable"').replace('"due"', '"id"'))
    result = run("check", "garden", ok=False)
    assert result.exit_code == 1
    assert 'did you mean "searchable"?' in result.output
    assert "/fields/2/name" in result.output
    found = json.loads(run("check", "garden", "--json", ok=False).stdout)
    assert not found["ok"]
    assert {"file", "pointer", "code", "message", "hint", "severity"} == set(found["findings"][0])


def test_the_clinic_passes(run: Run) -> None:
    assert "clinic: 24 documents, no problems" in run("check", str(CLINIC)).output


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["check", "nowhere"],
        ["apply"],
        ["apply", "nowhere"],
        ["explain", "pet", "eaten"],
        ["rollback", "one"],
        ["history", "--limit", "0"],
        ["nonsense"],
    ],
)
def test_a_wrong_call_ends_with_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(cli, arguments).exit_code == 2


def test_a_refusal_is_told_on_stderr_and_ends_with_1(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from ratoon.platform.cli import main; main()", "rollback", "7"]
    environ = {"RATOON_DATABASE_URL": f"sqlite:///{tmp_path}/x.db", "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environ)
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no revision 7." in done.stderr
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False, cwd=tmp_path, env=environ)
    assert json.loads(done.stdout) == {"error": {"code": "not_found", "message": "There is no revision 7."}}
