"""``Idempotency-Key``: a call that is sent again gets the answer of the first time, and nothing is done twice.

The answer is kept in the same transaction as the work, so it is there exactly if the work is. A call that was refused
keeps nothing and may be tried again with the same key. Of two calls at the same time, the second waits for the first.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from flask import Response, request

from ratoon.platform.access.actor import Actor
from ratoon.platform.api.context import Api
from ratoon.platform.errors import BadRequest
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage import idempotency

HEADER = "Idempotency-Key"
KEPT_HEADERS = ("ETag", "Location", "Content-Type")
_KEY = re.compile(r"[!-~]{1,255}")


def once(api: Api, actor: Actor, work: Callable[[RecordService], Response]) -> Response:
    """Runs ``work`` in a transaction, at most once per key and caller if the request carries a key."""
    key = request.headers.get(HEADER)
    if key is None:
        return api.environment.transact(actor, work)
    if not _KEY.fullmatch(key):
        raise BadRequest("{header} is 1 to 255 visible ASCII characters.", field=HEADER, header=HEADER)
    digest = _digest()
    clock = api.environment.world.clock

    def guarded(records: RecordService) -> Response:
        before = idempotency.begin(records.connection, actor.id or "system", key, digest, clock())
        if before is not None:
            return Response(before.body, before.status, {**before.headers, "Idempotent-Replayed": "true"})
        response = work(records)
        kept = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
        answer = idempotency.Answer(response.status_code, kept, response.get_data())
        idempotency.finish(records.connection, actor.id or "system", key, answer)
        return response

    return api.environment.transact(actor, guarded)


def _digest() -> str:
    """What makes a call the same call: method, address and body."""
    made = hashlib.sha256(f"{request.method} {request.full_path}\n".encode())
    made.update(request.get_data())
    return made.hexdigest()
