"""One change of the schema, as a plan shows it, and carrying changes out.

A change knows its SQL for reading and a sentence for the plan; ``apply_changes`` does it with Alembic's operations in
the caller's transaction. What must change is found out in ``schema.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Connection

from ratoon.platform.errors import Text
from ratoon.platform.storage.database import driver
from ratoon.platform.storage.filling import Progress, silent
from ratoon.platform.storage.present import Present, operations_on
from ratoon.platform.storage.retyping import Retyping

if TYPE_CHECKING:
    from alembic.operations import Operations


Kind = Literal[
    "create_table", "add_column", "change_type", "create_index", "drop_index", "add_foreign_key", "keep_data"
]
ORDER: tuple[Kind, ...] = (
    "drop_index",
    "create_table",
    "keep_data",
    "change_type",
    "add_column",
    "add_foreign_key",
    "create_index",
)
"""Changes are applied in this order: what a later one needs is there."""


@dataclass(frozen=True)
class Change:
    """One change of the schema."""

    kind: Kind
    table: str
    name: str
    """The column, index or constraint; the table itself for ``create_table``."""
    description: Text
    sql: str = ""
    """What will run, for reading; a change of type that looks at every row has none."""
    destructive: bool = False
    """True when values may be lost from view (they stay in a column under another name)."""
    run: Callable[[Operations, Present], None] = field(default=lambda operations, present: None, repr=False)
    retyping: Retyping | None = field(default=None, repr=False)
    """A change of type that can be prepared beforehand."""


def apply_changes(
    connection: Connection, wanted: Sequence[Change], *, revision: int = 0, progress: Progress = silent
) -> None:
    """Runs the changes on a write transaction, for the revision that is being made. Raises ``errors.Conflict`` at the
    end of the transaction when data does not allow it (a new unique key that is not unique)."""
    if not wanted:
        return
    postgresql = connection.dialect.name == "postgresql"
    if postgresql:
        driver(connection).execute("SET CONSTRAINTS ALL IMMEDIATE")
    operations = operations_on(connection)
    present = Present(connection, revision=revision, progress=progress)
    for change in wanted:
        change.run(operations, present)
    if postgresql:
        driver(connection).execute("SET CONSTRAINTS ALL DEFERRED")
