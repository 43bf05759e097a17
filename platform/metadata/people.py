"""Who, written as metadata: the approvers of a step, the people that an assignment gives records to.

Each entry says one thing: a role (everybody who has it), a user (by e-mail address), a field of the record (a user,
also through lookups), the manager of such a user, or a formula that gives the id or the address of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ratoon.platform.formulas import Formula

Kind = Literal["role", "user", "field", "manager_of", "formula"]


@dataclass(frozen=True)
class Person:
    """One entry of a list of people."""

    kind: Kind
    name: str
    """The role, the e-mail address, or the source of the formula."""
    formula: Formula | None = None
    """For field, manager_of and formula: what gives the user."""
