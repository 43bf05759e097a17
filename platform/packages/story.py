"""The files of a demo story, read: what is made or changed on which day. The format is described in ``demo.py``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from ratoon.platform.errors import BadRequest


@dataclass(frozen=True, slots=True)
class Step:
    """One record made or changed on one day."""

    day: int
    place: int
    """Which file: files are played in the order of their names."""
    object: str
    key: str
    values: Mapping[str, Any]
    create: bool
    needs: frozenset[str]
    """``object.key`` of the records that must be there before."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Users: roles, admin, password."""


@dataclass(frozen=True, slots=True)
class Update:
    """The same change for every record that a formula finds."""

    day: int
    object: str
    where: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Submission:
    """A record that its owner submits for approval on one day, and the answers it got."""

    day: int
    object: str
    key: str
    approval: str
    comment: str = ""
    answers: tuple[Mapping[str, Any], ...] = ()
    """``{"by": "@user.guo", "approve": true, "comment": "…"}``, in order."""


@dataclass(frozen=True, slots=True)
class Story:
    """Everything the files of a folder say."""

    steps: tuple[Step, ...]
    updates: tuple[Update, ...]
    submissions: tuple[Submission, ...] = ()


def read_story(folder: Path) -> Story:
    """The story in a folder's JSON files. Raises ``BadRequest`` naming the file that is no part of one."""
    steps: list[Step] = []
    updates: list[Update] = []
    submissions: list[Submission] = []
    for place, file in enumerate(sorted(folder.glob("*.json"))):
        try:
            data = orjson.loads(file.read_bytes())
            steps += _steps(data, place)
            updates += [Update(u["day"], data["object"], u["where"], u["values"]) for u in data.get("updates", ())]
            for s in data.get("submissions", ()):
                answers = tuple(s.get("answers", ()))
                made = Submission(s["day"], data["object"], s["key"], s["approval"], s.get("comment", ""), answers)
                submissions.append(made)
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise BadRequest("{file} is not demo data: {error}", file=file.name, error=repr(error)) from error
    return Story(tuple(steps), tuple(updates), tuple(submissions))


def _steps(data: Mapping[str, Any], place: int) -> Iterator[Step]:
    object_name = data["object"]
    for record in data["records"]:
        extra = {"password": data.get("password"), **{k: record[k] for k in ("roles", "admin") if k in record}}
        day, key, values = record["day"], record["key"], record["values"]
        yield Step(day, place, object_name, key, values, True, _needs(values), extra)
        for change in record.get("changes", ()):
            needs = _needs(change["values"])
            yield Step(change["day"], place, object_name, key, change["values"], False, needs)


def _needs(value: Any) -> frozenset[str]:
    if isinstance(value, str):
        return frozenset([value[1:]]) if value.startswith("@") and "." in value else frozenset()
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, list):
        return frozenset()
    return frozenset().union(*map(_needs, value))
