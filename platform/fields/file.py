"""file: a file kept by the platform. The value is the id of the stored file, given by the upload."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from ratoon.platform.fields import text_values
from ratoon.platform.fields.base import FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import PRESENCE_OPERATORS, column, part, sample_id
from ratoon.platform.formulas.columns import Id

MAX_BYTES: Mapping[str, Any] = {
    "type": "integer",
    "minimum": 1,
    "maximum": 1_000_000_000,
    "default": 10_000_000,
    "description": "The largest file that may be uploaded, in bytes.",
}


class FileType(FieldType):
    """A file kept by the platform."""

    name = "file"
    label = "File"
    description = "A file kept with the record."
    icon = "paperclip"
    options = MappingProxyType(
        {
            "max_bytes": MAX_BYTES,
            "accept": {
                "type": "array",
                "items": {"type": "string", "pattern": r"^(\.[a-z0-9]+|[a-z]+/([a-z0-9.+-]+|\*))$"},
                "description": "What may be uploaded: endings (.pdf) and media types (image/*). Default: anything.",
            },
        }
    )
    accepted: ClassVar[tuple[str, ...]] = ()
    """What may be uploaded when the field does not say."""

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return (
            part(
                spec.name,
                sql=column(Id),
                coerce=text_values.identifier,
                schema={"type": "string", "format": "uuid", "description": "id of the uploaded file"},
                formula=None,
                operators=PRESENCE_OPERATORS,
                sortable=False,
            ),
        )

    def accepts(self, spec: FieldSpec) -> tuple[str, ...]:
        """Endings and media types that may be uploaded; empty = anything."""
        return tuple(spec.option("accept", self.accepted))

    def widget(self, spec: FieldSpec) -> str:
        return "file"

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {spec.name: sample_id(seed)}
