"""The schemas explain every keyword, agree with the field types, and accept what the product itself ships."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from ratoon.platform.fields import builtin_types
from ratoon.platform.metadata.documents import FOLDERS, KINDS, TOP_FOLDERS, place, read_package
from ratoon.platform.metadata.schemas import FIELD_FILE, FILES, as_text, field_schema

ROOT = Path(__file__).parents[3]
SCHEMAS = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "schemas").glob("*.json")}
PACKAGES = [ROOT / "objects", ROOT / "tests" / "worlds" / "clinic", ROOT / "platform" / "metadata" / "system"]


def validator(name: str) -> Draft202012Validator:
    resources = [(file, Resource.from_contents(schema)) for file, schema in SCHEMAS.items()]
    return Draft202012Validator(SCHEMAS[name], registry=Registry().with_resources(resources))


def keywords(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every keyword that a document may use, with its schema."""
    if isinstance(schema, dict):
        for name, inner in schema.get("properties", {}).items():
            if isinstance(inner, dict) and not path.endswith("/if"):
                yield f"{path}/{name}", inner
                yield from keywords(inner, f"{path}/{name}")
        for key in ("items", "additionalProperties", "then", "if"):
            yield from keywords(schema.get(key), f"{path}/{key}")
        for name, inner in schema.get("$defs", {}).items():
            yield from keywords(inner, f"{path}/$defs/{name}")
        for i, inner in enumerate(schema.get("allOf", ())):
            yield from keywords(inner, f"{path}/{i}")


def test_there_is_one_schema_per_kind_of_document() -> None:
    assert set(FILES) == set(KINDS) == {"package", "object", "extension", *FOLDERS.values(), *TOP_FOLDERS.values()}
    assert set(SCHEMAS) == {*FILES.values(), FIELD_FILE}


@pytest.mark.parametrize("file", sorted(SCHEMAS))
def test_every_keyword_is_described(file: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[file])
    silent = [path for path, schema in keywords(SCHEMAS[file]) if len(schema.get("description", "")) < 5]
    assert not silent


@pytest.mark.parametrize("file", sorted(FILES.values()))
def test_keywords_have_examples_that_are_valid(file: str) -> None:
    found = list(keywords(SCHEMAS[file]))
    assert not [path for path, schema in found if "examples" not in schema and "const" not in schema]
    check = validator(file)
    for path, schema in found:
        for example in schema.get("examples", ()):
            whole = {"$defs": SCHEMAS[file].get("$defs", {}), **schema}
            errors = list(check.evolve(schema=whole).iter_errors(example))
            assert not errors, f"{path}: {errors}"


@pytest.mark.parametrize("file", sorted(SCHEMAS))
def test_the_whole_example_is_a_valid_document(file: str) -> None:
    for example in SCHEMAS[file]["examples"]:
        assert not list(validator(file).iter_errors(example))


def test_the_schema_of_fields_is_that_of_the_field_types() -> None:
    written = (ROOT / "schemas" / FIELD_FILE).read_text(encoding="utf-8")
    assert written == as_text(field_schema(builtin_types())), "run python -m ratoon.platform.metadata.schemas schemas"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.name)
def test_an_editor_finds_no_fault_in_what_the_product_ships(package: Path) -> None:
    for document in read_package(package):
        errors = list(validator(FILES[document.kind]).iter_errors(document.data))
        assert not errors, f"{document.file}: {errors[0].json_path} {errors[0].message}"
        assert document.file == place(document.kind, document.data)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.name)
def test_the_schema_line_of_every_shipped_document_leads_to_its_schema(package: Path) -> None:
    for document in read_package(package):
        target = (package / document.file).parent / document.data["$schema"]
        assert target.resolve() == (ROOT / "schemas" / FILES[document.kind]).resolve(), document.file


def test_an_editor_refuses_an_unknown_keyword_of_a_field() -> None:
    declared = {"name": "n", "type": "text", "label": "N"}
    check = validator("object.json")
    for extra, valid in (({}, True), ({"max_length": 10}, True), ({"precision": 10}, False), ({"nonsense": 1}, False)):
        document = {"kind": "object", "name": "a", "label": "A", "fields": [{**declared, **extra}]}
        assert check.is_valid(document) is valid, extra
