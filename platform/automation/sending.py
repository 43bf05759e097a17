"""What an automation writes to people and programs: mails, notifications and the bodies of calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from ratoon.platform.automation.actions import ActionRun
from ratoon.platform.automation.mailing import Mail, addresses
from ratoon.platform.automation.rendering import Reader, reader_of, render_all, values_of
from ratoon.platform.automation.webhooks import Call, Undelivered
from ratoon.platform.errors import NotFound
from ratoon.platform.formulas.batch import write_value
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.metadata.model import Action, Automation, Object, Registry
from ratoon.platform.metadata.template_model import Template
from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage.notifications import notify

SILENT = frozenset({"secret", "file", "image"})
"""Types of fields that a call does not send unless its values say so."""


@dataclass(frozen=True)
class Messages:
    """Makes the messages of one automation."""

    registry: Registry
    object: Object
    automation: Automation
    event: str
    organization: Mapping[str, Any]
    reader: Reader
    """Language and zone where the receiver is no user."""
    public_url: str = ""

    def paths(self, action: Action) -> frozenset[str]:
        """The fields that the action's template reads, and those a call sends by default."""
        template = self._template(action)
        return template.paths if template is not None else frozenset()

    def mail(self, records: RecordService, action: Action, draft: Draft, context: EvalContext, key: str) -> Mail:
        """The mail for one record. Raises ``FormulaError``, ``TemplateFailed``, ``Undelivered``."""
        found = {kind: self._people(records, action, kind, draft, context) for kind in ("to", "cc", "bcc", "reply_to")}
        to, reader = found["to"]
        if not to:
            raise Undelivered("There is nobody to send it to.", passing=False)
        texts = self._texts(action, draft, context, reader)
        return Mail(
            to=to,
            subject=texts["subject"],
            text=texts.get("text") or texts["subject"],
            html=texts.get("html"),
            cc=found["cc"][0],
            bcc=found["bcc"][0],
            reply_to=found["reply_to"][0],
            key=key,
        )

    def notify(self, run: ActionRun, run_id: str, step: str) -> None:
        """Tells users, in the transaction of the step."""
        for draft, context in zip(run.drafts, run.contexts, strict=True):
            users = self._users(run.records, _evaluated(run.action.options["to"], draft, context))
            for user in users:
                texts = self._texts(run.action, draft, context, reader_of(user, self.reader))
                notify(
                    run.records.connection,
                    run.records.engine.world,
                    user["id"],
                    texts["subject"],
                    texts.get("text", ""),
                    object=self.object.name,
                    record=draft.id,
                    key=f"{run_id}/{step}/{draft.id}/{user['id']}",
                    rule=self.automation.full_name,
                    kind=run.action.options.get("kind") or "automation",
                )

    def call(self, records: RecordService, action: Action, draft: Draft, context: EvalContext, key: str) -> Call:
        """The call for one record. Raises ``FormulaError``."""
        if action.values:
            record = {name: write_value(f.evaluate(draft.row, context)) for name, f in action.values.items()}
        else:
            record = self._whole(records, draft)
        body = {
            "event": self.event,
            "rule": self.automation.full_name,
            "object": self.object.name,
            "id": draft.id,
            "record": record,
        }
        options = action.options
        return Call(
            url=options["url"],
            body=orjson.dumps(body, option=orjson.OPT_SORT_KEYS),
            key=key,
            method=options["method"],
            headers=options["headers"],
            timeout=float(options["timeout"]),
        )

    def _whole(self, records: RecordService, draft: Draft) -> dict[str, Any]:
        plan = records.plan(self.object.name)
        keys = [k for k in plan.readable if self.object.field_of[k].type.name not in SILENT and k in draft.row]
        found = {}
        for key in keys:
            value, dump = draft.row[key], plan.dump[key]
            found[key] = dump(value) if dump is not None and value is not None else value
        return orjson.loads(orjson.dumps(found, default=write_value, option=orjson.OPT_UTC_Z))

    def _template(self, action: Action) -> Template | None:
        name = action.options.get("template")
        if name is None:
            return None
        template = self.registry.templates.get(name)
        if template is None:
            raise NotFound("There is no template {template}.", template=name)
        return template

    def _texts(self, action: Action, draft: Draft, context: EvalContext, reader: Reader) -> Mapping[str, str]:
        template = self._template(action)
        if template is None:
            found = {part: _evaluated(action.options.get(part), draft, context) for part in ("subject", "text")}
            return {part: str(value) for part, value in found.items() if value is not None} or {"subject": ""}
        names = {
            "record": values_of(self.registry, self.object, draft.row, template.paths, reader),
            "organization": dict(self.organization),
            "user": dict(context.user),
            "url": f"{self.public_url}/o/{self.object.name}/{draft.id}",
        }
        return render_all(template, names, reader)

    def _people(
        self, records: RecordService, action: Action, kind: str, draft: Draft, context: EvalContext
    ) -> tuple[tuple[str, ...], Reader]:
        value = _evaluated(action.options.get(kind), draft, context)
        if value is None:
            return (), self.reader
        if "@" in str(value):
            return addresses(str(value)), self.reader
        users = self._users(records, value)
        reader = reader_of(users[0], self.reader) if users else self.reader
        return addresses(",".join(u["email"] for u in users if u["email"])), reader

    def _users(self, records: RecordService, value: Any) -> list[Mapping[str, Any]]:
        """The active users that ids (one, or several separated by commas) name."""
        ids = [part.strip() for part in str(value or "").split(",") if part.strip()]
        good = [i for i in ids if len(i) == 36]
        if not good:
            return []
        rows = records.engine.store.load(records.connection, "user", good)
        return [rows[i] for i in good if i in rows and rows[i]["active"]]


def _evaluated(formula: Any, draft: Draft, context: EvalContext) -> Any:
    return None if formula is None else formula.evaluate(draft.row, context)
