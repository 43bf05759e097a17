"""Calendars: which days are working days somewhere. Weekends, holidays, and the weekend days that are worked instead.

    calendars/cn.json
    {"kind": "calendar", "name": "cn", "label": "Mainland China", "time_zone": "Asia/Shanghai",
     "holidays": [{"from": "2026-02-15", "to": "2026-02-23", "label": "Spring Festival"}],
     "working_days": [{"date": "2026-02-14"}, {"date": "2026-02-28"}]}

A calendar that ``extends`` another one has its days and adds its own, which count first: a company's closing days, or
the next year of a country. Date-relative rules, working hours of assignments and the days that a stage may take name
one.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ratoon.platform.errors import Hint, Text, say
from ratoon.platform.metadata.calendar_model import DAYS, LONGEST, WEEKDAYS, Calendar
from ratoon.platform.metadata.names import suggestion

if TYPE_CHECKING:
    from ratoon.platform.metadata.documents import Document
    from ratoon.platform.metadata.drafts import Drafts
    from ratoon.platform.metadata.report import Path, Report


def compile_calendars(drafts: Drafts, report: Report) -> dict[str, Calendar]:
    """The calendars by name; what is wrong is reported."""
    return {name: _Compiler(drafts, report).calendar(name, ()) for name in drafts.calendars}


def known_calendar(drafts: Drafts, document: Document, path: Path, name: str | None, report: Report) -> Calendar | None:
    """The calendar of that name; one that is not there is reported."""
    if name is None:
        return None
    if name not in drafts.calendars:
        if not report.suspected(name):
            message = say("There is no calendar {name}.", name=repr(name))
            report.add(
                document, path, "unknown_calendar", message, suggestion(name, drafts.calendars, say("calendars"))
            )
        return None
    return _Compiler(drafts, None).calendar(name, ())


class _Compiler:
    def __init__(self, drafts: Drafts, report: Report | None) -> None:
        self._drafts = drafts
        self._report = report

    def calendar(self, name: str, below: tuple[str, ...]) -> Calendar:
        document = self._drafts.calendars[name]
        data, base = document.data, WEEKDAYS
        above = data.get("extends")
        if above is not None:
            if above in (*below, name):
                self._add(document, ("extends",), "cycle", say("{name} extends itself.", name=repr(name)))
            elif above not in self._drafts.calendars:
                hint = suggestion(above, self._drafts.calendars, say("calendars"))
                message = say("There is no calendar {name}.", name=repr(above))
                self._add(document, ("extends",), "unknown_calendar", message, hint)
            else:
                base = _Compiler(self._drafts, None).calendar(above, (*below, name))
        free = self._days(document, "holidays", data.get("holidays", ()))
        worked = self._days(document, "working_days", data.get("working_days", ()))
        for day in sorted(free.keys() & worked.keys()):
            message = say("{day} is a holiday and a working day.", day=day)
            self._add(document, ("working_days", worked[day]), "contradiction", message)
        weekend = frozenset(DAYS.index(day) for day in data["weekend"]) if "weekend" in data else base.weekend
        zone = data.get("time_zone", base.time_zone)
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            message = say("There is no time zone {name}.", name=repr(zone))
            self._add(document, ("time_zone",), "unknown_time_zone", message)
            zone = "UTC"
        days = {**base.days, **dict.fromkeys(free, False), **dict.fromkeys(worked, True)}
        return Calendar(name, data["label"], weekend, days, zone, document.package)

    def _days(self, document: Document, key: str, items: Any) -> dict[date, int]:
        """Each day with the place of its entry."""
        found: dict[date, int] = {}
        for place, item in enumerate(items):
            try:
                first = date.fromisoformat(item.get("date") or item.get("from"))
                end = date.fromisoformat(item.get("date") or item.get("to"))
            except (ValueError, TypeError):
                message = say('Say either "date", or "from" and "to": days that exist, such as 2026-10-01.')
                self._add(document, (key, place), "bad_value", message)
                continue
            if not 0 <= (end - first).days < LONGEST:
                message = say("From {first} to {end} is no span of at most a year.", first=first, end=end)
                self._add(document, (key, place), "bad_value", message)
                continue
            found.update({first + timedelta(days=n): place for n in range((end - first).days + 1)})
        return found

    def _add(self, document: Document, path: Path, code: str, message: Text, hint: Hint = "") -> None:
        if self._report is not None:
            self._report.add(document, path, code, message, hint)
