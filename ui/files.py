"""Uploaded files: taken in with a form, handed out to who may read the record they belong to.

Bytes lie in the files folder, named by id; what is known about them is in ``ratoon_file``. What a file is, its bytes
say (``sniffing.py``). A file goes out as a download; only the usual picture formats are shown in the page, and never
with a type that a browser would run.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flask import send_file
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import FileStorage

from ratoon.platform.errors import Forbidden, NotFound, Problem
from ratoon.platform.metadata.model import Field, Object
from ratoon.platform.records.service import RecordService
from ratoon.platform.storage.files import File, add_file, attach_files, load_files
from ratoon.ui.screen import Screen
from ratoon.ui.sniffing import HEAD, Sniffed, clean_name, sniff

if TYPE_CHECKING:
    from ratoon.ui.posting import Posted

PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
DEFAULT_MOST = 10_000_000


@dataclass(frozen=True)
class Upload:
    """A file that came with a form, for a field."""

    key: str
    given: FileStorage


def refuse_upload(field: Field, given: FileStorage) -> Problem | None:
    """Why the file does not fit the field; ``None`` when it does."""
    most = int(field.spec.option("max_bytes") or DEFAULT_MOST)
    given.stream.seek(0, 2)
    size = given.stream.tell()
    given.stream.seek(0)
    if size > most:
        message = "This file is too large: {size} bytes, and at most {max} are kept."
        return Problem("file_too_large", message, field.name, {"size": size, "max": most})
    accepts = getattr(field.type, "accepts", None)
    allowed = accepts(field.spec) if accepts else ()
    name, sniffed = given.filename or "", sniffed_upload(given)
    if allowed and not any(sniffed.fits(name, pattern) for pattern in allowed):
        message = "This kind of file is not taken here; allowed: {allowed}."
        return Problem("file_kind", message, field.name, {"allowed": ", ".join(allowed)})
    return None


def sniffed_upload(given: FileStorage) -> Sniffed:
    """What an uploaded file is; its stream stands at the beginning afterwards."""
    given.stream.seek(0)
    head = given.stream.read(HEAD)
    given.stream.seek(0)
    return sniff(head, given.filename or "")


def file_path(folder: Path, id: str) -> Path:
    """Where the bytes of a file lie."""
    return folder / id


def keep_uploads(screen: Screen, records: RecordService, object: Object, posted: Posted) -> None:
    """Stores the files of a form and puts their ids among its values. A rollback leaves only bytes nobody points at."""
    folder = screen.environment.settings.files_path
    for upload in posted.uploads:
        world = screen.environment.world
        id, content = world.new_id(), upload.given.read()
        upload.given.stream.seek(0)
        folder.mkdir(parents=True, exist_ok=True)
        file_path(folder, id).write_bytes(content)
        name = clean_name(upload.given.filename or "")
        add_file(
            records.connection,
            File(
                id=id, name=name, media_type=sniff(content[:HEAD], name).media_type[:255],
                size=len(content), sha256=hashlib.sha256(content).hexdigest(), at=world.clock(), by=screen.actor.id,
            ),
        )  # fmt: skip
        posted.values[upload.key] = id


def attach(records: RecordService, object: str, record: str, posted: Posted) -> None:
    """Says which record the files of a form belong to now."""
    ids = [str(posted.values[u.key]) for u in posted.uploads if posted.values.get(u.key)]
    attach_files(records.connection, ids, object, record)


def file(screen: Screen, id: str) -> ResponseReturnValue:
    """Hands out a file to who may read its record (or who uploaded it). ``NotFound`` otherwise."""
    with screen.read() as records:
        found = load_files(records.connection, [id]).get(id)
        if found is not None and found.object and found.record:
            try:
                record = records.get(found.object, found.record)
            except (NotFound, Forbidden):  # its record is hidden: answered like a file that is not there
                record = {}
            if id not in record.values():
                found = None
        elif found is not None and found.by != screen.actor.id:
            found = None
    path = file_path(screen.environment.settings.files_path, id)
    if found is None or not path.is_file():
        raise NotFound("There is no such file.")
    with path.open("rb") as content:
        # Files of before bytes decided have the type that a browser claimed: only what is a picture is shown.
        shown = found.media_type in PICTURES and sniff(content.read(HEAD), "").media_type == found.media_type
    response = send_file(
        path.resolve(),
        mimetype=found.media_type if shown else "application/octet-stream",
        as_attachment=not shown,
        download_name=found.name,
        max_age=0,
    )
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response
