"""The composition root: the one place where an environment and its web application are put together.

``open_environment`` connects settings, database, plugins and metadata; ``create_app`` makes the Flask application
that serves them; ``wsgi`` is what the HTTP server's worker processes call.
"""

from __future__ import annotations

import os
from datetime import datetime
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, abort
from jinja2 import ChoiceLoader, FileSystemLoader
from werkzeug.exceptions import SecurityError
from werkzeug.middleware.proxy_fix import ProxyFix

from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.api import create_api
from ratoon.platform.api.sessions import BrowserSessions
from ratoon.platform.automation import Actions, AutomationReactions
from ratoon.platform.automation.approval_telling import MAIL
from ratoon.platform.automation.approvals import ESCALATE, submit_action
from ratoon.platform.automation.assigning import ASSIGN
from ratoon.platform.automation.escalating import escalate
from ratoon.platform.automation.link_mails import JOB as LINK_MAIL
from ratoon.platform.config import Settings, World
from ratoon.platform.environment import Environment, Parts
from ratoon.platform.fields import builtin_types
from ratoon.platform.formulas import builtin_functions
from ratoon.platform.jobs import Jobs, JobType
from ratoon.platform.jobs.kinds import MAIL_NOTIFICATIONS, JobRun
from ratoon.platform.jobs.measuring import Measuring
from ratoon.platform.jobs.moving_on import MOVE_ON, MovingOn, move_on
from ratoon.platform.packages import bootstrap
from ratoon.platform.packages.stage_times import complete_stage_columns
from ratoon.platform.plugins import Plugins, load_plugins
from ratoon.platform.plugins.reactions import PluginReactions
from ratoon.platform.storage.database import Database
from ratoon.platform.storage.sealed import Seal, use_seal
from ratoon.platform.storage.system_schema import create_system_tables


def open_environment(
    settings: Settings, world: World | None = None, plugins: Plugins | None = None, *, apply_packages: bool = True
) -> Environment:
    """An environment ready to serve: tables made, the packages that come with the product and its plugins applied.

    Raises ``errors.RatoonError`` when a plugin does not load or a package does not fit.
    """
    world = world or World()
    plugins = load_plugins() if plugins is None else plugins
    types = builtin_types()
    for kind in plugins.collect("field_types"):
        types.add(kind)
    functions = builtin_functions().plus(plugins.collect("formula_functions"))
    actions = Actions(plugins.collect("automation_actions"))
    actions.add(submit_action(actions))
    actions.add(ASSIGN)
    environment = Environment(
        Parts(
            settings=settings,
            world=world,
            database=_database(settings),
            plugins=plugins,
            types=types,
            functions=functions,
            reactions=AutomationReactions(actions, PluginReactions(plugins)),
            jobs=Jobs(
                [*builtin_jobs(actions), *plugins.collect("jobs")],
                [_look_at_the_clock, _mail_rounds, MovingOn(), Measuring()],
            ),
            actions=actions,
        )
    )
    environment.jobs.add(JobType(MOVE_ON, move_on, description="Moves records on whose time has come."))
    environment.jobs.add(JobType(MAIL, _mail_questions, description="Mails those who are asked for an approval."))
    environment.jobs.add(JobType(LINK_MAIL, _mail_link, tries=3, description="Mails a link to choose a password."))
    environment.jobs.add(JobType(MAIL_NOTIFICATIONS, _mail_notifications, description="Mails notifications."))
    environment.jobs.add(JobType(ESCALATE, escalate, description="Asks more people when nobody answered in time."))
    with environment.database.write() as connection:
        create_system_tables(connection)
        complete_stage_columns(
            connection, lambda: environment.engine_at(connection).registry, environment.database.dialect
        )
    environment.secret()
    if apply_packages:
        bootstrap(environment, plugins.packages())
    plugins.hook.startup(environment=environment)
    return environment


def builtin_jobs(actions: Actions) -> list[JobType]:
    """The kinds of jobs of the platform itself; what does them is imported when a run comes, not at the start."""

    def automation(run: JobRun) -> Any:
        from ratoon.platform.jobs.automations import automation_job

        return automation_job(actions)(run)

    return [JobType("automation", automation, description="An automation after the commit.")]


def _mail_questions(run: JobRun) -> Any:
    from ratoon.platform.automation.approval_links import mail_questions

    return mail_questions(run)


def _mail_link(run: JobRun) -> Any:
    from ratoon.platform.automation.link_mails import mail_link

    return mail_link(run)


def _mail_notifications(run: JobRun) -> Any:
    from ratoon.platform.jobs.digests import mail_notifications

    return mail_notifications(run)


def _mail_rounds(environment: Environment, now: datetime) -> None:
    if environment.settings.smtp_host:
        from ratoon.platform.jobs.digests import mail_rounds

        mail_rounds(environment, now)


def _look_at_the_clock(environment: Environment, now: datetime) -> None:
    from ratoon.platform.jobs.timers import tick

    tick(environment, now)


def create_app(environment: Environment, plugins: Plugins) -> Flask:
    """The web application: the REST API, the schemas of documents, and what plugins bring (the screens too)."""
    settings = environment.settings
    app = Flask(__name__, static_folder=None, template_folder=None)
    app.config.update(
        SECRET_KEY=environment.secret(),
        MAX_CONTENT_LENGTH=settings.max_body_bytes,
        MAX_FORM_MEMORY_SIZE=settings.max_body_bytes,
        # A browser takes a cookie whose name begins so only over HTTPS, from this very host and for all of it.
        SESSION_COOKIE_NAME="__Host-ratoon" if settings.secure else "session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.secure,
        TRUSTED_HOSTS=_hosts(settings),
    )
    if settings.trusted_proxies > 0:
        count = settings.trusted_proxies
        proxied = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)
        app.wsgi_app = proxied  # type: ignore[method-assign]
    app.session_interface = BrowserSessions()
    app.register_blueprint(create_api(environment))
    for blueprint in plugins.collect("blueprints", environment=environment):
        app.register_blueprint(blueprint)
    folders = [FileSystemLoader(folder) for folder in plugins.collect("template_folders")]
    if folders and app.jinja_loader is not None:
        app.jinja_loader = ChoiceLoader([app.jinja_loader, *folders])
    elif folders:
        app.jinja_loader = ChoiceLoader(folders)
    app.register_error_handler(SecurityError, _not_our_host)
    app.add_url_rule("/schemas/<name>.json", "schema", _schema)
    plugins.hook.configure_app(app=app, environment=environment)
    return app


def _not_our_host(error: SecurityError) -> Response:
    """The answer to a request for a host that is not served; there are no addresses to build a page with."""
    text = "This host is not served here. Its administrator can name it in RATOON_ALLOWED_HOSTS.\n"
    return Response(text, 400, content_type="text/plain; charset=utf-8")


def _hosts(settings: Settings) -> list[str] | None:
    """The host names that are answered; ``None`` = any."""
    named = [host.strip() for host in settings.allowed_hosts.split(",") if host.strip()]
    if named:
        return named
    public = urlsplit(settings.public_url).hostname
    return [public, "localhost", "127.0.0.1", "[::1]"] if public else None


def _schema(name: str) -> Response:
    """A JSON Schema, for editors: what a document's ``$schema`` line may point at."""
    file = resources.files("ratoon.schemas") / f"{name}.json"
    if not name.isidentifier() or not file.is_file():
        abort(404)
    return Response(file.read_bytes(), mimetype="application/schema+json")


def wsgi() -> Flask:
    """For the HTTP server: the application of the environment that ``RATOON_*`` variables describe."""
    plugins = load_plugins()
    environment = open_environment(Settings.from_environ(os.environ), plugins=plugins, apply_packages=False)
    return create_app(environment, plugins)


__all__ = ["SYSTEM", "create_app", "open_environment", "wsgi"]


def _database(settings: Settings) -> Database:
    database = Database.open(settings.database_url)
    use_seal(database.engine, Seal(settings.sealing_keys))
    return database
