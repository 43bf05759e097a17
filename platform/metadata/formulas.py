"""The third step of compilation: every formula of the metadata is compiled against the scope of its object.

Formula fields come first. They are compiled in any order, because a field's type is declared; then the dependencies
between formula and rollup fields are followed: circles are refused, and a field that reads a volatile one
(``TODAY()`` somewhere below) is volatile itself. Only then are the other formulas compiled, against names that know it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ratoon.platform.errors import FormulaError, say
from ratoon.platform.formulas import Formula, compile_formula
from ratoon.platform.formulas.functions import FunctionSet
from ratoon.platform.formulas.tree import MANY
from ratoon.platform.formulas.types import Blanks, Type
from ratoon.platform.metadata.documents import Document
from ratoon.platform.metadata.drafts import Drafts, FieldDraft, ObjectDraft
from ratoon.platform.metadata.graph import Node, rank_nodes
from ratoon.platform.metadata.relations import Relation, relations_of
from ratoon.platform.metadata.report import Path, Report
from ratoon.platform.metadata.scope import ObjectScope


class Formulas:
    """Compiles the formulas of one set of documents."""

    def __init__(self, drafts: Drafts, functions: FunctionSet | None, report: Report) -> None:
        self._drafts = drafts
        self.drafts = drafts
        """Everything collected, for what is named beside formulas."""
        self._functions = functions
        self._report = report
        self.scopes: dict[str, ObjectScope] = {}
        self._relations: Mapping[str, Mapping[str, Relation]] | None = None
        for draft in drafts.objects.values():
            self.scopes[draft.name] = ObjectScope(
                tuple(draft.fields.values()), self.scopes, object=draft.name, relations=self._known_relations
            )

    def _known_relations(self) -> Mapping[str, Mapping[str, Relation]]:
        if self._relations is None:
            self._relations = relations_of(self._drafts.objects.values())
        return self._relations

    def compile(
        self,
        document: Document,
        path: Path,
        source: str,
        scope: ObjectScope,
        expects: Type | None = Type.BOOLEAN,
        *,
        blanks: Blanks = "blank",
        pushed_down: bool = False,
        change: bool = True,
    ) -> Formula | None:
        """The compiled formula, or ``None`` after reporting why not.

        ``pushed_down``: it must be expressible in SQL; ``change``: it may look at the values before the change.
        """
        try:
            formula = compile_formula(source, scope, expects=expects, blanks=blanks, functions=self._functions)
        except FormulaError as error:
            self._report.formula(document, path, source, error)
            return None
        if formula.uses_change and not change:
            message = say("ISNEW, ISCHANGED and PRIORVALUE have no meaning here: nothing is being saved.")
            self._report.add(document, path, "formula_no_change", message, say("compare the present values only"))
            return None
        if pushed_down and formula.sql_refusal is not None:
            message = say(
                "The database must be able to answer this formula: {sql_refusal}", sql_refusal=formula.sql_refusal
            )
            self._report.add(document, path, "formula_not_sql", message)
            return None
        return formula

    def fields(self) -> None:
        """Compiles formula fields and rollup filters, refuses circles, and finds the volatile fields."""
        for draft in self._drafts.objects.values():
            for field in draft.fields.values():
                if field.spec.type == "formula":
                    self._formula_field(field)
                elif field.rollup is not None:
                    self._rollup_filter(field)
        before = {
            (draft.name, field.name): self._reads(draft, field)
            for draft in self._drafts.objects.values()
            for field in draft.fields.values()
            if field.formula is not None or field.rollup is not None
        }
        rank, cycles = rank_nodes({node: {s for s in sources if s in before} for node, sources in before.items()})
        for cycle in cycles:
            self._report_cycle(cycle)
        self._spread_volatility(before, rank)
        for draft in self._drafts.objects.values():
            if any(field.volatile for field in draft.fields.values()):
                self.scopes[draft.name].refresh()

    def _formula_field(self, field: FieldDraft) -> None:
        expects = field.parts[0].formula if field.parts else None
        field.formula = self.compile(
            field.piece.document,
            field.piece.at("formula"),
            field.data["formula"],
            self.scopes[field.object],
            expects,
            blanks=field.data.get("blanks", "blank"),
            change=False,
        )
        field.volatile = field.formula is not None and field.formula.volatile

    def _rollup_filter(self, field: FieldDraft) -> None:
        source = field.data.get("filter")
        if field.rollup is None or source is None:
            return
        path = field.piece.at("filter")
        formula = self.compile(
            field.piece.document, path, source, self.scopes[field.rollup.child], pushed_down=True, change=False
        )
        if formula is not None and any(MANY in key for key in formula.paths):
            message = say(
                "The filter of the rollup {object}.{field} aggregates over other records.",
                object=field.object,
                field=field.name,
            )
            hint = say("make that a formula field of {child} and ask for it here", child=field.rollup.child)
            self._report.add(field.piece.document, path, "nested_rollup", message, hint)
            formula = None
        if formula is not None and formula.volatile:
            self._volatile_rollup(field, path, say("its filter"))
        field.rollup = replace(field.rollup, filter=formula)

    def _volatile_rollup(self, field: FieldDraft, path: Path, what: str) -> None:
        self._report.add(
            field.piece.document,
            path,
            "volatile_rollup",
            say(
                "The rollup {object}.{field} is stored, but {what} changes by itself (TODAY, NOW or $user).",
                object=field.object,
                field=field.name,
                what=what,
            ),
            say("use a stored field instead"),
        )

    def _reads(self, draft: ObjectDraft, field: FieldDraft) -> set[Node]:
        found: set[Node] = set()
        rollup = field.rollup
        if rollup is not None:
            child = self._drafts.objects[rollup.child]
            found |= {(child.name, rollup.key)} if rollup.key else set()
            found |= self._nodes(child, rollup.filter)
        return found | self._nodes(draft, field.formula)

    def _nodes(self, draft: ObjectDraft, formula: Formula | None) -> set[Node]:
        found: set[Node] = set()
        for path in formula.paths if formula is not None else ():
            if path.startswith("$"):
                continue
            here = draft
            *steps, last = path.split(".")
            for step in steps:
                child, many, via = step.partition(MANY)
                if many:
                    here = self._drafts.objects[child]
                    found.add((child, via))
                else:
                    here = self._drafts.objects[here.keys_of[step].spec.targets[0]]
            found.add((here.name, here.keys_of[last].name))
        return found

    def _report_cycle(self, cycle: tuple[str, ...]) -> None:
        object_name, name = cycle[0].split(".")
        field = self._drafts.objects[object_name].fields[name]
        key = "formula" if field.formula is not None else "of"
        message = say("These fields depend on one another in a circle: {cycle}.", cycle=" → ".join(cycle))
        hint = say("take one of them out of the circle")
        self._report.add(field.piece.document, field.piece.at(key), "circular", message, hint)

    def _spread_volatility(self, before: dict[Node, set[Node]], rank: dict[Node, int]) -> None:
        for node in sorted(rank, key=lambda n: rank[n]):
            field = self._drafts.objects[node[0]].fields[node[1]]
            below = [s for s in before[node] if s in before and self._drafts.objects[s[0]].fields[s[1]].volatile]
            if field.rollup is not None:
                if below:
                    self._volatile_rollup(field, field.piece.path, f"{'.'.join(sorted(below)[0])}")
                continue
            if below and field.formula is not None:
                field.formula = replace(field.formula, volatile=True)
                field.volatile = True
            if field.volatile:
                field.spec = replace(field.spec, options={**field.spec.options, "volatile": True})
                field.parts = field.type.parts(field.spec)
