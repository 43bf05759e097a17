"""image: a picture kept by the platform. The value is the id of the stored file."""

from __future__ import annotations

from types import MappingProxyType

from ratoon.platform.fields.base import FieldSpec
from ratoon.platform.fields.file import MAX_BYTES, FileType


class ImageType(FileType):
    """A picture kept by the platform."""

    name = "image"
    label = "Image"
    description = "A picture kept with the record: PNG, JPEG, GIF or WebP."
    icon = "photo"
    options = MappingProxyType({"max_bytes": MAX_BYTES})
    accepted = ("image/png", "image/jpeg", "image/gif", "image/webp")

    def widget(self, spec: FieldSpec) -> str:
        return "image"
