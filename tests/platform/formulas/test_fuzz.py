"""Throws text at the language for as long as one likes: ``make fuzz SECONDS=300``; a few seconds in the normal run.

Three kinds of text: real formulas with something changed (the published tables, where they are, and our own examples),
formulas grown from the grammar with right and wrong types, and rubbish with look-alikes, deep nesting and huge numbers.
Whatever happens is a value or a ``FormulaError`` with a place inside the text, and it happens at once.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas import builtin_functions, compile_formula
from ratoon.platform.formulas.explain import explain, sentence
from ratoon.platform.formulas.functions import Overload
from ratoon.platform.formulas.parse import parse
from ratoon.platform.formulas.pointing import describe
from ratoon.platform.formulas.types import EvalContext, Name, Type
from ratoon.platform.formulas.write import format_formula, translate

SECONDS = float(os.environ.get("RATOON_FUZZ_SECONDS", "3"))
SLOW = 2.0
"""A single text that takes more processor time (for everything one can do with it) is a hang."""
ROOT = Path(__file__).parents[3]
TABLES = Path(os.environ.get("RATOON_CONFORMANCE") or ROOT.parent / "shared" / "conformance")
PIECES = (
    "(", ")", ",", '"', "'", "\\", "/*", "*/", "{!", "}", ".", "$", "!", "&&", "||", "<>", "^", "-", "+", "=", "NULL",
    "TRUE", "$user.id", "$today", "$source.x", "0", "1e9", ".5", "1.", "9" * 60, "9" * 400, "0." + "0" * 80 + "1",
    "“", "”", "‘", "−", "–", "×", "÷", "≠", "，", "（", "）", "；", "＝", "\u200b", "\u00a0", "\ufeff", "\u202e",
    "\x00", "\ud7ff", "А", "ａ", "名", "ß", "İ", "\U0001f600", "𝟘", "٣", "\n", "\t", " ", "%%%NS%%%", ":", "[", "]",
    "@", "#", "?",
)  # fmt: skip
VALUES: dict[Type, Any] = {
    Type.NUMBER: Decimal("12.34"),
    Type.TEXT: "Acme 12",
    Type.BOOLEAN: True,
    Type.DATE: date(2026, 11, 21),
    Type.DATETIME: datetime(2026, 11, 21, 8, 0, tzinfo=UTC),
    Type.TIME: datetime(2026, 11, 21, 8, 0, tzinfo=UTC).time(),
    Type.PICKLIST: "won",
    Type.MULTI: ("a", "b"),
    Type.REFERENCE: "0192f3a0-0000-7000-8000-000000000001",
    Type.GEO: (Decimal(1), Decimal(2)),
}


class Anything:
    """Every name there is, of a type that its letters decide; blank for every third."""

    def name(self, name: str) -> Name | None:
        """Any name but those of the context."""
        if name.startswith("$"):
            return None
        return Name(name, self.kind(name), target=self)

    def kind(self, name: str) -> Type:
        """The type of a name."""
        return list(VALUES)[sum(map(ord, name)) % len(VALUES)]

    def related(self, name: str) -> Name | None:
        """Lines are related records."""
        return Name("line@deal", Type.REFERENCE, target=self, many=True) if name.lower() == "lines" else None

    def names(self) -> list[str]:
        """Some, for suggestions."""
        return ["amount", "stage"]


def corpus() -> list[str]:
    """Formulas to change: our own examples, and the published ones when they are there."""
    found = [example for function in builtin_functions() for example, _ in function.examples]
    for name, key in (("formulas_in_the_wild.json", None), ("formula_engine_cases.json", "cases"),
                      ("formula_doc_cases.json", "examples")):  # fmt: skip
        file = TABLES / name
        if file.exists():
            data = json.loads(file.read_text("utf-8"))
            found += [entry["formula"] for entry in (data[key] if key else data)]
    return sorted({text for text in found if len(text) < 4000})


def changed(rng: random.Random, formulas: list[str]) -> str:
    """A formula with some things inserted, deleted, doubled, swapped with another's."""
    text = rng.choice(formulas)
    for _ in range(rng.randint(1, 6)):
        at, width = rng.randrange(len(text) + 1), rng.randint(1, 12)
        match rng.randrange(6):
            case 0:
                text = text[:at] + rng.choice(PIECES) + text[at:]
            case 1:
                text = text[:at] + text[at + width :]
            case 2:
                text = text[:at] + text[at : at + width] * rng.randint(2, 40) + text[at + width :]
            case 3:
                other = rng.choice(formulas)
                start = rng.randrange(len(other) + 1)
                text = text[:at] + other[start : start + 40] + text[at:]
            case 4:
                text = text[:at] + rng.choice(PIECES) + text[at + 1 :]
            case _:
                text = text[:at] + chr(rng.choice((rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)))) + text[at:]
    return text[:12_000]


def by_type() -> dict[Type, list[Overload]]:
    """Overloads by what they give; what gives any type is under every type."""
    found: dict[Type, list[Overload]] = {kind: [] for kind in Type}
    for function in builtin_functions():
        for overload in function.overloads:
            for kind in Type if overload.returns == "T" else [Type(overload.returns)]:
                found[kind].append(overload)
    return found


OVERLOADS = by_type()
NAMES = {kind: [n for n in "abcdefghijklmnopqrstuvwxyz" if Anything().kind(n) is kind] for kind in VALUES}
LITERALS: dict[Type, tuple[str, ...]] = {
    Type.NUMBER: ("0", "1", "-1", "2.5", "3", "99999", "1e5", ".1", "123456789012345678901234567890"),
    Type.TEXT: ('"x"', '""', '"2026-01-01"', '"08:30:00"', '"[a-z"', '"12"', '"km"', '"名 İß"', "'a;b'", '"$.a[0]"'),
    Type.BOOLEAN: ("TRUE", "FALSE"),
    Type.DATE: ("TODAY()", "DATE(2026, 2, 28)", "DATE(2026, 2, 30)", "DATE(9999, 12, 31)", "DATE(1, 1, 1)"),
    Type.DATETIME: ("NOW()", 'DATETIMEVALUE("2026-01-01 00:00:00")'),
    Type.TIME: ("TIMENOW()", 'TIMEVALUE("23:59:59.999")'),
}


def grown(rng: random.Random, kind: Type, depth: int = 0) -> str:
    """A formula of a type; one part in thirty is of another."""
    if rng.random() < 0.03:
        kind = rng.choice(list(VALUES))
    if depth > rng.randint(0, 5) or not OVERLOADS[kind]:
        options = (*LITERALS.get(kind, ()), *NAMES.get(kind, ()), *(f"x.{n}" for n in NAMES.get(kind, ())), "NULL")
        return rng.choice(options)
    chosen = rng.choice(OVERLOADS[kind])
    count = rng.choice((chosen.least, chosen.most if chosen.most is not None else chosen.least + rng.randint(0, 4)))
    together = kind if chosen.returns == "T" else rng.choice(list(VALUES))
    parts = []
    for index in range(count):
        spec = chosen.param(index)
        if chosen.aggregate and rng.random() < 0.8:
            inside = NAMES[rng.choice(sorted(spec.types & NAMES.keys(), key=lambda k: k.value))]
            parts.append(rng.choice(("lines.", "x.lines.", "lines.y.")) + rng.choice(inside or ["a"]))
            continue
        wanted = together if spec.spec in ("T", "any") else rng.choice(sorted(spec.types, key=lambda k: k.value))
        if spec.spec == "field":
            parts.append(rng.choice(NAMES[together] or ["a"]))
        else:
            parts.append(grown(rng, wanted, depth + 1))
    if chosen.name[0].isalpha():
        return f"{chosen.name}({', '.join(parts)})"
    sign = chosen.name.removesuffix("whole")
    return f"({sign}{parts[0]})" if len(parts) == 1 else "(" + f" {sign} ".join(parts) + ")"


def rubbish(rng: random.Random) -> str:
    """Pieces in any order, sometimes very many of one."""
    if rng.random() < 0.2:
        return rng.choice(PIECES) * rng.choice((10, 119, 120, 121, 500, 5000)) + rng.choice(PIECES)
    if rng.random() < 0.2:
        opening = rng.choice(("(", "IF(", "-", "!", "NOT(", "{!", "a&", "1^", "1+(", "LEFT("))
        return opening * rng.choice((50, 118, 122, 1000)) + "1" + ")" * rng.choice((0, 50, 118, 122))
    return "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 40)))


def use(source: str, dialect: Any, blanks: Any) -> None:
    """Everything one can do with a text."""
    context = EvalContext(old={"amount": Decimal(1)}, user={"id": "u"})
    row: dict[str, Any] = {name: VALUES[kind] for kind, names in NAMES.items() for name in names}
    line = {f"line@deal.{key}": value for key, value in row.items()}
    row["line@deal"] = [line, dict.fromkeys(line), line]
    parse(source, dialect)
    again = format_formula(source, dialect)
    assert format_formula(again, dialect) == again, again
    translate(source, dialect, "native" if dialect == "salesforce" else "salesforce")
    formula = compile_formula(source, Anything(), dialect=dialect, blanks=blanks)
    for values in (row, {}):
        sentence(explain(formula, values, context))
        formula.evaluate(values, context)


def texts(rng: random.Random) -> Iterator[str]:
    """Texts without end."""
    formulas = corpus()
    makers: tuple[Callable[[], str], ...] = (
        lambda: changed(rng, formulas),
        lambda: grown(rng, rng.choice(list(VALUES))),
        lambda: rubbish(rng),
        lambda: rng.choice(formulas),
    )
    while True:
        yield rng.choices(makers, (6, 5, 2, 1))[0]()


def test_any_text_is_answered_or_refused_at_once() -> None:
    seed = int(os.environ.get("RATOON_FUZZ_SEED", "20261121"))
    rng = random.Random(seed)
    end = time.monotonic() + SECONDS
    tried, refused = 0, 0
    for source in texts(rng):
        if time.monotonic() > end:
            break
        dialect, blanks = rng.choice(("native", "salesforce")), rng.choice(("blank", "zero"))
        began, answered = time.process_time(), False
        refusal: FormulaError | None = None
        try:
            use(source, dialect, blanks)
            answered = True
        except FormulaError as error:
            refusal, answered = error, True
        finally:
            if not answered:
                print(f"\nseed {seed}, {dialect}, {blanks}: {source!r}")
        took = time.process_time() - began
        if refusal is not None:
            refused += 1
            assert refusal.position is None or 0 <= refusal.position <= len(source), (source, refusal.position)
            assert describe(source, refusal)
        assert took < SLOW, f"seed {seed}, {dialect}: {took:.1f} s for {source!r}"
        tried += 1
    print(f"\n{tried} texts, {refused} refused, none wrong (seed {seed})")
