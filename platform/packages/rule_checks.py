"""A validation rule asked of the records that are there: how many break it, and which.

``check_rules`` asks the rules that stand, also those that only warn or are switched off; ``check_formula`` asks a
formula that is no rule yet. Nothing is changed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from ratoon.platform.errors import BadRequest, FormulaError, NotFound
from ratoon.platform.formulas import compile_formula
from ratoon.platform.formulas.types import Type
from ratoon.platform.metadata.model import Object, Registry, Rule
from ratoon.platform.packages.breaking import CEILING, RuleCheck
from ratoon.platform.packages.notes import Sample
from ratoon.platform.packages.target import Target
from ratoon.platform.storage import revisions
from ratoon.platform.storage.tables import Tables


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """What the records say to one rule."""

    object: str
    rule: str
    error_when: str
    severity: str
    count: int | None
    """Records that break it, counted up to 100,001; ``None``: the database cannot say (it compares with the value
    before the change, or uses something that SQL has not)."""
    samples: tuple[Sample, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the API."""
        return {**asdict(self), "more": self.count is not None and self.count > CEILING}


def check_rules(target: Target, object_name: str, rule: str | None = None) -> list[RuleOutcome]:
    """The outcome of one rule of an object, or of all. Raises ``NotFound``."""
    with target.database.read() as connection:
        registry = _registry(target, connection)
        obj = _object(registry, object_name)
        rules = [r for r in obj.rules if rule is None or r.name == rule]
        if rule is not None and not rules:
            raise NotFound("{object} has no rule {rule}.", object=obj.name, rule=rule)
        checker = RuleCheck(target, connection, registry, Tables(registry, target.database.dialect))
        return [_outcome(checker, obj, one) for one in rules]


def check_formula(target: Target, object_name: str, error_when: str) -> RuleOutcome:
    """Which records a rule with that formula would refuse. Raises ``BadRequest`` for one that does not compile."""
    with target.database.read() as connection:
        registry = _registry(target, connection)
        obj = _object(registry, object_name)
        try:
            formula = compile_formula(
                error_when, registry.scopes[obj.name], expects=Type.BOOLEAN, functions=target.language.functions
            )
        except FormulaError as error:
            raise BadRequest("The formula is not valid: {reason}", field="error_when", reason=error.text()) from error
        checker = RuleCheck(target, connection, registry, Tables(registry, target.database.dialect))
        return _outcome(checker, obj, Rule("formula", formula, ""))


def _registry(target: Target, connection: Any) -> Registry:
    registry = target.registry_at(connection, revisions.current_revision(connection))
    if registry is None:
        raise NotFound("No metadata has been applied yet.")
    return registry


def _object(registry: Registry, name: str) -> Object:
    found = registry.objects.get(registry.aliases.object(name))
    if found is None:
        raise NotFound("There is no object {object}.", object=name)
    return found


def _outcome(checker: RuleCheck, obj: Object, rule: Rule) -> RuleOutcome:
    shown = RuleOutcome(obj.name, rule.name, rule.error_when.source, rule.severity, None)
    if not checker.checkable(obj, rule):
        return shown
    count, samples = checker.breaking(obj, rule)
    return replace(shown, count=count, samples=samples)
