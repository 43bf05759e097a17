"""Opens what ``RATOON_*`` variables describe, for commands that work on metadata."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ratoon.platform.config import Settings

if TYPE_CHECKING:
    from ratoon.platform.environment import Environment

BY = "command line"
"""Who a revision made by a command is from."""


@contextmanager
def environment(*, apply_packages: bool = False) -> Iterator[Environment]:
    """The environment; closed at the end. ``apply_packages`` first applies what comes with the product."""
    from ratoon.platform.app import open_environment

    opened = open_environment(Settings.from_environ(os.environ), apply_packages=apply_packages)
    try:
        yield opened
    finally:
        opened.close()
