"""Plugins as part of the order of execution: the save hooks seen as ``records.engine.Reactions``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from ratoon.platform.metadata.model import Object
from ratoon.platform.plugins import Plugins
from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.engine import Event, Step
from ratoon.platform.records.service import RecordService


class PluginReactions:
    """Calls ``before_save`` and ``after_save`` of every plugin."""

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins
        hook = plugins.hook
        self._before = hook.before_save if hook.before_save.get_hookimpls() else None
        self._after = hook.after_save if hook.after_save.get_hookimpls() else None

    def before_save(self, records: RecordService, object: str, event: Event, drafts: Sequence[Draft]) -> None:
        """Step 4, after the automations."""
        if self._before is not None:
            self._before(records=records, object=object, event=event, drafts=drafts)

    def after_save(self, records: RecordService, object: str, event: Event, drafts: Sequence[Draft]) -> None:
        """Step 11, after the automations."""
        if self._after is not None:
            self._after(records=records, object=object, event=event, drafts=drafts)

    def enqueue(self, records: RecordService, touched: Mapping[str, Mapping[str, Event]]) -> None:
        """Nothing: plugins hear of it by ``after_commit``."""

    def explain(self, object: Object, event: Event, phase: Literal["before", "after", "job"]) -> Sequence[Step]:
        """The plugins that run there, in order."""
        hook = {"before": "before_save", "after": "after_save"}.get(phase)
        if hook is None or (phase == "before" and event in ("deleted", "restored")):
            return ()
        return [Step("hook", f"{name}.{hook}") for name in self._plugins.implementers(hook)]
