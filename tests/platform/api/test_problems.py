"""One shape for every refusal: each error class has a line in the table, and what is answered fits the shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import ratoon.platform.app  # noqa: F401 - every room is imported, so every error is known
from ratoon.platform.api.problems import STATUS, document, locale_of, status_of
from ratoon.platform.api.shapes import ProblemShape
from ratoon.platform.errors import (
    BadRequest,
    Finding,
    FormulaError,
    LoopStopped,
    MetadataRefused,
    Problem,
    RatoonError,
    Stale,
    ValidationFailed,
)


def every_error(kind: type[RatoonError] = RatoonError) -> Iterator[type[RatoonError]]:
    """Every class of error of the product."""
    yield kind
    for inner in kind.__subclasses__():
        if inner.__module__.startswith("ratoon."):
            yield from every_error(inner)


@pytest.mark.parametrize("kind", sorted(set(every_error()), key=lambda kind: kind.__name__))
def test_every_error_has_a_code_of_its_own_in_the_table(kind: type[RatoonError]) -> None:
    assert kind.code in STATUS
    same = {other for other in every_error() if other.code == kind.code}
    assert all(issubclass(other, kind) or issubclass(kind, other) for other in same)


def test_an_error_without_a_line_takes_that_of_its_parent() -> None:
    class Special(BadRequest):
        code = "special"

    assert status_of(Special("x")) == ("special", *STATUS["bad_request"])


EXAMPLES: list[RatoonError] = [
    ValidationFailed([Problem("required", "{label} is required.", "a/b~c", {"label": "A"}, index=2, rule="r")]),
    Stale("changed", yours=1, current={"id": "x", "version": 2}),
    FormulaError("syntax", "There is no {x}.", position=3, x="y"),
    LoopStopped("round: {cycle}", cycle=["a", "b", "a"]),
    MetadataRefused([Finding("a.json", "/x", "unknown_key", "no", "yes")]),
    BadRequest("wrong", field="limit"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: error.code)
def test_every_document_fits_the_published_shape(error: RatoonError) -> None:
    made = document(error, str, listed=True, base="/api/v1")
    assert ProblemShape().validate(made) == {}
    assert made["type"] == f"/api/v1/docs#problem-{error.code}"


def test_a_pointer_leads_to_the_value_that_was_sent() -> None:
    (found,) = document(EXAMPLES[0], str, listed=True)["errors"]
    assert (found["pointer"], found["index"], found["message"]) == ("/2/a~1b~0c", 2, "A is required.")
    (found,) = document(EXAMPLES[0], str)["errors"]
    assert (found["pointer"], "index" in found) == ("/a~1b~0c", False)


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        ("", "en"),
        ("de", "en"),
        ("zh-CN", "zh-Hans"),
        ("zh", "zh-Hans"),
        ("zh-TW,zh;q=0.8", "zh-Hant"),
        ("zh-Hant-HK", "zh-Hant"),
        ("zh-HK", "zh-Hant"),
        ("en;q=0.3, zh-Hans;q=0.9", "zh-Hans"),
        ("zh;q=0, en", "en"),
        ("fr, en-GB, zh;q=0.9", "en"),
        (";;q=x,,,*", "en"),
        ("zh;q=nonsense", "en"),
        ("x" * 10_000, "en"),
    ],
)
def test_the_language_is_the_best_that_we_have(header: str, locale: str) -> None:
    assert locale_of(header) == locale


def test_a_failure_of_ours_is_a_problem_document_too_and_tells_no_secrets(shop: Any, monkeypatch: Any) -> None:
    client = shop.client("Ada", admin=True)
    client.get("/me")
    shop.app.testing = False
    shop.app.logger.disabled = True

    def broken(*arguments: Any) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(type(shop.environment), "read", broken)
    problem = client.get("/records/customer", status=500)
    assert problem["code"] == "internal"
    assert "hunter2" not in str(problem)
