"""What is kept for how long: bytes of files that nobody points at any more.

``drop_files`` takes files away for good; their rows go last, so that a crash in between leaves something to find.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ratoon.platform.storage.files import forget_files

if TYPE_CHECKING:
    from ratoon.platform.environment import Environment


def drop_files(environment: Environment, ids: Sequence[str]) -> None:
    """Removes the bytes of files that belong to no record any more, then what is known about them."""
    if not ids:
        return
    for id in ids:
        (environment.settings.files_path / id).unlink(missing_ok=True)
    with environment.database.write() as connection:
        forget_files(connection, ids)
