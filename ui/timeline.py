"""What happened to a record, as the history tab shows it: changes of fields, and the time spent in each stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from babel.dates import format_timedelta
from flask_babel import gettext as _

from ratoon.platform.errors import Invalid
from ratoon.platform.fields.stage import DUE
from ratoon.platform.metadata.model import Field, Object
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage.history import TICKED, UNTICKED
from ratoon.ui.i18n import babel_locale
from ratoon.ui.present import Presenter, Shown, stage_color
from ratoon.ui.screen import Screen


@dataclass(frozen=True)
class Entry:
    """One field of one change."""

    label: str
    old: Shown
    new: Shown
    created: bool


@dataclass(frozen=True)
class Happening:
    """One save."""

    by: str
    when: str
    entries: list[Entry]


@dataclass(frozen=True)
class Period:
    """A stay in a stage."""

    label: str
    color: str
    length: str
    entered: str
    left: str
    by: str
    open: bool
    share: int
    """Percent of the whole time, for the bar."""


def changes_of(
    screen: Screen, records: RecordService, presenter: Presenter, object: Object, id: str
) -> list[Happening]:
    """The changes of a record, newest first, with values as people read them."""
    saves = records.history(object.name, id)
    rows = [_row(object, save, side) for save in saves for side in (0, 1)]
    presenter.load_titles(records, object, rows, list(object.parts))
    presenter.want(records, {"user": [s["by"] for s in saves if s["by"]]})
    names = presenter.titles.get("user", {})
    happenings = []
    for save in saves:
        old, new = _row(object, save, 0), _row(object, save, 1)
        entries = []
        for name in dict.fromkeys(object.field_of[k].name for k in save["changes"] if k in object.field_of):
            field = object.fields[name]
            pair = (presenter.show_field(field, old), presenter.show_field(field, new))
            entries.append(Entry(screen.label(field), *pair, created=save["action"] == "created"))
        if save["action"] in (TICKED, UNTICKED):
            done = save["action"] == TICKED
            entries += [
                Entry(
                    _task_label(screen, object, key),
                    Shown("", ""),
                    Shown("", "", text=_("Done") if done else _("Open again")),
                    True,
                )
                for key in save["changes"]
            ]
        if not entries:
            words = {"created": _("Created"), "deleted": _("Deleted"), "restored": _("Restored"), "erased": _("Erased")}
            text = words.get(save["action"])
            if text is None:
                continue
            blank = Shown("", "")
            entries.append(Entry("", blank, Shown("", "", text=text), True))
        happenings.append(Happening(names.get(save["by"], ""), presenter.moment(save["at"]), entries))
    return happenings


def _task_label(screen: Screen, object: Object, key: str) -> str:
    """What a task is called that the history names as ``stage.task``; the key when the metadata lost it."""
    stage_name, _dot, name = key.partition(".")
    for pipeline in object.pipelines:
        stage = pipeline.by_name.get(stage_name)
        for task in stage.checklist if stage is not None else ():
            if task.name == name:
                return screen.translate(task.label, pipeline.owner)
    return key


def _row(object: Object, save: Mapping[str, Any], side: int) -> dict[str, Any]:
    """One side of a change as a record: values as JSON become values as Python has them."""
    row: dict[str, Any] = {}
    due = object.stage_field.name + DUE if object.stage_field is not None else ""
    for key, pair in save["changes"].items():
        part, value = object.parts.get(key), pair[side]
        if part is None or key == due:  # what is late now was not late then
            continue
        try:
            row[key] = value if value is None else part.coerce(value)
        except Invalid:
            row[key] = str(value)
    return row


def periods_of(screen: Screen, records: RecordService, presenter: Presenter, object: Object, id: str) -> list[Period]:
    """The stays in stages, newest first."""
    field: Field | None = object.stage_field
    stays = records.stage_history(object.name, id)
    if field is None or not stays:
        return []
    presenter.want(records, {"user": [s["by"] for s in stays if s["by"]]})
    names = presenter.titles.get("user", {})
    whole = sum(s["seconds"] for s in stays) or 1
    periods = []
    for stay in stays:
        place = {field.name: stay["stage"], f"{field.name}_pipeline": stay["pipeline"]}
        stage, label = presenter.stage_of(field, place), presenter.stage_label(field, place)
        left: datetime | None = stay["left_at"]
        periods.append(
            Period(
                label, stage_color(stage) if stage else "secondary", spell(screen, stay["seconds"]),
                presenter.moment(stay["entered_at"]), presenter.moment(left) if left else "",
                names.get(stay["by"], ""), left is None, round(100 * stay["seconds"] / whole),
            )
        )  # fmt: skip
    return periods[::-1]


def spell(screen: Screen, seconds: int) -> str:
    """A length of time in words: ``3 days``."""
    if seconds < 60:
        return _("less than a minute")
    return str(format_timedelta(seconds, granularity="minute", locale=babel_locale(screen.locale)))
