"""Explanations, and the ratoon formula command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ratoon.platform.cli.formula import command
from ratoon.platform.formulas.explain import explain, sentence, tree_lines


def test_an_explanation_has_every_part_with_its_value(deal: Any) -> None:
    part = explain(
        deal.compiled('IF(amount > 1000, name & "!", 1 / 0 & "")'.replace('1 / 0 & ""', "code")),
        deal.full,
        deal.context,
    )
    assert list(tree_lines(part)) == [
        'IF(amount > 1000, name & "!", code) = "Acme!"',
        "  amount > 1000 = true",
        "    amount = 1200.50",
        '  name & "!" = "Acme!"',
        '    name = "Acme"',
        '  code = "AB-12"  (not used)',
    ]
    assert sentence(part) == 'It is "Acme!", because amount > 1000 holds (amount is 1200.50)'


def test_a_sentence_tells_what_decided(deal: Any) -> None:
    part = explain(deal.compiled('AND(stage = "won", amount > 5000)'), deal.full, deal.context)
    assert sentence(part) == "It is false, because amount > 5000 does not hold (amount is 1200.50)"
    part = explain(deal.compiled("amount / 0"), deal.full, deal.context)
    assert sentence(part) == "It fails: Division by zero"
    assert part.json()["parts"][0] == {"text": "amount", "type": "number", "value": "1200.50"}


def run(*args: str, expect: int = 0) -> Any:
    result = CliRunner().invoke(command, list(args))
    assert result.exit_code == expect, result.output
    return result


def test_the_command_prints_a_value() -> None:
    record = '{"amount": "1200.50", "account": {"name": "Acme"}, "closed_on": "2026-11-21"}'
    assert run('account.name & "!"', "--record", record).stdout == "Acme!\n"
    assert run("amount * 2", "--record", record, "--json").stdout == '{"value":"2401.00"}\n'
    assert run("closed_on + 1", "--record", record).stdout == "2026-11-22\n"
    assert run("amount > 3", "--record", record).stdout == "true\n"
    assert run("rate * 2", "--record", '{"rate": "50"}', "--fields", '{"rate": "percent"}').stdout == "1.00\n"
    assert "It is true" in run("amount > 3", "--record", record, "--explain").stdout


def test_the_command_refuses_with_the_place_and_status_1() -> None:
    result = run("amonut > 3", "--record", '{"amount": 1}', expect=1)
    assert result.stderr == "There is no field amonut; did you mean amount? (line 1, column 1)\namonut > 3\n^\n"
    assert json.loads(run("1 +", "--json", expect=1).stderr)["error"]["code"] == "syntax"
    assert run("1", "--record", "{", expect=2)
    assert run(expect=2)


CASES: list[dict[str, Any]] = [
    {
        "id": 1,
        "formula": "a * b",
        "blanks": "zero",
        "fields": {"a": {"type": "number"}, "b": {"type": "percent"}},
        "record": {"a": "3.5", "b": "200"},
        "returns": "percent",
    },
    {"id": 2, "formula": "a *"},
    {
        "id": "three",
        "formula": "f + 1",
        "fields": {"f": {"type": "number", "formula": "a / 4"}, "a": {"type": "number"}},
        "record": {"a": "1"},
    },
    {"id": 4, "formula": "f", "fields": {"f": {"type": "number", "formula": "f + 1"}}},
    {"id": 5, "formula": "at + 1", "fields": {"at": {"type": "datetime"}}, "record": {"at": "2026-11-21T08:00:00Z"}},
    {"id": 6, "formula": 'Account.Name & "x"', "dialect": "salesforce", "fields": {"Account.Name": {"type": "text"}}},
    {"id": 7, "formula": "1", "dialect": "basic"},
]


@pytest.mark.parametrize("where", ["python", "sqlite", "postgresql"])
def test_a_batch_answers_line_by_line(where: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text("\n".join(json.dumps(case) for case in CASES))
    more = ["--database-url", request.getfixturevalue("postgresql_server")] if where == "postgresql" else []
    answers = [json.loads(line) for line in run("--batch", str(file), "--backend", where, *more).stdout.splitlines()]
    assert [a["id"] for a in answers] == [1, 2, "three", 4, 5, 6, 7]
    assert float(answers[0]["value"]) == 700
    assert answers[1]["error"]["code"] == "syntax"
    assert answers[1]["error"]["position"] == 3
    assert float(answers[2]["value"]) == 1.25
    assert answers[3]["error"]["code"] == "circle"
    assert answers[4]["value"] == "2026-11-22T08:00:00Z"
    assert answers[5]["value"] == "x"
    assert answers[6]["error"]["code"] == "bad_case"


def test_related_records_are_told_one_by_one(deal: Any) -> None:
    part = explain(deal.compiled("SUM(lines.price, lines.active) > 20 && active"), deal.full, deal.context)
    assert list(tree_lines(part))[:6] == [
        "SUM(lines.price, lines.active) > 20 && active = true",
        "  SUM(lines.price, lines.active) > 20 = true",
        "    SUM(lines.price, lines.active) = 30.00",
        "      lines.price [1] = 10.00",
        "      lines.price [2] = 20.00",
        "      lines.price [3] = 15.00  (not used)",
    ]
    told = "It is true, because SUM(lines.price, lines.active) > 20 holds (SUM(lines.price, lines.active) is 30.00)"
    assert sentence(part) == f"{told} and active is true"


def test_the_command_formats_translates_and_says_what_a_formula_reads() -> None:
    assert run("if( a>1,SUM( lines.x ),'b')", "--format").stdout == 'IF(a > 1, SUM(lines.x), "b")\n'
    assert run("2 * a ^ 2", "--translate", "salesforce").stdout == "2 * (a ^ 2)\n"
    assert run("2 * a ^ 2", "--dialect", "salesforce", "--translate", "native").stdout == "(2 * a) ^ 2\n"
    assert run("a + account.name + a", "--reads").stdout == "a\naccount.name\n"
    assert run("1 +", "--format", expect=1).stderr.startswith("The formula ends too early")


def test_the_command_prints_the_reference() -> None:
    assert "### BUSINESSDAYS" in run("--functions").stdout
    (told,) = json.loads(run("sum", "--functions", "--json").stdout)["functions"]
    assert told["signatures"] == ["SUM(values, which?) → number"]
    assert "COUNT" in run("COUNTT", "--functions", expect=2).stderr


def test_the_command_goes_over_lists_of_records() -> None:
    record = '{"lines": [{"price": "5", "on": true}, {"price": "7"}], "account": {"bills": [{"total": 1}]}}'
    assert run("SUM(lines.price, lines.on)", "--record", record).stdout == "5\n"
    assert run("COUNT(lines) + COUNT(account.bills)", "--record", record).stdout == "3\n"
    assert "several records" in run("lines.price + 1", "--record", record, expect=1).stderr
