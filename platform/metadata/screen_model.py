"""What layouts and views compile to: what a record page shows, and the named lists of an object's records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ratoon.platform.formulas import Formula


@dataclass(frozen=True)
class Section:
    """A part of a layout."""

    name: str
    label: str
    fields: tuple[str, ...]
    columns: int = 2
    visible_when: Formula | None = None
    collapsed: bool = False


@dataclass(frozen=True)
class RelatedList:
    """Child records shown on the parent's page."""

    object: str
    field: str
    label: str
    columns: tuple[str, ...]
    sort: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True)
class Layout:
    """What a record page and its forms show."""

    object: str
    name: str
    label: str
    sections: tuple[Section, ...]
    related: tuple[RelatedList, ...] = ()
    highlights: tuple[str, ...] = ()
    """Fields shown big at the top of the record page."""
    owner: str = "local"


@dataclass(frozen=True)
class View:
    """A named list of records."""

    object: str
    name: str
    label: str
    columns: tuple[str, ...]
    kind: Literal["list", "board", "calendar"] = "list"
    filter: Formula | None = None
    filter_source: str = ""
    sort: tuple[tuple[str, bool], ...] = ()
    """(key, descending)"""
    group_by: str | None = None
    """Board: the stage or picklist field."""
    date_field: str | None = None
    """Calendar: the date."""
    default: bool = False
    order: int = 0
    owner: str = "local"
