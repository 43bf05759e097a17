"""hierarchy: points at the record above, of the same object. Circles are refused."""

from __future__ import annotations

from types import MappingProxyType

from ratoon.platform.fields.lookup import FILTER, ON_DELETE, RELATED_LABEL, RELATED_NAME, LookupType


class HierarchyType(LookupType):
    """Points at the record above, of the same object."""

    name = "hierarchy"
    label = "Hierarchy"
    description = "Points at the record above, of the same object; a circle is refused."
    icon = "sitemap"
    required_options = ()
    options = MappingProxyType(
        {"on_delete": ON_DELETE, "filter": FILTER, "related_label": RELATED_LABEL, "related_name": RELATED_NAME}
    )
