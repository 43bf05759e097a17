"""How pages and static files travel: small, and static files once.

The address of a static file carries a mark of its content (``asset_url``), so a browser keeps it for a year and never
asks again; a new version has a new address. Without the mark it is kept for five minutes. Texts go out packed with gzip
to whoever takes that: the frame of the screens is 0.8 MB otherwise, which is seconds on a thin line. The API is not
packed: programs mostly sit near the server, where packing costs more than it saves.

Pages may be packed although they carry secrets and what a visitor sent (BREACH): other sites cannot make a browser
send the session cookie with requests whose answers they could measure (``SameSite=Lax``), and what is repeated in every
form, the CSRF token, is worth nothing without a signature that is new every second.
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

from flask import Response, current_app, request, send_from_directory, url_for
from werkzeug.security import safe_join

YEAR = 365 * 24 * 3600
UNMARKED = 300
"""Seconds that a browser keeps a static file whose address has no mark."""
SMALL = 1400
"""Bytes that fit into one packet of the network anyhow."""
LEVEL = 5
PACKED = frozenset({".css", ".js", ".svg", ".json"})
"""Kinds of static files that become smaller."""
STATIC = Path(__file__).resolve().parent / "static"


class Assets:
    """The static files of the screens, their marks, and what they are when packed."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._folder = folder
        self._marks: dict[str, str] = {}
        self._packed: dict[str, bytes] = {}

    def mark(self, name: str) -> str:
        """A mark of the file's content; ``"0"`` when there is no such file."""
        known = self._marks.get(name)
        if known is None:
            path = safe_join(str(self._folder), name)
            file = Path(path) if path is not None else None
            there = file is not None and file.is_file()
            known = hashlib.sha256(file.read_bytes()).hexdigest()[:10] if file is not None and there else "0"
            if there:
                self._marks[name] = known
        return known

    def send(self, filename: str) -> Response:
        """The answer to a request for a static file. Raises ``NotFound``."""
        mark = self.mark(filename)
        small = mark != "0" and Path(filename).suffix in PACKED and request.accept_encodings["gzip"] > 0
        plain = send_from_directory(self._folder, filename, max_age=UNMARKED, conditional=not small)
        answer = self._smaller(plain, filename, mark) if small else plain
        answer.vary.add("Accept-Encoding")
        kept = answer.cache_control
        kept.no_cache, kept.public = None, True
        if request.args.get("v") == mark:
            kept.max_age, kept.immutable = YEAR, True
        return answer

    def _smaller(self, plain: Response, name: str, mark: str) -> Response:
        packed = self._packed.get(name)
        if packed is None:
            packed = self._packed[name] = gzip.compress((self._folder / name).read_bytes(), 9, mtime=0)
        plain.close()
        answer = Response(packed, headers={"Content-Encoding": "gzip"}, content_type=plain.content_type)
        answer.set_etag(f"{mark}-gzip")
        answer.cache_control.max_age = UNMARKED
        answer.make_conditional(request)
        return answer


def asset_url(name: str) -> str:
    """The address of a static file, with a mark of its content."""
    assets: Assets = current_app.extensions["ratoon_assets"]
    return url_for("screens.static", filename=name, v=assets.mark(name))


def pack(response: Response) -> Response:
    """A page packed for a browser that takes it so."""
    whole = response.status_code == 200 and response.mimetype == "text/html" and not response.is_streamed
    if not whole or "Content-Encoding" in response.headers:
        return response
    response.vary.add("Accept-Encoding")
    page = response.get_data()
    if len(page) > SMALL and request.accept_encodings["gzip"] > 0:
        response.set_data(gzip.compress(page, LEVEL, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    return response
