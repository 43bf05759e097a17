"""The published tables of other engines, run on all three back ends.

The tables are not in this repository: they are looked for in ``RATOON_CONFORMANCE`` (default ``../shared/conformance``
beside the repository). Without them the tests are skipped with a line that says so; with ``CI=true`` they fail. Where
we deviate on purpose, ``deviations.json`` says so one by one with the reason; one that is no longer needed fails.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.batch import Case, Shape, open_connection, run_batch, write_value
from ratoon.platform.formulas.parse import parse
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.formulas.write import format_formula, translate

ROOT = Path(__file__).parents[2]
DEVIATIONS = json.loads((Path(__file__).parent / "deviations.json").read_text("utf-8"))
CONTEXT = EvalContext(now=datetime(2026, 11, 21, 8, 0, tzinfo=UTC))
TYPES = {
    "Double": "number",
    "Currency": "currency",
    "Percent": "percent",
    "DateOnly": "date",
    "DateTime": "datetime",
    "TimeOnly": "time",
    "Boolean": "boolean",
    "Text": "text",
}
SHARE = {"python": 99.5, "sqlite": 98.0, "postgresql": 98.0}
pytestmark = pytest.mark.conformance


def table(name: str) -> Any:
    """One of the tables."""
    folder = Path(os.environ.get("RATOON_CONFORMANCE") or ROOT.parent / "shared" / "conformance")
    if not (folder / name).exists():
        message = f"no {name} in {folder}: set RATOON_CONFORMANCE to the folder with the published tables"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return json.loads((folder / name).read_text("utf-8"))


@pytest.fixture(params=["python", "sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Iterator[tuple[str, Connection | None]]:
    """A back end and its connection."""
    if request.param == "python":
        yield "python", None
        return
    url = "sqlite://" if request.param == "sqlite" else request.getfixturevalue("postgresql_server")
    with open_connection(url) as connection:
        yield request.param, connection


# --- reading the engine's table


def moment(text: str) -> datetime:
    """``2004:02:28:23:34:00[:PST|GMT]``; months and days may overflow, as that engine's calendar allows."""
    numbers = [int(part) for part in text.split(":") if part.strip().isdigit()]
    year, month, day, *clock = numbers
    start = datetime(year + (month - 1) // 12, (month - 1) % 12 + 1, 1, tzinfo=UTC) + timedelta(days=day - 1)
    hours, minutes, seconds = (*clock, 0, 0, 0)[:3]
    zone = 8 if "PST" in text else 0
    return start + timedelta(hours=hours + zone, minutes=minutes, seconds=seconds)


def value_in(text: str | None, kind: str) -> Any:
    """An input of the table as ``ratoon formula`` takes it."""
    if text in (None, "", "NULL"):
        return None
    if kind == "DateOnly":
        return moment(":".join(text.split(":")[:3])).date().isoformat()
    if kind == "DateTime":
        return moment(text).strftime("%Y-%m-%dT%H:%M:%SZ")
    if kind == "Boolean":
        return text.strip().lower() == "true"
    return text.strip() if kind in ("Double", "Currency", "Percent") else text


def fields_below(fields: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Reference fields and those that their formulas need."""
    for field in fields:
        yield field
        yield from fields_below(field.get("referenceFields") or [])


def engine_cases() -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, str], str]]:
    """(test, case, expected results, path) for every row and blank treatment."""
    for test in table("formula_engine_cases.json")["cases"]:
        fields = {f"{f['fieldName']}__c": f for f in fields_below(test["referenceFields"])}
        shown = {
            name: {"type": TYPES.get(f["dataType"], "text"), **({"formula": f["formula"]} if f.get("formula") else {})}
            for name, f in fields.items()
        }
        for row in test["rows"]:
            given = {name.lower(): value for name, value in row["values"].items()}
            record = {
                n: value_in(given.get(n.lower()), f["dataType"]) for n, f in fields.items() if not f.get("formula")
            }
            for path, blanks in (("formula", "zero"), ("formulaNullAsNull", "blank")):
                if path in row["expected"]:
                    case = {
                        "formula": test["formula"],
                        "dialect": "salesforce",
                        "blanks": blanks,
                        "fields": shown,
                        "record": record,
                        "returns": TYPES[test["dataType"]],
                    }
                    yield test["testName"], case, row["expected"], path


def agrees(expected: str, answer: Mapping[str, Any], kind: str, in_sql: bool) -> bool:
    """True when an answer is what the table says. An error is a blank in SQL."""
    value = answer.get("value")
    if expected.startswith("Error"):
        return "error" in answer or (in_sql and value is None)
    if "error" in answer:
        return False
    if expected == "null":
        return value is None or (kind == "boolean" and value is False)
    if value is None:
        return False
    if kind == "boolean":
        return expected == str(value).lower()
    if kind in ("number", "currency", "percent"):
        wanted = Decimal(expected)
        return abs(wanted - Decimal(value)) <= Decimal("1e-13") * max(1, abs(wanted))
    if kind in ("date", "datetime"):
        return same_moment(expected, value)
    if kind == "time":
        return time.fromisoformat(expected) == time.fromisoformat(value)
    return expected.replace("\\,", ",").strip() == value.strip()


def same_moment(expected: str, value: str) -> bool:
    """Compares with ``Fri Dec 31 00:00:00 GMT 2004`` or ``2004-12-31 00:00:00.0``."""
    found = re.fullmatch(r"\w{3} (\w{3}) (\d\d) (\S+) GMT (\d+)", expected)
    if found:
        month, day, clock, year = found.groups()
        wanted = datetime.strptime(f"{day} {month} {int(year):04d} {clock}", "%d %b %Y %H:%M:%S")  # noqa: DTZ007
    else:
        wanted = datetime.fromisoformat(expected[:19])
    return wanted == datetime.fromisoformat(value.replace("Z", ""))


def reason_for(table_name: str, name: str, record: Mapping[str, Any], backend: str) -> int | None:
    """The number of the deviation that covers a row."""
    for number, deviation in enumerate(DEVIATIONS):
        if deviation["table"] != table_name or deviation["case"] != name or backend not in deviation["backends"]:
            continue
        if all(str(record.get(key)) == value for key, value in deviation.get("where", {}).items()):
            return number
    return None


def report(backend: str, agree: int, listed: set[int], rows_listed: int, failures: list[str], name: str) -> None:
    """Says the figures and fails for what is neither the same nor listed."""
    total = agree + rows_listed + len(failures)
    share = 100 * agree / total
    print(f"\n{name} on {backend}: {agree} agree ({share:.2f} %), {rows_listed} listed, {len(failures)} fail")
    assert not failures, "\n".join(failures[:20])
    needed = {i for i, d in enumerate(DEVIATIONS) if d["table"] == name and backend in d["backends"]}
    assert listed == needed, f"deviations that are no longer needed on {backend}: {sorted(needed - listed)}"


def test_the_engine_table_agrees_on_every_back_end(engine: tuple[str, Connection | None]) -> None:
    backend, connection = engine
    rows = list(engine_cases())
    answers = run_batch((case for _, case, _, _ in rows), CONTEXT, connection)
    agree, rows_listed, listed, failures = 0, 0, set(), []
    for (name, case, expected, path), answer in zip(rows, answers, strict=True):
        paths = [path] if connection is None else [path, path.replace("formula", "sql")]
        if any(agrees(expected[p], answer, case["returns"], connection is not None) for p in paths if p in expected):
            agree += 1
            continue
        number = reason_for("formula_engine_cases", name, case["record"], backend)
        if number is None:
            failures.append(
                f"{name} {case['formula'][:80]} {case['record']} {path}: {expected[path]}, not {dict(answer)}"
            )
        else:
            rows_listed += 1
            listed.add(number)
    report(backend, agree, listed, rows_listed, failures, "formula_engine_cases")
    assert 100 * agree / len(rows) >= SHARE[backend]


def test_documented_examples_give_the_documented_results(engine: tuple[str, Connection | None]) -> None:
    backend, connection = engine
    agree, rows_listed, listed, failures = 0, 0, set(), []
    for example in table("formula_doc_cases.json")["examples"]:
        for suite in example["suites"]:
            fields = {name: {"type": field["dataType"]} for name, field in suite["identifiers"].items()}
            case = {"formula": example["formula"], "dialect": "native", "blanks": "zero", "fields": fields}
            record = {name: field["value"] for name, field in suite["identifiers"].items()}
            wanted = suite["expectedResult"]["value"]
            try:
                made = Case(Shape(case), record)
                value = write_value(made.evaluate(CONTEXT) if connection is None else made.query(connection, CONTEXT))
            except FormulaError as error:
                value = f"error: {error}"
            if same_result(wanted, value):
                agree += 1
                continue
            number = reason_for("formula_doc_cases", example["name"], record, backend)
            if number is None:
                failures.append(f"{example['name']} {example['formula'][:300]} {record}: {wanted!r}, not {value!r}")
            else:
                rows_listed += 1
                listed.add(number)
    report(backend, agree, listed, rows_listed, failures, "formula_doc_cases")


def same_result(wanted: Any, value: Any) -> bool:
    """Compares numbers as numbers."""
    if isinstance(wanted, int | float) and not isinstance(wanted, bool):
        try:
            return abs(Decimal(str(wanted)) - Decimal(value)) <= Decimal("1e-9")
        except (TypeError, ArithmeticError):
            return False
    return (wanted or None) == (value or None)


def refusal(formula: str) -> FormulaError | None:
    """Why a formula does not parse."""
    try:
        parse(formula, "salesforce")
    except FormulaError as error:
        return error
    return None


def test_formulas_in_the_wild_parse_and_malformed_ones_are_refused_with_a_place() -> None:
    for entry in table("formulas_in_the_wild.json"):
        error = refusal(entry["formula"])
        assert (error is None) == entry["parses_with_engine_grammar"], (entry["formula"], str(error))
        assert error is None or error.position is not None


def test_formatting_and_translating_formulas_in_the_wild_is_stable() -> None:
    for entry in table("formulas_in_the_wild.json"):
        if entry["parses_with_engine_grammar"]:
            once = format_formula(entry["formula"], "salesforce")
            assert format_formula(once, "salesforce") == once
            native = translate(entry["formula"], "salesforce", "native")
            assert translate(native, "native", "salesforce") == translate(entry["formula"], "salesforce", "salesforce")
