"""Three-way merge: nothing is lost, nothing depends on the side, and what both changed is asked about."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratoon.platform.errors import BadRequest
from ratoon.platform.metadata.documents import Document
from ratoon.platform.packages.merging import (
    ABSENT,
    Choices,
    Resolution,
    merge_documents,
    merge_values,
    read_resolutions,
)

NAMES = ("name", "weight", "born_on", "species")
OPTIONS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "integer"])},
    optional={"label": st.sampled_from("ABC"), "required": st.booleans(), "max": st.integers(0, 2)},
)
FIELDS = st.lists(st.sampled_from(NAMES), unique=True, max_size=4).flatmap(
    lambda names: st.tuples(*(OPTIONS.map(lambda o, n=n: {"name": n, **o}) for n in names)).map(list)
)
DOCUMENT = st.fixed_dictionaries(
    {"fields": FIELDS},
    optional={
        "label": st.sampled_from("XYZ"),
        "columns": st.lists(st.sampled_from(NAMES), unique=True, max_size=4),
        "sort": st.lists(st.sampled_from(NAMES), unique=True, max_size=2),
        "texts": st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"), max_size=2),
    },
)
PLACES = st.sampled_from(["pet/object.json", "visit/object.json", "roles/vet.json"])
PACKAGE = st.dictionaries(PLACES, DOCUMENT, max_size=3)


def documents(files: dict[str, Any]) -> list[Document]:
    return [Document(file, "object", data, "clinic") for file, data in files.items()]


def merged(base: Any, ours: Any, theirs: Any, choices: Choices | None = None) -> Any:
    return merge_documents(documents(base), documents(ours), documents(theirs), choices)


def files(result: Any) -> dict[str, Any]:
    return {d.file: d.data for d in result.documents}


def leaves(value: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Every value by its path, list items by name; the order of lists is left aside."""
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in leaves(item, (*path, key)).items()} | {path: "{}"}
    if isinstance(value, list) and path[-1:] != ("sort",):
        named = {i["name"] if isinstance(i, dict) else i: i for i in value}
        return {k: v for key, item in named.items() for k, v in leaves(item, (*path, key)).items()} | {path: "[]"}
    return {path: str(value)}


@given(PACKAGE, PACKAGE, PACKAGE)
@settings(max_examples=60, deadline=None)
def test_it_does_not_matter_which_side_is_ours(base: Any, ours: Any, theirs: Any) -> None:
    one, other = merged(base, ours, theirs), merged(base, theirs, ours)
    assert files(one) == files(other)
    assert [(d.place, d.ours, d.theirs) for d in one.open] == [(d.place, d.theirs, d.ours) for d in other.open]


@given(PACKAGE, PACKAGE, PACKAGE)
@settings(max_examples=60, deadline=None)
def test_merging_again_changes_nothing(base: Any, ours: Any, theirs: Any) -> None:
    assert files(merged(base, ours, ours)) == ours
    assert files(merged(base, base, theirs)) == theirs
    assert files(merged(base, ours, base)) == ours
    once = merged(base, ours, theirs, Choices(prefer="ours"))
    again = merged(theirs, files(once), theirs, Choices(prefer="ours"))
    assert files(again) == files(once)


@given(PACKAGE, PACKAGE, PACKAGE)
@settings(max_examples=60, deadline=None)
def test_no_change_of_either_side_is_lost_in_silence(base: Any, ours: Any, theirs: Any) -> None:
    result = merged(base, ours, theirs)
    was, after = leaves(base), leaves(files(result))
    asked = [(d.file, *(s for s in d.path.split("/") if s)) for d in result.open]
    for side in (leaves(ours), leaves(theirs)):
        for path in was.keys() | side.keys():
            if was.get(path) != side.get(path) and after.get(path) != side.get(path):
                assert any(path[: len(place)] == place for place in asked), path


@given(PACKAGE, PACKAGE, PACKAGE)
@settings(max_examples=60, deadline=None)
def test_preferring_a_side_leaves_nothing_open(base: Any, ours: Any, theirs: Any) -> None:
    for side in ("ours", "theirs"):
        result = merged(base, ours, theirs, Choices(prefer=side))
        assert not result.open
        for found in result.settled:
            assert found.file in {*base, *ours, *theirs}


def test_both_sides_add_fields_and_move_them() -> None:
    base = ["a", "b", "c"]
    assert merge_values(base, ["a", "x", "b", "c"], ["a", "b", "y", "c"]) == (["a", "x", "b", "y", "c"], [])
    assert merge_values(base, ["c", "a", "b"], ["a", "b", "y", "c"]) == (["c", "a", "b", "y"], [])
    assert merge_values(base, ["a", "x", "b", "c"], ["a", "w", "b", "c"]) == (["a", "w", "x", "b", "c"], [])
    _, found = merge_values(base, ["c", "b", "a"], ["b", "a", "c"])
    assert [f.path for f in found] == ["/(order)"]


def test_a_field_removed_there_and_edited_here_is_asked_about() -> None:
    base = {"fields": [{"name": "a", "max": 1}]}
    ours = {"fields": [{"name": "a", "max": 2}]}
    _, found = merge_values(base, ours, {"fields": []})
    assert [(f.path, f.ours, f.theirs) for f in found] == [("/fields/a", {"name": "a", "max": 2}, ABSENT)]
    assert "theirs" not in found[0].as_json()


def test_true_is_not_one() -> None:
    assert merge_values({"a": 1}, {"a": True}, {"a": 1}) == ({"a": True}, [])


def test_a_resolution_settles_one_place_and_only_for_the_values_it_was_written_for() -> None:
    base = {"pet/object.json": {"label": "Pet", "icon": "paw"}}
    ours = {"pet/object.json": {"label": "Patient", "icon": "cat"}}
    theirs = {"pet/object.json": {"label": "Animal", "icon": "dog"}}
    asked = merged(base, ours, theirs).open
    assert [d.path for d in asked] == ["/icon", "/label"]
    written = {"conflicts": [{**asked[0].as_json(), "take": "theirs"}, {**asked[1].as_json(), "value": "Beast"}]}
    result = merged(base, ours, theirs, Choices(read_resolutions(written)))
    assert files(result) == {"pet/object.json": {"label": "Beast", "icon": "dog"}}
    assert not result.open
    later = copy.deepcopy(theirs)
    later["pet/object.json"]["icon"] = "owl"
    assert [d.path for d in merged(base, ours, later, Choices(read_resolutions(written))).open] == ["/icon"]


@pytest.mark.parametrize("data", [7, {"conflicts": 1}, [{"path": "x"}], [{"file": "x", "take": "mine"}]])
def test_a_file_that_is_no_list_of_resolutions_is_refused(data: Any) -> None:
    with pytest.raises(BadRequest):
        read_resolutions(data)


def test_a_resolution_that_says_nothing_leaves_the_place_open() -> None:
    found = read_resolutions([{"file": "a.json", "path": "/x", "package": "p"}])
    assert found == {("p", "a.json", "/x"): Resolution(None)}
