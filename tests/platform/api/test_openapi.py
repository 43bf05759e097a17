"""The API describes itself: the document is valid, complete, and what it says is what happens."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest

from ratoon.platform.api.problems import STATUS

RATES = ("/records/exchange_rate", "/objects/exchange_rate")
UNDOCUMENTED = {"/docs", "/docs/<object>", "/openapi.json", "/static/<path:filename>", "/<anything:rest>"}


def test_every_route_is_in_the_document_and_nothing_else(shop: Any, admin: Any) -> None:
    document = admin.get("/openapi.json")
    described = {
        (method.upper(), re.sub(r"\{[^}]*\}", "*", path)) for path, item in document["paths"].items() for method in item
    }
    expected: set[tuple[str, str]] = set()
    for rule in shop.app.url_map.iter_rules():
        path = rule.rule.removeprefix("/api/v1")
        if not rule.rule.startswith("/api/v1") or path in UNDOCUMENTED:
            continue
        for object in ("customer", "purchase"):
            made = path.replace("<object>", object)
            keys = ["code", "email"] if object == "customer" else []
            lookups = [f for f in ("customer", "about", "replaces", "parent", "owner", "created_by", "modified_by")
                       if f in document["components"]["schemas"][object]["properties"]]  # fmt: skip
            fields = shop.environment.registry[object].fields.values()
            computed = [f.name for f in fields if f.formula is not None or f.rollup is not None]
            if "/explain/" in made:
                made_all = [made.replace("<field>", key) for key in computed]
            elif "<field>" in made:
                made_all = [made.replace("<field>", key) for key in (lookups if "lookups" in made else keys)]
            elif made.endswith(("/person", "/person/erasure")):
                made_all = []  # neither is a person
            elif made.endswith("/stages") and object == "customer":
                made_all = []
            else:
                made_all = [made]
            for one in made_all:
                wild = re.sub(r"<[^>]*>", "*", one)
                expected |= {(method, wild) for method in rule.methods - {"HEAD", "OPTIONS"}}
    assert {"get", "post"} <= document["paths"]["/records/user/{id}/person/erasure"].keys()
    mine = {item for item in described if not item[1].startswith(("/records/user", "/objects/user", *RATES))}
    assert mine == expected


def test_every_schema_is_a_valid_json_schema(admin: Any) -> None:
    document = admin.get("/openapi.json")
    assert document["openapi"].startswith("3.1")
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    identifiers = [o["operationId"] for item in document["paths"].values() for o in item.values()]
    assert len(identifiers) == len(set(identifiers))


def test_every_reference_leads_somewhere(admin: Any) -> None:
    document = admin.get("/openapi.json")
    for name in set(re.findall(r'"\$ref":\s*"#/components/schemas/([^"]+)"', str(document).replace("'", '"'))):
        assert name in document["components"]["schemas"]


def test_a_record_fits_its_schema(admin: Any) -> None:
    document = admin.get("/openapi.json")
    validator = jsonschema.Draft202012Validator(
        {"$ref": "#/components/schemas/customer", "components": document["components"]},
        format_checker=jsonschema.FormatChecker(),
    )
    full = {"name": "A", "credit": "1.5", "seen_at": "2026-11-21T08:00:00Z", "interests": ["tea"], "extra": [1]}
    for values in ({"name": "B"}, full):
        validator.validate(admin.post("/records/customer", values))


def test_the_document_is_answered_once_per_change(admin: Any) -> None:
    first = admin.call("GET", "/openapi.json")
    again = admin.call("GET", "/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.get_data()) == (304, b"")
    chinese = admin.call("GET", "/openapi.json", headers={"Accept-Language": "zh"})
    assert chinese.json["components"]["schemas"]["customer"]["properties"]["name"]["title"] == "名称"


@pytest.mark.parametrize("path", ["/docs", "/docs/customer"])
def test_the_pages_show_the_operations_and_run_no_script(admin: Any, path: str) -> None:
    response = admin.call("GET", path)
    assert (response.status_code, response.content_type) == (200, "text/html; charset=utf-8")
    html = response.get_data(as_text=True)
    assert "<script" not in html
    assert "script-src" not in response.headers["Content-Security-Policy"]
    assert "/api/v1/records/customer" in html or path == "/docs"


def test_the_page_of_refusals_has_every_code_and_needs_no_sign_in(shop: Any) -> None:
    html = shop.stranger().call("GET", "/docs").get_data(as_text=True)
    for code in STATUS:
        assert f'id="problem-{code}"' in html
    assert "customer" not in html
    sheet = shop.stranger().call("GET", "/static/docs.css")
    assert sheet.content_type.startswith("text/css")
