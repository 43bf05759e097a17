"""many_to_many: links to any number of records of another object, each link with attributes of its own.

There is no column: the links are records of a junction object. The value is a list of ``{"id": …, attribute: value}``;
attributes are coerced by the fields of the junction object, so here only their names are checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from ratoon.platform.fields import text_values
from ratoon.platform.fields.base import Coerce, FieldSpec, FieldType, Part
from ratoon.platform.fields.faces import part, sample_id
from ratoon.platform.fields.lookup import RELATED_LABEL
from ratoon.platform.fields.refusals import refuse, short

MAX_LINKS = 2000
"""Links one record may send at once."""


def attribute_names(spec: FieldSpec) -> tuple[str, ...]:
    """The declared attributes of a link."""
    return tuple(attribute["name"] for attribute in spec.option("attributes", ()))


def links(attributes: tuple[str, ...]) -> Coerce:
    """A list of ids or of ``{"id": …}`` with attributes; each record once. An empty list removes every link."""
    prefixes = tuple(name + "_" for name in attributes)

    def link(item: Any) -> dict[str, Any]:
        found = {"id": text_values.identifier(item)}
        if found["id"] is None:
            raise refuse("not_an_id")
        if isinstance(item, Mapping):
            for name, value in item.items():
                if name in attributes or (isinstance(name, str) and name.startswith(prefixes)):
                    found[name] = value
                elif name not in ("id", "title"):
                    raise refuse("unknown_attribute", name=short(name))
        return found

    def coerce(value: Any) -> list[dict[str, Any]] | None:
        if value is None:
            return None
        if isinstance(value, str):
            value = [item for item in value.replace(";", ",").split(",") if item.strip()]
        if not isinstance(value, list | tuple):
            raise refuse("not_a_list")
        if len(value) > MAX_LINKS:
            raise refuse("too_many_items", max=MAX_LINKS)
        found = [link(item) for item in value]
        seen: set[str] = set()
        for item in found:
            if item["id"] in seen:
                raise refuse("listed_twice", id=item["id"])
            seen.add(item["id"])
        return found

    return coerce


def _plain(value: Any) -> Any:
    return format(value, "f") if isinstance(value, Decimal) else value


def dump_links(value: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The links as the API writes them; decimals among the attributes become text."""
    return [{name: _plain(item) for name, item in link.items()} for link in value]


class ManyToManyType(FieldType):
    """Links to any number of records of another object."""

    name = "many_to_many"
    label = "Many-to-many"
    description = "Links to any number of records of another object; a link may have fields of its own."
    icon = "arrows-exchange"
    required_options = ("object",)
    options = MappingProxyType(
        {
            "object": {"type": "string", "description": "Name of the object to link to."},
            "attributes": {
                "type": "array",
                "maxItems": 20,
                "items": {"type": "object", "required": ["name", "type", "label"]},
                "description": "Fields of the link itself, written like any other field.",
            },
            "related_label": RELATED_LABEL,
        }
    )

    def parts(self, spec: FieldSpec) -> tuple[Part, ...]:
        return (
            part(
                spec.name,
                sql=None,
                coerce=links(attribute_names(spec)),
                dump=dump_links,
                schema={
                    "type": "array",
                    "maxItems": MAX_LINKS,
                    "items": {
                        "type": "object",
                        "required": ["id"],
                        "properties": {"id": {"type": "string", "format": "uuid"}},
                    },
                },
                formula=None,
                operators=("blank", "filled"),
                sortable=False,
            ),
        )

    def widget(self, spec: FieldSpec) -> str:
        return "many_to_many"

    def show(self, spec: FieldSpec, record: Mapping[str, Any], locale: str, time_zone: str) -> str:
        return ", ".join(link.get("title") or link["id"] for link in record.get(spec.name) or ())

    def sample(self, spec: FieldSpec, seed: int) -> Mapping[str, Any]:
        return {spec.name: [{"id": sample_id(seed)}, {"id": sample_id(seed + 1)}]}
