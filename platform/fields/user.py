"""user: points at a user."""

from __future__ import annotations

from types import MappingProxyType

from ratoon.platform.fields.base import FieldSpec
from ratoon.platform.fields.lookup import FILTER, ON_DELETE, RELATED_LABEL, RELATED_NAME, LookupType


class UserType(LookupType):
    """Points at a user."""

    name = "user"
    label = "User"
    description = "Points at somebody who uses the system."
    icon = "user"
    required_options = ()
    options = MappingProxyType(
        {"on_delete": ON_DELETE, "filter": FILTER, "related_label": RELATED_LABEL, "related_name": RELATED_NAME}
    )

    def widget(self, spec: FieldSpec) -> str:
        return "user"
