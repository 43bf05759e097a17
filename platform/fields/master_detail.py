"""master_detail: this record is a part of another one: it is deleted with it and shares its access."""

from __future__ import annotations

from types import MappingProxyType

from ratoon.platform.fields.lookup import FILTER, RELATED_LABEL, RELATED_NAME, LookupType


class MasterDetailType(LookupType):
    """Makes this record a part of another one."""

    name = "master_detail"
    label = "Master-detail"
    description = "Makes this record a part of another one: always required, deleted with it, seen by who sees it."
    icon = "hierarchy-2"
    options = MappingProxyType(
        {
            "object": {"type": "string", "description": "Name of the object this record is a part of."},
            "reparent": {
                "type": "boolean",
                "default": False,
                "description": "Whether a record may be moved to another parent.",
            },
            "filter": FILTER,
            "related_label": RELATED_LABEL,
            "related_name": RELATED_NAME,
        }
    )
