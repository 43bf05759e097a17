"""schemathesis over the generated OpenAPI document with the clinic: no server error, no answer outside its schema."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import checks

from ratoon.platform.access.accounts import Accounts
from ratoon.platform.access.actor import SYSTEM
from ratoon.platform.api import create_api
from ratoon.platform.environment import Environment
from ratoon.platform.errors import RatoonError

CLINIC = Path(__file__).resolve().parents[2] / "worlds" / "clinic"
EXAMPLES = 3
"""Calls per operation and mode; there are more than a hundred operations."""
CHECKS = (
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
)
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
QUIET = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def filled(environment: Environment) -> dict[str, list[str]]:
    """Ids of a few records of each object that takes samples, so that addresses lead somewhere."""
    made: dict[str, list[str]] = {}
    for obj in environment.registry:
        for number in range(3):
            values: dict[str, Any] = {}
            for field in obj.fields.values():
                if not (field.system or field.computed or field.type.reference or field.type.name == "many_to_many"):
                    values |= field.type.sample(field.spec, number)
            for field in obj.references:
                for target in field.targets:
                    if made.get(target) and not field.system:
                        values[field.parts[0].key] = made[target][0]
                        if len(field.parts) > 1:
                            values[field.parts[1].key] = target
            try:
                with environment.write(SYSTEM) as records:
                    (record,) = records.create(obj.name, [values], acknowledge=True)
            except RatoonError:
                continue
            made.setdefault(obj.name, []).append(record["id"])
    return made


@pytest.mark.slow
def test_nothing_that_is_sent_breaks_the_server_or_its_word(
    open_world: Callable[..., Environment], subtests: Any
) -> None:
    environment = open_world(CLINIC)
    there = filled(environment)
    accounts = Accounts(environment.world)
    with environment.write(SYSTEM) as records:
        user = accounts.create_user(records, name="Fuzz", email="fuzz@example.com", admin=True)
        token, _ = accounts.create_token(records.connection, user, label="fuzz")
    app = Flask("clinic")
    app.secret_key = "for tests"
    app.register_blueprint(create_api(environment))
    headers = {"Authorization": f"Bearer {token}"}
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app, headers=headers)
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path.startswith("/metadata/rollback"):
            continue
        with subtests.test(operation=f"{operation.method} {operation.path}"):
            fuzz(operation, headers, there)


def fuzz(operation: Any, headers: dict[str, str], there: dict[str, list[str]]) -> None:
    """Calls one operation with good and bad arguments, about existing and missing records."""
    object = operation.path.split("/")[2] if operation.path.startswith("/records/") else ""

    for mode in MODES:

        @seed(20261121)
        @QUIET
        @given(case=operation.as_strategy(generation_mode=mode), data=st.data())
        def call(case: Any, data: Any) -> None:
            if "id" in case.path_parameters and there.get(object) and data.draw(st.booleans()):
                case.path_parameters["id"] = data.draw(st.sampled_from(there[object]))
            case.call_and_validate(headers=headers, checks=CHECKS)

        call()
