"""Tests that packages carry: they pass when all is as they say, tell the difference when not, and leave nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.fields import builtin_types
from ratoon.platform.metadata.documents import Document, read_package
from ratoon.platform.packages import Language, check_packages
from ratoon.platform.packages.declared_tests import Outcome, run_tests
from ratoon.platform.records.reading import Query

LANGUAGE = Language(builtin_types())
GIVEN = [
    {"record": "ann", "object": "pet_owner", "values": {"name": "Ann", "email": "ann@test.example"}},
    {"record": "tom", "object": "pet", "values": {"name": "Tom", "species": "cat", "pet_owner": "@ann"}},
]


def run(clinic: Any, *steps: dict[str, Any], given: Any = GIVEN, **more: Any) -> Outcome:
    data = {"kind": "test", "name": "t", "given": given, "steps": list(steps), **more}
    with clinic.environment.database.write() as connection:
        engine = clinic.environment.engine_at(connection, writing=True)
        (outcome,) = run_tests(engine, connection, [Document("tests/t.json", "test", data, "clinic")])
    with clinic.environment.read(SYSTEM) as records:
        assert not records.list(Query("pet")).records
    return outcome


def told(outcome: Outcome) -> list[str]:
    return [str(failure) for failure in outcome.failures]


def test_the_clinics_own_tests_pass_and_leave_nothing_behind(clinic: Any) -> None:
    documents = read_package(Path(__file__).parents[2] / "worlds" / "clinic")
    with clinic.environment.database.write() as connection:
        engine = clinic.environment.engine_at(connection, writing=True)
        outcomes = run_tests(engine, connection, documents)
    assert [(o.name, told(o)) for o in outcomes] == [("discharge", []), ("rights", [])]
    with clinic.environment.read(SYSTEM) as records:
        assert not records.list(Query("pet_owner")).records


DIFFERENCES: list[tuple[dict[str, Any], str]] = [
        ({"update": {"record": "tom", "values": {"weight": "3"}}, "then": {"values": {"tom": {"weight": "4"}}}},
         "step 1: tom.weight: expected 4, got 3.00"),
        ({"update": {"record": "tom", "values": {"weight": "-3"}}},
         "step 1: errors: expected none, got too_small weight"),
        ({"update": {"record": "tom", "values": {"weight": "3"}}, "then": {"errors": [{"code": "required"}]}},
         "step 1: errors: expected required, got none: it was done"),
        ({"update": {"record": "tom", "values": {"weight": "-3", "born_on": "2999-01-01"}},
          "then": {"errors": [{"code": "too_small"}]}}, "only too_small"),
        ({"delete": {"record": "tom"}, "then": {"values": {"tom": {}}}}, "step 1: tom: expected a record"),
        ({"update": {"record": "tom", "values": {}}, "then": {"values": {"tom": None}}}, "expected to be gone"),
        ({"update": {"record": "tom", "values": {}}, "then": {"found": [{"object": "pet", "count": 2}]}},
         "step 1: found pet: expected 2, got 1"),
        ({"update": {"record": "tom", "values": {}},
          "then": {"found": [{"object": "pet", "filter": "id = \"@tom\"", "values": {"name": "Tim"}}]}},
         "pet 1.name: expected Tim, got Tom"),
        ({"update": {"record": "tom", "values": {"weight": 3}}, "then": {"trace": ["no such rule"]}},
         "step 1: trace: expected no such rule"),
        ({"as": {"roles": ["vet"]}, "delete": {"record": "tom"}}, "forbidden"),
        ({"update": {"record": "tom", "values": {}}, "then": {"values": {"tom": {"born_on": "soon"}}}},
         "tom.born_on: expected soon"),
    ]  # fmt: skip


def test_what_came_out_differently_is_told(clinic: Any, subtests: Any) -> None:
    for step, difference in DIFFERENCES:
        with subtests.test(difference=difference):
            assert difference in " | ".join(told(run(clinic, step)))


def test_what_is_given_must_be_possible(clinic: Any) -> None:
    given = [{"record": "tom", "object": "pet", "values": {"name": "Tom"}}]
    outcome = run(clinic, {"delete": {"record": "tom"}}, given=given)
    assert told(outcome)[0].startswith("given: tom: expected to be made, got required")


def test_a_refused_step_is_taken_back_and_the_next_one_goes_on(clinic: Any) -> None:
    refused = {"update": {"record": "tom", "values": {"weight": "-1", "name": "X"}}}
    wanted = {"errors": [{"code": "too_small", "field": "weight"}], "values": {"tom": {"name": "Tom"}}}
    fine = {"update": {"record": "tom", "values": {"name": "Tim"}}, "then": {"values": {"tom": {"name": "Tim"}}}}
    assert run(clinic, {**refused, "then": wanted}, fine).passed


def test_the_time_stands_still_and_warnings_can_be_acknowledged(clinic: Any) -> None:
    late = {"update": {"record": "tom", "values": {"born_on": "2031-01-01"}}}
    assert run(clinic, late, now="2032-01-01T00:00:00Z").passed
    assert not run(clinic, late, now="2030-01-01T00:00:00Z").passed
    heavy = {"update": {"record": "tom", "values": {"weight": "16"}}}
    assert not run(clinic, heavy).passed
    assert run(clinic, {**heavy, "acknowledge": True}).passed


def test_a_deleted_record_comes_back_and_a_user_acts(clinic: Any) -> None:
    given = [*GIVEN, {"record": "eve", "object": "user", "values": {"name": "Eve", "email": "eve@test.example"}}]
    remind = {"create": {"record": "r", "object": "reminder", "values": {"subject": "Call", "due_on": "2026-12-01"}}}
    eve = {"as": {"user": "@eve", "roles": ["receptionist"]}}
    steps = [
        {"delete": {"record": "tom"}, "then": {"values": {"tom": None}}},
        {"restore": {"record": "tom"}, "then": {"values": {"tom": {"name": "Tom"}}}},
        {**eve, **remind, "then": {"values": {"r": {"owner": "@eve"}}}},
    ]
    outcome = run(clinic, *steps, given=given)
    assert outcome.passed, told(outcome)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"given": [{"record": "a", "object": "pett", "values": {}}]}, "unknown_object"),
        ({"given": [{"record": "a", "object": "pet", "values": {"nam": "x"}}]}, "unknown_field"),
        ({"given": [{"record": "a", "object": "pet", "values": {"pet_owner": "@nobody"}}]}, "unknown_record"),
        ({"steps": [{"delete": {"record": "nobody"}}]}, "unknown_record"),
        ({"steps": [{"as": {"roles": ["vett"]}, "delete": {"record": "tom"}}]}, "unknown_role"),
        ({"steps": [{"delete": {"record": "tom"}, "then": {"found": [{"object": "pt"}]}}]}, "unknown_object"),
        ({"steps": [{"delete": {"record": "tom"}, "create": {"object": "pet", "values": {}}}]}, ""),
        ({"name": "Not A Name"}, ""),
        ({"steps": []}, ""),
    ],
)
def test_a_test_that_cannot_be_meant_is_refused_by_the_check(package: Any, change: dict[str, Any], code: str) -> None:
    package.files["tests/t.json"] = {
        "kind": "test", "name": "t", "given": GIVEN, "steps": [{"delete": {"record": "tom"}}], **change
    }  # fmt: skip
    checked = check_packages([package.source], LANGUAGE)
    found = [finding for finding in checked.findings if finding.file == "tests/t.json"]
    assert found
    assert not code or code in {finding.code for finding in found}


def test_the_command_tells_what_failed_and_ends_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    from click.testing import CliRunner

    from ratoon.platform.cli import cli

    def call(*arguments: str) -> Any:
        return CliRunner().invoke(cli, list(arguments))

    monkeypatch.chdir(tmp_path)
    call("init", "garden", "--object", "plant")
    assert "There are no tests" in call("test", "garden").output
    test = {
        "kind": "test", "name": "grows", "label": "A plant grows",
        "steps": [{"create": {"record": "p", "object": "plant", "values": {"name": "Fern"}},
                   "then": {"values": {"p": {"name": "Oak"}}}}],
    }  # fmt: skip
    (tmp_path / "garden" / "tests").mkdir()
    (tmp_path / "garden" / "tests" / "grows.json").write_text(json.dumps(test))
    failed = call("test", "garden")
    assert failed.exit_code == 1
    assert "FAILED garden: A plant grows" in failed.output
    assert "- Oak" in failed.output
    assert "+ Fern" in failed.output
    assert call("test", "garden", "--name", "shrinks").exit_code == 2
    assert not json.loads(call("test", "garden", "--json", "--name", "grows").output)["passed"]
