"""Whatever a package looks like, the check answers with findings and never with an exception."""

from __future__ import annotations

import copy
import json
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ratoon.platform.errors import Finding
from ratoon.platform.fields import builtin_types
from ratoon.platform.metadata.documents import canonical, read_documents
from ratoon.platform.packages.checking import Language, check_packages

CLINIC = Path(__file__).parents[2] / "worlds" / "clinic"
LANGUAGE = Language(builtin_types())
FILES = {d.file: d.data for d in read_documents(CLINIC)[0]}
LEFT_OUT = ("strings/zh-Hant.json", "roles/vet.json", "visit/views/calendar.json", "pet/views/all.json")
SMALL = {file: data for file, data in FILES.items() if file not in LEFT_OUT}

NAMES = ("name", "select", "id", "owner", "pet", "visit", "宠物", "A", "ratoon_x", "a__b", "true", "stage", "text")
TEXTS = ("", "🐕", "x" * 41, "unit_price_currency", "name +", "TODAY()", "1/0", "'; DROP TABLE pet; --", "{", "%s")
WORDS = st.sampled_from([*NAMES, *TEXTS])
NUMBERS = st.integers(-5, 10**18) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key in value:
            found += paths(value[key], (*path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            found += paths(item, (*path, i))
    return found


PLACES = [(file, path) for file in SMALL for path in paths(SMALL[file])]


def change(data: Any, path: tuple[Any, ...], how: str, value: Any) -> None:
    for step in path[:-1]:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return
    last = path[-1]
    try:
        if how == "remove":
            del data[last]
        elif how == "double" and isinstance(data, list):
            data.append(copy.deepcopy(data[last]))
        elif how == "rename" and isinstance(data, dict):
            data[str(value)[:20]] = data.pop(last)
        else:
            data[last] = value
    except (KeyError, IndexError, TypeError):
        return


CHANGES = st.tuples(st.sampled_from(PLACES), st.sampled_from(["remove", "double", "rename", "set", "set"]), JSON)


def check(files: dict[str, Any]) -> tuple[Finding, ...]:
    written = {file: canonical(data).encode("utf-8", "surrogatepass") for file, data in files.items()}
    return check_packages([written], LANGUAGE).findings


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=st.lists(CHANGES, min_size=1, max_size=4))
def test_a_changed_package_is_accepted_or_refused_with_findings(changes: list[Any]) -> None:
    files = copy.deepcopy(SMALL)
    for (file, path), how, value in changes:
        change(files[file], path, how, value)
    for finding in check(files):
        assert finding.file
        assert finding.message
        assert finding.code.replace("_", "").isalnum()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    content=st.binary(max_size=60)
    | st.text(max_size=60).map(lambda t: t.encode())
    | JSON.map(lambda v: json.dumps(v).encode())
)
def test_any_bytes_in_a_file_give_findings(content: bytes) -> None:
    assert check_packages([{"manifest.json": content}], LANGUAGE).refused


@settings(max_examples=40, deadline=None)
@given(content=st.binary(max_size=200))
def test_any_bytes_as_a_zip_give_findings(content: bytes) -> None:
    assert check_packages([content], LANGUAGE).refused
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("a/b/manifest.json", content)
    assert check_packages([made.getvalue()], LANGUAGE).refused


def test_a_folder_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    checked = check_packages([tmp_path / "nothing"], LANGUAGE)
    assert [f.code for f in checked.findings] == ["no_package"]


@pytest.mark.parametrize("kind", ["object", "view", "layout", "pipeline", "automation", "picklist", "role", "strings"])
def test_a_document_with_nothing_but_its_kind_gives_findings(kind: str) -> None:
    manifest = {"kind": "package", "name": "p", "version": "1", "label": "P"}
    assert check({"manifest.json": manifest, "x/y.json": {"kind": kind}})
