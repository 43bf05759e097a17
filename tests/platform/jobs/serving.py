"""A real server process for tests, without plugins: ``python serving.py PORT`` with ``RATOON_*`` variables."""

from __future__ import annotations

import sys

from ratoon.platform.cli import serve
from ratoon.platform.plugins import Plugins

if __name__ == "__main__":
    serve.load_plugins = lambda: Plugins()
    serve.command(["--no-worker", "--port", sys.argv[1], "--workers", "1"])
