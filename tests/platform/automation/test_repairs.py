"""What goes wrong is contained, is told, and goes on after the repair: metadata that changes under runs that wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.environment import Environment
from ratoon.platform.errors import MetadataRefused
from ratoon.platform.jobs import drain
from ratoon.platform.metadata.documents import Document
from ratoon.platform.packages import Manner, Target
from ratoon.platform.packages.applying import apply_plan
from ratoon.platform.packages.planning import plan_documents, present_documents
from ratoon.platform.records.reading import Query
from ratoon.platform.storage import runs
from ratoon.platform.storage.runs import Run, Wanted

Agency = Callable[..., Environment]
BASE = {"kind": "automation", "object": "contract", "label": "Rule", "on": ["created"], "when": "after_commit"}
WAIT = {"type": "wait", "for": {"days": 3}}


def task(subject: str) -> dict[str, Any]:
    return {"type": "create_record", "object": "task", "values": {"subject": subject}}


SLOW = {**BASE, "name": "slow", "actions": [WAIT, task('"first " & note')]}


def create(env: Environment, **values: Any) -> str:
    return str(env.transact(SYSTEM, lambda records: records.create("contract", [{"name": "c", **values}]))[0]["id"])


def subjects(env: Environment) -> list[str]:
    drain(env)
    with env.read(SYSTEM) as records:
        return sorted(r["subject"] for r in records.list(Query("task")).records)


def edit(env: Environment, *changes: tuple[str, str, Callable[[dict[str, Any]], dict[str, Any] | None]]) -> None:
    """Applies the package with changed documents: (kind, name, document → its new text, ``None`` = removed)."""

    def changed(document: Document) -> Document | None:
        for kind, name, change in changes:
            if (document.kind, document.data.get("name")) == (kind, name):
                data = change(dict(document.data))
                return None if data is None else replace(document, data=data)
        return document

    def make(connection: Any) -> Any:
        whole = [c for d in present_documents(connection) if d.package == "agency" and (c := changed(d)) is not None]
        return plan_documents(Target.of(env), connection, whole, Manner(edit=True))

    apply_plan(Target.of(env), make, by=None, message="edit", allow_destructive=True)


def actions(*made: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda data: {**data, "actions": list(made)}


def without_note(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "fields": [f for f in data["fields"] if f["name"] != "note"]}


def the_run(env: Environment) -> Run:
    with env.database.read() as connection:
        return runs.find(connection, Wanted(rule="contract.slow"))[0]


def repeat(env: Environment) -> None:
    with env.database.write() as connection:
        assert runs.retry(connection, the_run(env).id, env.world.clock())


def test_a_run_that_waits_goes_on_with_the_actions_it_began_with(agency: Agency, time: Any) -> None:
    env = agency(SLOW)
    create(env, note="old")
    assert subjects(env) == []
    began = the_run(env).revision
    edit(env, ("automation", "slow", actions(task('"second"'), task('"third"'))))
    time.pass_(days=3)
    assert subjects(env) == ["first old"]
    assert (the_run(env).revision, the_run(env).state) == (began, "done")
    create(env, note="new")
    assert subjects(env) == ["first old", "second", "third"]


def test_what_does_not_fit_any_more_is_told_and_goes_on_when_it_is_repeated(agency: Agency, time: Any) -> None:
    env = agency(SLOW)
    create(env, note="old")
    drain(env)
    edit(
        env,
        ("automation", "slow", actions(WAIT, task('"repaired " & name'))),
        ("object", "contract", without_note),
        ("template", "won", lambda data: data),
    )
    time.pass_(days=3)
    assert subjects(env) == []
    run = the_run(env)
    assert (run.state, run.error_code) == ("failed", "given_up")
    assert "was changed while the run waited" in str(run.error)
    assert "note" in str(run.error)
    repeat(env)
    assert subjects(env) == ["repaired c"]


def test_a_run_whose_automation_went_fails_in_words_and_is_done_when_it_is_back(agency: Agency, time: Any) -> None:
    env = agency(SLOW)
    create(env, note="x")
    drain(env)
    kept: list[dict[str, Any]] = []
    edit(env, ("automation", "slow", lambda data: kept.append(data)))
    time.pass_(days=3)
    assert subjects(env) == []
    assert the_run(env).error == "The automation contract.slow is not there any more."

    def make(connection: Any) -> Any:
        whole = [d for d in present_documents(connection) if d.package == "agency"]
        back = replace(whole[0], kind="automation", file="contract/automations/slow.json", data=kept[0])
        return plan_documents(Target.of(env), connection, [*whole, back], Manner(edit=True))

    apply_plan(Target.of(env), make, by=None, message="back", allow_destructive=False)
    repeat(env)
    assert subjects(env) == ["first x"]


def test_a_field_that_a_condition_an_action_or_a_template_reads_cannot_be_taken_away(agency: Agency) -> None:
    asks = {**BASE, "name": "asks", "condition": "NOT(ISBLANK(note))", "status": "draft", "actions": [task("note")]}
    env = agency(asks)
    with pytest.raises(MetadataRefused) as error:
        edit(env, ("object", "contract", without_note))
    assert {(f.file.rpartition("/")[2], f.pointer) for f in error.value.findings} == {
        ("asks.json", "/condition"),
        ("asks.json", "/actions/0/values/subject"),
    }

    def without_amount(data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "fields": [f for f in data["fields"] if f["name"] != "amount"]}

    with pytest.raises(MetadataRefused) as error:
        edit(env, ("object", "contract", without_amount))
    assert [(f.file.rpartition("/")[2], f.pointer) for f in error.value.findings] == [("won.json", "/text")]
