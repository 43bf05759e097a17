"""Calling an address outside: signed, with a time limit, and never into a private network unless a setting allows it.

Every call carries ``Idempotency-Key`` (the same when it is repeated) and ``Ratoon-Signature: t=<seconds>,v1=<hex>``,
where ``v1`` is HMAC-SHA256 over ``<seconds>.<body>`` with the installation's webhook secret. The receiver computes
the same and refuses what is old or different.

The name is resolved once and the connection goes to an address that was looked at, so that a name cannot point
elsewhere between the look and the call; redirects (307 and 308, three at most) are looked at in the same way. An
answer of the 200s is success; 408, 425, 429 and 500s, and whatever goes wrong on the way, are worth another try;
anything else is not.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from ratoon.platform.errors import RatoonError

REDIRECTS = 3
WORTH_ANOTHER_TRY = frozenset({408, 425, 429})
READ_AT_MOST = 2000
"""Bytes of an answer that are kept."""


class Undelivered(RatoonError):
    """Something could not be sent out. ``passing``: trying again may help."""

    code = "undelivered"

    def __init__(self, message: str, *, passing: bool, **params: Any) -> None:
        super().__init__(message, **params)
        self.passing = passing


def addresses_of(host: str, port: int) -> list[str]:
    """What a name stands for now. Raises ``OSError`` or ``UnicodeError`` for one that stands for nothing."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def is_public(address: str) -> bool:
    """Whether an address belongs to the internet at large."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
    if inner is not None:
        ip = inner
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


@dataclass(frozen=True, slots=True)
class Call:
    """One call."""

    url: str
    body: bytes
    key: str
    """Idempotency key."""
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 10.0
    """Seconds for everything, names and redirects included."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls with the settings of one installation."""

    secret: bytes
    clock: Callable[[], datetime]
    private: bool = False
    """Whether private addresses may be called."""
    resolve: Callable[[str, int], Sequence[str]] = addresses_of
    """Host and port → its addresses; asked once per call or redirect."""
    public: Callable[[str], bool] = is_public

    def send(self, call: Call) -> dict[str, Any]:
        """Makes the call; returns status and the beginning of the answer. Raises ``Undelivered``."""
        deadline = time.monotonic() + call.timeout
        for _ in range(REDIRECTS + 1):
            status, answer, location = self._once(call, deadline)
            if status in (307, 308) and location:
                call = replace(call, url=urljoin(call.url, location))
                continue
            if 200 <= status < 300:
                return {"status": status, "answer": answer}
            passing = status in WORTH_ANOTHER_TRY or status >= 500
            raise Undelivered("{host} answered {status}: {answer}", passing=passing,
                              host=urlsplit(call.url).netloc, status=status, answer=answer[:300])  # fmt: skip
        raise Undelivered("{host} keeps redirecting.", passing=False, host=urlsplit(call.url).netloc)

    def signature(self, body: bytes) -> str:
        """The signature header of a body that is sent now."""
        seconds = int(self.clock().timestamp())
        digest = hmac.new(self.secret, f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
        return f"t={seconds},v1={digest}"

    def _once(self, call: Call, deadline: float) -> tuple[int, str, str | None]:
        parts = urlsplit(call.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Undelivered("{url} is no web address.", passing=False, url=call.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = self._address(parts.hostname, port)
        left = max(0.05, deadline - time.monotonic())
        connection = _Pinned(parts.hostname, port, address, tls=parts.scheme == "https", timeout=left)
        watchdog = threading.Timer(left, connection.cut)
        watchdog.daemon = True
        watchdog.start()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Ratoon",
            **call.headers,
            "Host": parts.netloc.rpartition("@")[2],
            "Idempotency-Key": call.key,
            "Ratoon-Signature": self.signature(call.body),
        }
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request(call.method, path, call.body, headers)
            answer = connection.getresponse()
            body = answer.read(READ_AT_MOST).decode("utf-8", "replace")
            return answer.status, body, answer.getheader("Location")
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
            if time.monotonic() >= deadline:
                reason = f"no answer within {call.timeout:g} seconds"
            else:
                reason = str(error) or type(error).__name__
            raise Undelivered("{host} cannot be reached: {reason}", passing=True,
                              host=parts.netloc, reason=reason) from error  # fmt: skip
        finally:
            watchdog.cancel()
            connection.close()

    def _address(self, host: str, port: int) -> str:
        """An address of the host that may be called: all of them must be public."""
        try:
            addresses = self.resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise Undelivered("There is no host {host}.", passing=True, host=host) from error
        if not self.private:
            for address in addresses:
                if not self.public(address):
                    raise Undelivered(
                        "{host} is {address}, a private address. RATOON_WEBHOOK_PRIVATE_ADDRESSES=1 allows it.",
                        passing=False, host=host, address=address,
                    )  # fmt: skip
        return addresses[0]


class _Pinned(http.client.HTTPConnection):
    """A connection to one address, whatever the name says a moment later."""

    def __init__(self, host: str, port: int, address: str, *, tls: bool, timeout: float) -> None:
        super().__init__(host, port, timeout=timeout)
        self._pinned = address
        self._tls = tls

    def connect(self) -> None:
        """Connects to the address; the certificate must be that of the name."""
        self.sock = socket.create_connection((self._pinned, self.port), self.timeout)
        if self._tls:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)

    def cut(self) -> None:
        """Ends a call that takes too long, wherever it is."""
        sock = self.sock
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
