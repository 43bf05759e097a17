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
from ratoon.platform.errors import Conflict, NotFound
from ratoon.platform.packages.applying import Destructive

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
    assert "clinic: 26 documents, no problems" in run("check", str(CLINIC)).output


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


def test_the_object_in_the_readme_fits_the_package_that_init_writes(run: Run, tmp_path: Path) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    block = readme.split("## Write an object", 1)[1].split("```json\n", 1)[1].split("```", 1)[0]
    run("init", "clinic", "--object", "pet")
    document = tmp_path / "clinic" / "pet" / "object.json"
    written, shown = json.loads(document.read_text()), json.loads(block)
    document.write_text(block)
    assert "no problems" in run("check", "clinic").output
    assert all(item in shown[group] for group in ("fields", "rules") for item in written[group])
    assert {"name", "species"} <= {field["name"] for field in shown["fields"]}


def test_a_lookup_to_a_package_that_is_not_required_says_what_to_require(run: Run, tmp_path: Path) -> None:
    run("init", "garden", "--object", "plant")
    document = tmp_path / "garden" / "plant" / "object.json"
    data = json.loads(document.read_text())
    data["fields"].append({"name": "buyer", "type": "lookup", "label": "Buyer", "object": "account"})
    data["fields"].append({"name": "sum", "type": "rollup", "label": "S", "of": "contact", "via": "account",
                           "operation": "count"})  # fmt: skip
    document.write_text(json.dumps(data))
    output = run("check", "garden", ok=False).output
    assert 'account belongs to the package standard: add "requires": {"standard": ">=1.' in output
    assert "contact belongs to the package standard" in output
    manifest = tmp_path / "garden" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "requires": {"standard": ">=1.0"}}))
    data["fields"].pop()
    document.write_text(json.dumps(data))
    assert "no problems" in run("check", "garden").output


def test_a_plan_notes_that_a_package_is_used_and_not_required(run: Run, tmp_path: Path) -> None:
    run("init", "garden", "--object", "plant")
    run("apply", "garden")
    run("init", "shop", "--object", "offer")
    document = tmp_path / "shop" / "offer" / "object.json"
    data = json.loads(document.read_text())
    data["fields"].append({"name": "plant", "type": "lookup", "label": "Plant", "object": "plant"})
    document.write_text(json.dumps(data))
    result = run("plan", "shop")
    assert "warning /fields/4/object 'plant' belongs to the package 'garden'" in result.stderr
    assert 'add "requires": {"garden": ">=0.1.0"} to manifest.json' in result.stderr


def test_check_names_the_packages_below_a_folder_that_is_none(run: Run, tmp_path: Path) -> None:
    run("init", "all/garden")
    run("init", "all/shop")
    (tmp_path / "all" / "notes").mkdir()
    (tmp_path / "all" / "notes" / "todo.json").write_text("{}")
    found = json.loads(run("check", "all", "--json", ok=False).stdout)["findings"]
    assert [f["message"] for f in found] == ["This folder is no package; it contains garden, shop."]


def test_a_misplaced_document_is_named_with_the_right_article(run: Run, tmp_path: Path) -> None:
    run("init", "garden", "--object", "plant")
    (tmp_path / "garden" / "plant").rename(tmp_path / "garden" / "plants")
    assert "An object document of this name belongs into plant/object.json." in run("check", "garden", ok=False).output


def test_a_rollback_names_everything_that_goes_and_where_it_starts(run: Run) -> None:
    run("init", "garden", "--object", "plant")
    first = json.loads(run("apply", "garden", "--json").output)["revision"]
    run("init", "shop", "--object", "offer")
    assert f"From revision {first}: 4 to add" in run("apply", "shop").output
    refused = run("rollback", str(first), ok=False).exception
    assert isinstance(refused, Destructive)
    assert len(refused.losses) == 4
    assert (
        f"From revision {first + 1}: 0 to add, 0 to change, 4 to remove" in run("rollback", str(first), "--plan").output
    )
    for words in (["rollback", "0"], ["rollback", "0", "--plan"], ["rollback", "-7"]):
        assert run(*words, ok=False).exit_code != 0
    assert isinstance(run("rollback", "0", "--allow-destructive", ok=False).exception, NotFound)


def test_explain_names_the_nearest_object(run: Run) -> None:
    run("init", "garden", "--object", "plant")
    run("apply", "garden")
    refused = run("explain", "plnat", "updated", ok=False).exception
    assert isinstance(refused, NotFound)
    assert refused.text() == "There is no object plnat. Did you mean plant?"


def test_formula_refuses_a_type_that_is_none() -> None:
    def call(fields: str) -> Result:
        return CliRunner().invoke(cli, ["formula", "a", "--fields", fields, "--record", '{"a": "1"}'])

    refused = call('{"a": "curency"}')
    assert refused.exit_code == 2
    assert 'a has the unknown type curency. → did you mean "currency"?' in refused.output
    assert call('{"a": "bogus"}').exit_code == call('{"a": {"type": 1}}').exit_code == 2
    for known in ("currency", "text", "email", "Number", "MultiPicklist"):
        assert call(f'{{"a": "{known}"}}').exit_code == 0, known
