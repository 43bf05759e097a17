"""What the command line says, in the language of whoever called it; codes, places and names stay what they are."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from click.testing import Result

from ratoon.platform.cli.speaking import language
from ratoon.platform.errors import Finding, listed, say, told

PACKAGE = {
    "manifest.json": {"kind": "package", "name": "clinic", "version": "1.0.0", "label": "Clinic"},
    "pet/object.json": {
        "kind": "object", "name": "pet", "label": "Pet", "plural_label": "Pets", "title": "name",
        "fields": [
            {"name": "name", "type": "text", "label": "Name"},
            {"name": "code", "type": "text", "label": "Code"},
        ],
    },
}  # fmt: skip


def written(folder: Path, **change: object) -> str:
    """The package in a folder; ``change`` is about the field ``code``."""
    files = copy.deepcopy(PACKAGE)
    files["pet/object.json"]["fields"][1].update(change)  # type: ignore[index]
    for path, content in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(content), encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh-Hans"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "C.UTF-8", "RATOON_LANGUAGE": "zh-TW"}, "zh-Hant"),
        ({"LANG": "zh_CN.UTF-8", "RATOON_LANGUAGE": "en"}, "en"),
    ],
)
def test_the_language_is_the_one_asked_for_else_that_of_the_terminal(environ: dict[str, str], expected: str) -> None:
    assert language(environ) == expected


def test_a_text_keeps_what_it_was_made_of_when_it_is_copied_and_put_into_others() -> None:
    german = {"There is no {what}.": "Es gibt kein {what}.", "field {name}": "Feld {name}", "one of {all}": "aus {all}"}
    inner = say("There is no {what}.", what=say("field {name}", name="{all}"))
    finding = Finding("a.json", "", "x", say("{first}", first=inner), say("one of {all}", all=listed([inner, inner])))
    assert finding.message == "There is no field {all}."
    shown = told(asdict(copy.deepcopy(finding)), lambda text: german.get(text, text))
    assert shown["message"] == "Es gibt kein Feld {all}."
    assert shown["hint"] == "aus Es gibt kein Feld {all}.; Es gibt kein Feld {all}."
    assert shown["code"] == "x"


def test_findings_are_told_in_chinese_with_the_same_codes_and_places(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = written(tmp_path / "clinic", type="txt", label="")
    english = json.loads(run("check", package, "--json", ok=False).stdout)["findings"]
    monkeypatch.setenv("RATOON_LANGUAGE", "zh-Hans")
    chinese = json.loads(run("check", package, "--json", ok=False).stdout)["findings"]
    places = [(f["file"], f["pointer"], f["code"]) for f in english]
    assert places == [(f["file"], f["pointer"], f["code"]) for f in chinese]
    assert places
    said = dict(zip((f["message"] for f in english), (f["message"] for f in chinese), strict=True))
    assert said["There is no field type 'txt'."] == "没有字段类型 'txt'。"
    monkeypatch.setenv("RATOON_LANGUAGE", "zh-Hant")
    printed = run("check", package, ok=False)
    assert "沒有欄位型別 'txt'。 [unknown_type]" in printed.stderr
    assert "1 個錯誤" in printed.stderr


def test_a_plan_and_its_refusal_are_told_in_chinese(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("apply", written(tmp_path / "clinic"))
    rows = tmp_path / "pets.csv"
    rows.write_text("name,code\n小白,a\nRex,a\n", encoding="utf-8")
    run("import", "pet", str(rows))
    package = written(tmp_path / "clinic", unique=True)
    monkeypatch.setenv("RATOON_LANGUAGE", "zh-Hans")
    planned = run("plan", package, ok=False).stdout
    assert "pet.code 有 1 个值重复出现，所以不能设为唯一。" in planned
    titles = [line.split("  ") for line in planned.splitlines() if line.startswith("      0")]
    assert [parts[4] for parts in titles] == ["小白", "Rex "[:3]]
    refused = run("apply", package, ok=False)
    assert "data_refuses: 现有记录不允许这项更改：" in refused.stderr
    shown = json.loads(run("plan", package, "--json", ok=False).stdout)["data"][0]
    assert (shown["code"], shown["field"]) == ("not_unique", "code")


def test_no_colour_is_written_when_none_is_wanted(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from ratoon.platform.cli import cli

    package = written(tmp_path / "clinic")
    assert "\x1b[" in CliRunner().invoke(cli, ["plan", package], color=True).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in CliRunner().invoke(cli, ["plan", package], color=True).stdout


def test_lint_has_nothing_to_say_of_a_package_that_init_wrote(run: Callable[..., Result]) -> None:
    run("init", "garden", "--object", "plant")
    assert run("lint", "garden").output == "Nothing to say.\n"
