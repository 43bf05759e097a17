"""Where calls may go: not into private networks, whatever redirects and name servers say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ratoon.platform.automation.webhooks import Call, Caller, Undelivered

Receiver = Any


class Names:
    """A name server that may say something else each time it is asked."""

    def __init__(self, **answers: list[str]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return [self.answers[host].pop(0)] if host == "moving" else self.answers[host]


@pytest.fixture
def outside(receiver: Receiver) -> tuple[Names, Caller, str]:
    """Here 127.0.0.1 counts as an address of the internet, everything else as private."""
    names = Names(outside=["127.0.0.1"], inside=["127.0.0.2"], both=["127.0.0.1", "10.0.0.1"],
                  moving=["127.0.0.1", "127.0.0.2"])  # fmt: skip
    caller = Caller(b"s", lambda: datetime.now(UTC), resolve=names, public=lambda address: address == "127.0.0.1")
    return names, caller, receiver.url.rpartition(":")[2]


def test_a_redirect_does_not_lead_to_a_private_address(outside: Any, receiver: Receiver) -> None:
    _, caller, port = outside
    receiver.answers = [(307, {"Location": f"http://inside:{port}/x"})]
    with pytest.raises(Undelivered, match=r"inside is 127\.0\.0\.2, a private address") as error:
        caller.send(Call(f"http://outside:{port}/", b"{}", "k"))
    assert (error.value.passing, len(receiver.calls)) == (False, 1)
    with pytest.raises(Undelivered, match="both is 10"):
        caller.send(Call(f"http://both:{port}/", b"{}", "k"))
    assert len(receiver.calls) == 1


def test_a_name_that_points_elsewhere_after_the_look_gains_nothing(outside: Any, receiver: Receiver) -> None:
    names, caller, port = outside
    assert caller.send(Call(f"http://moving:{port}/", b"{}", "k"))["status"] == 200
    assert names.asked == ["moving"]
    assert receiver.calls[0][1]["Host"] == f"moving:{port}"
