"""``Idempotency-Key``: a call that is sent again gets the answer of the first time, and nothing is done twice.

The answer is kept for a day, in the same transaction as the work, so it is there exactly if the work is. A call that
was refused keeps nothing and may be tried again with the same key. Of two calls at the same time, the second waits for
the first.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from flask import Response, request

from ratoon.platform.access.actor import Actor
from ratoon.platform.api.context import Api
from ratoon.platform.errors import BadRequest
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage import idempotency

HEADER = "Idempotency-Key"
REMEMBERED = timedelta(days=1)
"""How long a call can be repeated."""
CLEANED_EVERY = timedelta(hours=1)
KEPT_HEADERS = ("ETag", "Location", "Content-Type")
Done = TypeVar("Done")
_KEY = re.compile(r"[!-~]{1,255}")


class Repeats:
    """Runs calls once per key."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._cleaned: datetime | None = None

    def once(self, actor: Actor, work: Callable[[RecordService], Done], shown: Callable[[Done], Response]) -> Response:
        """Runs ``work`` in a transaction, at most once per key and caller if the request carries a key; ``shown`` makes
        the answer, after the commit when it need not be kept: nobody waits for the database meanwhile."""
        key = request.headers.get(HEADER)
        if key is None:
            return shown(self._api.environment.transact(actor, work))
        if not _KEY.fullmatch(key):
            raise BadRequest("{header} is 1 to 255 visible ASCII characters.", field=HEADER, header=HEADER)
        who, digest, now = actor.id or "system", _digest(), self._api.environment.world.clock()

        def guarded(records: RecordService) -> Response:
            before = idempotency.begin(records.connection, who, key, digest, now)
            if before is not None:
                return Response(before.body, before.status, {**before.headers, "Idempotent-Replayed": "true"})
            response = shown(work(records))
            kept = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
            answer = idempotency.Answer(response.status_code, kept, response.get_data())
            idempotency.finish(records.connection, who, key, answer)
            self._clean(records, now)
            return response

        return self._api.environment.transact(actor, guarded)

    def _clean(self, records: RecordService, now: datetime) -> None:
        """Now and then forgets what is too old to be repeated."""
        if self._cleaned is None or now - self._cleaned > CLEANED_EVERY:
            self._cleaned = now
            idempotency.forget_before(records.connection, now - REMEMBERED)


def _digest() -> str:
    """What makes a call the same call: method, address and body."""
    made = hashlib.sha256(f"{request.method} {request.full_path}\n".encode())
    made.update(request.get_data())
    return made.hexdigest()
