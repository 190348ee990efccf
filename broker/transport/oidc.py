"""Signing in by OpenID Connect: authorisation code with PKCE, the ID token verified, nothing asked besides it.

The provider's addresses come from its discovery document, read once; its keys are read at every sign-in, so that it
may change them whenever it likes.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from broker.core.errors import BrokerProblem, CallerProblem
from broker.ports.console import Identity

_SECONDS = (2, 5)  # to connect, to answer
_LEEWAY = 30
_ALGORITHMS = ["RS256", "PS256", "ES256", "ES384", "EdDSA"]  # never none, never a shared secret


class _Tokens(JWSRegistry):
    """Takes tokens as long as thousands of groups make them; the library's own 128 KB would keep their owners out."""

    max_payload_length = 2 * 1024 * 1024


@dataclass
class OidcProvider:
    """One identity provider; implements ``ports.console.IdentityProvider``."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    label: str
    acr: tuple[str, ...] = ()  # one of these must be the strength the provider tells of; none: it is trusted with it
    amr: tuple[str, ...] = ()  # one of these must be among the ways in which it says it has looked
    scopes: tuple[str, ...] = ()  # asked for besides ``openid``, so that it tells groups, name and body
    _discovered: Mapping[str, Any] | None = field(default=None, repr=False)

    def begin(self, redirect_uri: str, *, again: bool = False) -> tuple[str, str]:
        """Where to send the browser, and what to remember until it comes back; ``again``: it must look anew."""
        nonce, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        with self._session(redirect_uri) as session:
            url, state = session.create_authorization_url(
                self._discovery()["authorization_endpoint"], nonce=nonce, code_verifier=verifier,
                **({"acr_values": " ".join(self.acr)} if self.acr else {}),
                **({"prompt": "login", "max_age": "0"} if again else {}),
            )  # fmt: skip
        since = int(time.time()) if again else 0
        return url, json.dumps({"state": state, "nonce": nonce, "verifier": verifier, "since": since})

    def finish(self, redirect_uri: str, memory: str, answer: str) -> Identity:
        """Who came back, and everything that the ID token says. Raises ``CallerProblem`` ``access.provider``.

        (1) the state is the one this browser was sent with;
        (2) the code is exchanged with our secret and the PKCE verifier;
        (3) the ID token is signed by the provider, for us, now, and with the nonce of this sign-in;
        (4) the provider has looked as well as we ask, and since we asked it to look anew.
        """
        kept = json.loads(memory)
        try:
            with self._session(redirect_uri, kept["state"]) as session:
                token = session.fetch_token(  # (1), (2)
                    self._discovery()["token_endpoint"], authorization_response=answer,
                    code_verifier=kept["verifier"], timeout=_SECONDS,
                )  # fmt: skip
            claims = self._claims(token["id_token"], kept["nonce"])  # (3)
        except (AuthlibBaseError, JoseError, KeyError, ValueError, requests.RequestException) as error:
            raise CallerProblem("access.provider") from error
        self._require_strength(claims, kept["since"])  # (4)
        return Identity(claims["iss"], claims["sub"], claims)

    def leave(self, back: str) -> str:
        """Where to send a browser so that the provider signs it out too, "" where it offers no such place."""
        place = self._discovery().get("end_session_endpoint", "")
        asked = urlencode({"client_id": self.client_id, "post_logout_redirect_uri": back})
        return f"{place}{'&' if '?' in place else '?'}{asked}" if place else ""

    def _require_strength(self, claims: Mapping[str, Any], since: int) -> None:
        """What a provider does not say counts as not done. Raises ``CallerProblem`` ``access.weak``."""
        told = claims.get("amr") or []
        strong = not self.acr or claims.get("acr") in self.acr
        known = not self.amr or (isinstance(told, list) and bool({*self.amr} & {*map(str, told)}))
        looked = claims.get("auth_time", 0)
        anew = not since or (isinstance(looked, int) and looked >= since - _LEEWAY)
        if not (strong and known and anew):
            raise CallerProblem("access.weak")

    def _claims(self, token: str, nonce: str) -> Mapping[str, Any]:
        keys = KeySet.import_key_set(self._fetched(self._discovery()["jwks_uri"]))
        decoded = jwt.decode(token, keys, registry=_Tokens(algorithms=_ALGORITHMS))
        wanted = {
            "iss": {"essential": True, "value": self.issuer},
            "aud": {"essential": True, "value": self.client_id},
            "sub": {"essential": True},
            "exp": {"essential": True},
            "nonce": {"essential": True, "value": nonce},
        }
        claims = CodeIDToken(decoded.claims, decoded.header, wanted, {"nonce": nonce, "client_id": self.client_id})
        claims.validate(leeway=_LEEWAY)
        return dict(claims)

    def _session(self, redirect_uri: str, state: str | None = None) -> Any:
        return OAuth2Session(
            self.client_id, self.client_secret, scope=" ".join(("openid", *self.scopes)), redirect_uri=redirect_uri,
            state=state, code_challenge_method="S256", token_endpoint_auth_method="client_secret_basic",  # noqa: S106 - its name
        )  # fmt: skip

    def _discovery(self) -> Mapping[str, Any]:
        if self._discovered is None:
            try:
                found = self._fetched(f"{self.issuer}/.well-known/openid-configuration")
            except (requests.RequestException, ValueError) as error:
                raise BrokerProblem("access.provider-away", retry_after=10) from error
            if found.get("issuer") != self.issuer:
                raise BrokerProblem("access.provider-away", got="another issuer", retry_after=10)
            self._discovered = found
        return self._discovered

    @staticmethod
    def _fetched(url: str) -> Any:
        answer = requests.get(url, timeout=_SECONDS, allow_redirects=False)
        answer.raise_for_status()
        return answer.json()
