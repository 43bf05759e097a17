"""The OpenID Connect provider of the settings ``RATOON_OIDC_…``: sending people there, and believing what it says.

Authlib speaks the protocol, joserfc checks signatures. The authorization code flow is used, with PKCE (S256), a state
and a nonce. ``begin`` gives the address to go to and what must be kept in the browser's cookie meanwhile; ``finish``
takes the code that comes back and answers with ``Claims`` only when everything fits: the signature by a key that the
provider publishes, made by an asymmetric algorithm, the issuer, the audience, the nonce, the times.

Neither codes nor tokens are kept or logged. Both libraries are imported when somebody first goes to the provider.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from ratoon.platform.access.identities import Claims, role_mapping
from ratoon.platform.config import Settings, World
from ratoon.platform.errors import BadSetting, RatoonError

TIMEOUT = 10.0
"""Seconds to wait for the provider at each step."""
KEPT = 3600.0
"""Seconds for which its description and keys are believed."""
LEEWAY = 60
"""Seconds by which clocks may differ."""
LONGEST_SUBJECT = 255
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures that are believed: never ``none``, never one made with the client's own secret."""
_HERE = ("localhost", "127.0.0.1", "::1")


class ProviderFailed(RatoonError):
    """The provider cannot be reached, or said something that is not what was agreed."""

    code = "provider_failed"


class Untrusted(ProviderFailed):
    """What the provider answered is not proved: nobody is signed in."""

    code = "provider_untrusted"


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in that was begun: where to go, and what must be known when somebody comes back."""

    url: str
    state: str
    nonce: str
    verifier: str


@dataclass
class _Known:
    metadata: Mapping[str, Any]
    until: float
    keys: Any = None
    asked: float = field(default=float("-inf"))
    """When its keys were last fetched."""


class Provider:
    """One provider; shared by the threads of a process."""

    def __init__(self, settings: Settings, world: World) -> None:
        """Raises ``BadSetting`` for settings that cannot work."""
        self._settings = settings
        self._world = world
        self._known: _Known | None = None
        role_mapping(settings.oidc_roles)
        _refuse_plain(settings.oidc_issuer)
        if not settings.oidc_client_id:
            raise BadSetting("RATOON_OIDC_ISSUER is set and RATOON_OIDC_CLIENT_ID is not.")

    @property
    def label(self) -> str:
        """What people call it."""
        return self._settings.oidc_label or urlsplit(self._settings.oidc_issuer).hostname or "OpenID Connect"

    @property
    def issuer(self) -> str:
        """What it calls itself, as far as known."""
        return str(self._known.metadata["issuer"]) if self._known else self._settings.oidc_issuer

    def begin(self, back: str) -> Begun:
        """Where to send the browser, so that it comes back to the address ``back``. Raises ``ProviderFailed``."""
        endpoint = self._endpoint("authorization_endpoint")
        nonce, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        with self._session(redirect_uri=back) as session:
            url, state = session.create_authorization_url(endpoint, code_verifier=verifier, nonce=nonce)
        return Begun(url, state, nonce, verifier)

    def finish(self, code: str, back: str, nonce: str, verifier: str) -> Claims:
        """Who came back with that code. Raises ``ProviderFailed``, ``Untrusted``."""
        from authlib.common.errors import AuthlibBaseError
        from requests import RequestException

        try:
            with self._session(redirect_uri=back) as session:
                token = session.fetch_token(
                    self._endpoint("token_endpoint"), grant_type="authorization_code", code=code, code_verifier=verifier
                )
                claims = self._checked(token, nonce)
                if "email" not in claims and "userinfo_endpoint" in self._metadata():
                    claims = {**self._more(session, claims["sub"]), **claims}
        except AuthlibBaseError as error:
            raise Untrusted("The provider refused: {reason}", reason=error.error or "unknown") from error
        except (RequestException, ValueError, KeyError, TypeError) as error:
            raise _unreachable(error) from error
        if len(str(claims["sub"])) > LONGEST_SUBJECT:
            raise Untrusted("The provider refused: {reason}", reason="the subject is too long")
        return Claims.of(self.issuer, claims, self._settings.oidc_roles_claim)

    def sign_out_url(self, back: str) -> str | None:
        """Where one signs out at the provider; ``None`` when it says nothing of that, or cannot be reached."""
        try:
            endpoint = self._metadata().get("end_session_endpoint")
        except ProviderFailed:
            return None
        if not isinstance(endpoint, str):
            return None
        asked = urlencode({"client_id": self._settings.oidc_client_id, "post_logout_redirect_uri": back})
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{asked}"

    def _checked(self, token: Mapping[str, Any], nonce: str) -> dict[str, Any]:
        """The claims of an ID token that is proved. Raises ``Untrusted``."""
        from authlib.oidc.core import CodeIDToken
        from joserfc.errors import JoseError

        text = token.get("id_token")
        if not isinstance(text, str):
            raise Untrusted("The provider refused: {reason}", reason="it sent no ID token")
        issuer, client = self.issuer, self._settings.oidc_client_id
        options: dict[str, Any] = {
            "iss": {"essential": True, "value": issuer},
            "aud": {"essential": True, "value": client},
            "sub": {"essential": True},
        }
        proofs = {"nonce": nonce, "client_id": client, "access_token": token.get("access_token")}
        try:
            decoded = self._decoded(text)
            claims = CodeIDToken(decoded.claims, decoded.header, options, proofs)
            claims.validate(now=int(self._world.clock().timestamp()), leeway=LEEWAY)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            reason = getattr(error, "description", "") or getattr(error, "error", "") or type(error).__name__
            raise Untrusted("The ID token is not valid: {reason}", reason=reason) from error
        return dict(claims)

    def _decoded(self, text: str) -> Any:
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError
        from joserfc.jws import JWSRegistry

        registry = JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
        try:
            return jwt.decode(text, self._keys(), registry=registry)
        except InvalidKeyIdError:
            return jwt.decode(text, self._keys(anew=True), registry=registry)

    def _more(self, session: Any, subject: str) -> dict[str, Any]:
        """What the provider says beside the ID token; nothing when that is about somebody else."""
        answer = session.get(self._endpoint("userinfo_endpoint"))
        answer.raise_for_status()
        told = answer.json()
        return told if isinstance(told, dict) and told.get("sub") == subject else {}

    def _keys(self, *, anew: bool = False) -> Any:
        """The keys that it publishes; ``anew`` asks again for one that is not among them, at most once a minute."""
        from joserfc.jwk import KeySet

        metadata, known = self._metadata(), self._known
        assert known is not None
        if known.keys is None or (anew and time.monotonic() - known.asked > 60):
            known.asked = time.monotonic()
            known.keys = KeySet.import_key_set(self._get(metadata["jwks_uri"]))  # type: ignore[arg-type]
        return known.keys

    def _metadata(self) -> Mapping[str, Any]:
        """Its description of itself. Raises ``ProviderFailed``."""
        known = self._known
        if known is not None and time.monotonic() < known.until:
            return known.metadata
        issuer = self._settings.oidc_issuer.rstrip("/")
        found = self._get(f"{issuer}/.well-known/openid-configuration")
        named = found.get("issuer")
        if not isinstance(named, str) or named.rstrip("/") != issuer:
            raise ProviderFailed("The provider calls itself {named}, not {issuer}.", named=named, issuer=issuer)
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not isinstance(found.get(name), str):
                raise ProviderFailed("The provider says nothing of its {name}.", name=name)
        self._known = _Known(found, time.monotonic() + KEPT)
        return found

    def _endpoint(self, name: str) -> str:
        url = str(self._metadata()[name])
        try:
            _refuse_plain(url)
        except BadSetting as error:
            raise ProviderFailed("The provider's {name} is not reached by HTTPS.", name=name) from error
        return url

    def _get(self, url: str) -> dict[str, Any]:
        import requests

        try:
            answer = requests.get(url, timeout=TIMEOUT)
            answer.raise_for_status()
            found = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise _unreachable(error) from error
        if not isinstance(found, dict):
            raise ProviderFailed("The provider cannot be reached: {reason}", reason="what it answers is no JSON object")
        return found

    def _session(self, **more: Any) -> Any:
        from authlib.integrations.requests_client import OAuth2Session

        settings, metadata = self._settings, self._metadata()
        methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        method = "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
        scopes = settings.oidc_scopes.split()
        return OAuth2Session(
            settings.oidc_client_id,
            settings.oidc_client_secret or None,
            token_endpoint_auth_method=method if settings.oidc_client_secret else "none",
            scope=" ".join(dict.fromkeys(["openid", *scopes])),
            code_challenge_method="S256",
            default_timeout=TIMEOUT,
            **more,
        )


def _unreachable(error: Exception) -> ProviderFailed:
    return ProviderFailed("The provider cannot be reached: {reason}", reason=type(error).__name__)


def _refuse_plain(url: str) -> None:
    """Raises ``BadSetting`` for an address without encryption, other than on this machine."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _HERE):
        raise BadSetting("RATOON_OIDC_ISSUER={url} does not begin with https://", url=url)
