"""Aggregations over related records on PostgreSQL: correlated subqueries, and when one fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Boolean,
    Numeric,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    null,
    or_,
)
from sqlalchemy.types import TypeEngine

from ratoon.platform.formulas.postgresql_forms import FORMS
from ratoon.platform.formulas.sql import SQL_TYPES, Sql
from ratoon.platform.formulas.tree import Apply, Read, relation_of, walk
from ratoon.platform.formulas.types import Type

if TYPE_CHECKING:
    from ratoon.platform.formulas.postgresql import PostgresBuilder


def aggregate(builder: PostgresBuilder, node: Apply, form: str) -> Sql:
    """A correlated subquery; NULL when working out one of the records fails."""
    relation, related = builder.related(node.args)
    with builder.inside(relation, related):
        value = builder.part(node.args[0]) if form in ("MIN_EACH", "MAX_EACH") else builder.value(node.args[0])
        if node.args[0].type is Type.TEXT:
            value = func.nullif(value, "", type_=Text())
        # An aggregate of nothing but outer columns would belong to the outer query.
        there = related.column("id").is_not(None)
        if not any(relation_of(n.key) == relation for n in walk(node.args[0]) if isinstance(n, Read)):
            value = case((there, value), else_=null())
        counts = builder.truth(node.args[1]) if len(node.args) > 1 else None
        failed = _one_fails(builder, node, there)
    answer = _over(form, value, counts if failed is not None else None, SQL_TYPES[node.type])
    query = related.query.where(counts) if counts is not None and failed is None else related.query
    if failed is not None:
        answer = case((failed, null()), else_=answer)
    found: Sql = query.with_only_columns(answer).scalar_subquery()
    return found


def _one_fails(builder: PostgresBuilder, node: Apply, there: Sql) -> Sql | None:
    """Over all related records: working out one that counts fails, or whether it counts. ``None``: cannot fail."""
    reason = builder.fails(node.args[0])
    if len(node.args) == 1:
        return None if reason is None else _any(and_(there, reason))
    counts, doubt = builder.truth(node.args[1]), builder.fails(node.args[1])
    reasons = [doubt] if doubt is not None else []
    if reason is not None:
        reasons.append(and_(counts, reason))
    return _any(and_(there, or_(*reasons))) if reasons else None


def aggregate_fails(builder: PostgresBuilder, node: Apply) -> Sql | None:
    """Whether working out an aggregation fails; ``None`` when it cannot fail."""
    relation, related = builder.related(node.args)
    with builder.inside(relation, related):
        failed = _one_fails(builder, node, related.column("id").is_not(None))
    return None if failed is None else related.query.with_only_columns(failed).scalar_subquery()


def _any(condition: Sql) -> Sql:
    return func.coalesce(func.bool_or(func.coalesce(condition, false())), false(), type_=Boolean())


def _over(form: str, value: Sql, counts: Sql | None, kind: TypeEngine[Any]) -> Sql:
    """The aggregate of a value over the rows (that count)."""

    def only(function: Any) -> Sql:
        return function if counts is None else function.filter(counts)

    match form:
        case "SUM_EACH":
            return func.coalesce(only(func.sum(value, type_=Numeric())), 0, type_=Numeric())
        case "COUNT_EACH":
            return cast(only(func.count(value)), Numeric())
        case "AVG_EACH":
            return FORMS["divide"](only(func.sum(value, type_=Numeric())), cast(only(func.count(value)), Numeric()))
        case "MIN_EACH":
            return only(func.min(value, type_=kind))
    return only(func.max(value, type_=kind))
