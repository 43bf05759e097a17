"""``ratoon serve``: opens the environment, makes the first administrator, starts the HTTP server.

The application is made once, before the worker processes are forked off: they start at once and share its memory. Where
processes cannot be forked, each worker makes its own.
"""

from __future__ import annotations

import gc
import os
import socket
import threading
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import click
from granian.constants import Interfaces
from granian.server import Server
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.app import create_app, open_environment, wsgi
from ratoon.platform.cli.beside import WorkerBeside
from ratoon.platform.config import Settings
from ratoon.platform.environment import Environment
from ratoon.platform.errors import Conflict
from ratoon.platform.packages.demo import load_demo, today
from ratoon.platform.plugins import load_plugins
from ratoon.platform.storage.statistics import refresh

PARENT_LOOK_SECONDS = 1.0
"""How often a worker looks whether its server is still there."""
FIRST_EMAIL = "admin@localhost.example"
DEMO_EMAIL = "admin@ratoon.example"
DEMO_PASSWORD = "ratoon-demo-2026"


@click.command()
@click.option("--demo", is_flag=True, help="Load the demo data (once) and a demo login.")
@click.option("--host", help="Address to listen on (RATOON_HOST, 127.0.0.1).")
@click.option("--port", type=int, help="Port to listen on (RATOON_PORT, 8000).")
@click.option("--workers", type=int, help="Server processes (RATOON_WORKERS, 2).")
@click.option("--no-worker", is_flag=True, help="Leave the work after the commit to `ratoon worker`.")
def command(demo: bool, host: str | None, port: int | None, workers: int | None, no_worker: bool) -> None:
    """Serve the screens and the API, and do the work after the commit."""
    settings = Settings.from_environ(os.environ)
    settings = replace(
        settings,
        host=host or settings.host,
        port=settings.port if port is None else port,
        workers=workers or settings.workers,
    )
    _refuse_taken_port(settings.host, settings.port)
    click.echo(f"Ratoon opens {_shown(settings.database_url)} …")
    plugins = load_plugins()
    environment = open_environment(settings, plugins=plugins)
    try:
        if demo:
            load_demo(environment, anchor=today(environment.world.clock()))
        refresh(environment.database)
        login = _first_login(environment, demo)
        environment.secret()
        application = Prepared(create_app(environment, plugins))
    finally:
        environment.close()
    click.echo(f"\n  Ratoon is at  http://{settings.host}:{settings.port}\n  {login}\n")
    server = Server(
        "ratoon.platform.app:wsgi",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=settings.workers,
        blocking_threads=min(8, 2 * (os.cpu_count() or 1) + 1),
        factory=True,
        log_level=settings.log_level,  # type: ignore[arg-type]
        respawn_failed_workers=True,
    )
    gc.collect()
    gc.freeze()
    with nullcontext() if no_worker else WorkerBeside():
        server.serve(target_loader=application)


class Prepared:
    """Hands the finished application to a forked worker; a worker that was not forked makes its own."""

    def __init__(self, application: Any) -> None:
        self._application = application

    def __getstate__(self) -> dict[str, Any]:
        """What a worker that was not forked gets: nothing."""
        return {"_application": None}

    def __call__(self, target: str) -> Any:
        """The application; ``target`` is where it would be imported from."""
        _follow_parent()
        return self._application or wsgi()


def _follow_parent() -> None:
    """Ends this worker when the process that started it is gone, however it went.

    Otherwise the workers of a killed server would keep the port and go on serving what they loaded long ago.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            threading.Event().wait(PARENT_LOOK_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()


def _refuse_taken_port(host: str, port: int) -> None:
    """Two servers would share a port without a word and answer in turns; a second one is refused instead."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Conflict(
                "{host}:{port} cannot be used: {reason}. Stop what runs there or take another --port.",
                host=host, port=port, reason=error.strerror or str(error),
            ) from error  # fmt: skip


def _shown(url: str) -> str:
    """The database URL without a password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:  # opening it says what is wrong; what was typed may hold a password
        return "…"


def _first_login(environment: Environment, demo: bool) -> str:
    """Makes an administrator when nobody can sign in yet; says how to sign in."""
    accounts = environment.accounts
    if demo:
        with environment.write(SYSTEM) as records:
            if accounts.user_id(records.connection, DEMO_EMAIL) is None:
                accounts.create_user(records, name="Admin", email=DEMO_EMAIL, password=DEMO_PASSWORD, admin=True)
        return f"sign in as   {DEMO_EMAIL}  with password  {DEMO_PASSWORD}"
    with environment.write(SYSTEM) as records:
        if accounts.has_users(records.connection):
            return "sign in with your account (ratoon user add makes another)"
        password = environment.world.token()[:16]
        user = accounts.create_user(records, name="Admin", email=FIRST_EMAIL, password=password, admin=True)
        accounts.require_new_password(records.connection, user)
    return f"sign in as   {FIRST_EMAIL}  with password  {password}   (shown only now; you choose another then)"
