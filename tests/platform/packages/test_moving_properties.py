"""Random packages and random edits of them: what is exported here and applied there is exported there byte for byte, a
plan of what is applied is empty, and a merge keeps every local edit that nobody else touched."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ratoon.platform.metadata.documents import canonical, place
from ratoon.platform.packages import Choices, Conditions, Manner, Target, apply_package, export, plan_package

KINDS = ("text", "integer", "decimal", "boolean", "date", "picklist", "lookup", "formula")
EXAMPLES = int(os.environ.get("RATOON_EXAMPLES", "8"))


@st.composite
def packages(draw: Callable[..., Any], texts: str = "abc") -> dict[str, bytes]:
    """Files of a package with one to three objects."""
    documents: list[dict[str, Any]] = [
        {"kind": "package", "name": "moving", "version": f"1.{draw(st.integers(0, 3))}", "label": "Moving"}
    ]
    objects = draw(st.lists(st.sampled_from(["thing", "part", "place"]), min_size=1, max_size=3, unique=True))
    for name in objects:
        fields = [{"name": "name", "type": "text", "label": draw(st.sampled_from(texts))}]
        for kind in draw(st.lists(st.sampled_from(KINDS), unique=True, max_size=4)):
            fields.append(declared(draw, kind, objects, texts))
        obj = {"kind": "object", "name": name, "label": draw(st.sampled_from(texts)), "fields": fields, "title": "name"}
        if draw(st.booleans()):
            obj["rules"] = [{"name": "named", "error_when": "ISBLANK(name)", "message": draw(st.sampled_from(texts))}]
        documents.append(obj)
        if draw(st.booleans()):
            columns = draw(st.permutations([f["name"] for f in fields]))
            documents.append({"kind": "view", "object": name, "name": "all", "label": "All", "columns": list(columns)})
    if draw(st.booleans()):
        role = {"kind": "role", "name": "clerk", "label": draw(st.sampled_from(texts))}
        documents.append({**role, "objects": {name: ["read"] for name in objects}})
    if draw(st.booleans()):
        documents.append({"kind": "strings", "locale": "zh-Hans", "texts": {"a": draw(st.sampled_from("甲乙"))}})
    return {place(str(d["kind"]), d): canonical(d).encode() for d in documents}


def declared(draw: Callable[..., Any], kind: str, objects: list[str], texts: str) -> dict[str, Any]:
    made: dict[str, Any] = {"name": f"a_{kind}", "type": kind, "label": draw(st.sampled_from(texts))}
    if kind == "picklist":
        made["values"] = [{"value": value} for value in draw(st.permutations(["x", "y", "z"]))]
    if kind == "lookup":
        made["object"] = draw(st.sampled_from(objects))
    if kind == "formula":
        made.update(formula="name & name", returns="text")
    if kind == "text":
        made["max_length"] = draw(st.integers(10, 12))
    return made


@pytest.fixture
def sides(open_world: Callable[..., Any]) -> tuple[Target, Target]:
    return Target.of(open_world()), Target.of(open_world())


def force(target: Target, source: Any, **manner: Any) -> None:
    conditions = Conditions(allow_destructive=True, allow_violations=True)
    apply_package(target, source, manner=Manner(**manner), conditions=conditions)


def test_what_is_exported_here_and_applied_there_is_exported_there(sides: tuple[Target, Target]) -> None:
    here, there = sides

    @settings(max_examples=EXAMPLES, deadline=None, phases=[Phase.explicit, Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(version=packages(), edit=st.one_of(st.none(), packages(texts="xyz")))
    def move(version: dict[str, bytes], edit: dict[str, bytes] | None) -> None:
        force(here, version, discard_edits=True)
        assert plan_package(here, version).empty
        if edit is not None:
            force(here, edit, edit=True)
            prefer = Manner(choices=Choices(prefer="ours"))
            assert plan_package(here, version, prefer).components == ()
        moved = export(here, "moving").as_zip()
        force(there, moved, discard_edits=True)
        assert export(there, "moving").as_zip() == moved
        assert plan_package(there, moved).empty

    move()


def test_a_local_edit_survives_every_version_that_does_not_touch_it(sides: tuple[Target, Target]) -> None:
    here, _ = sides

    @settings(max_examples=EXAMPLES, deadline=None, phases=[Phase.explicit, Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(before=packages(), after=packages())
    def upgrade(before: dict[str, bytes], after: dict[str, bytes]) -> None:
        force(here, before, discard_edits=True)
        edited = copy.deepcopy(before)
        file = next(name for name in sorted(edited) if name.endswith("object.json"))
        document = json.loads(edited[file])
        document["fields"].append({"name": "mine", "type": "text", "label": "Mine"})
        document["icon"] = "star"
        edited[file] = canonical(document).encode()
        force(here, edited, edit=True)
        if file in after:
            force(here, after, choices=Choices(prefer="theirs"))
            stands = json.loads(export(here, "moving").files[file])
            assert stands["icon"] == "star"
            assert "mine" in {f["name"] for f in stands["fields"]}
            wanted = {f["name"] for f in json.loads(after[file])["fields"]}
            assert wanted <= {f["name"] for f in stands["fields"]}

    upgrade()
