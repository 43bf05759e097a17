"""secret: text that goes in and never comes out: a key or password of another system.

The API, lists, exports and history show only ``MARKER`` when there is one. It is kept as it is in the database, so
who may read the database may read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Text

from ratoon.platform.fields import text_values
from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import PRESENCE_OPERATORS, column, part
from ratoon.platform.fields.refusals import refuse

MARKER = "••••••••"
"""What is shown in place of a stored secret."""
MAX_LENGTH = 4000
_plain = text_values.text(MAX_LENGTH, multiline=True)


def secret(value: Any) -> str | None:
    """The secret; the marker itself is refused, or a client that sends records back would store it."""
    found: str | None = _plain(value)
    if found == MARKER:
        raise refuse("secret_marker")
    return found


class SecretType(FieldType):
    """Text that goes in and never comes out."""

    name = "secret"
    label = "Secret"
    description = "A key or password of another system: it can be set and replaced, never read."
    icon = "lock"

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return (
            part(
                spec.name,
                sql=column(Text),
                coerce=secret,
                dump=lambda value: MARKER,
                schema={"type": "string", "maxLength": MAX_LENGTH},
                formula=None,
                operators=PRESENCE_OPERATORS,
                sortable=False,
            ),
        )

    def widget(self, spec: FieldSpec) -> str:
        return "secret"

    def show(self, spec: FieldSpec, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
        return "" if record.get(spec.name) is None else MARKER

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {spec.name: f"sample-secret-{seed}"}
