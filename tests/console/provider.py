"""A small real OpenID provider, made of Authlib's server: authorisation code with PKCE, RS256, and ways to lie."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, ClientMixin, grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode, UserInfo
from flask import Flask, Response, jsonify
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

from tests.console.kit import _served

CLIENT_ID, SECRET = "console", "a secret of the test"


@dataclass
class _Client(ClientMixin):  # type: ignore[misc]  # Authlib has no types
    redirect_uri: str = ""

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_default_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return bool(redirect_uri == self.redirect_uri)

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


@dataclass
class _Code(AuthorizationCodeMixin):  # type: ignore[misc]
    code: str
    redirect_uri: str
    scope: str
    nonce: str
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str:
        return self.nonce

    auth_time: int
    acr: str | None
    amr: list[str] | None

    def get_auth_time(self) -> int:
        return self.auth_time

    def get_acr(self) -> str | None:
        return self.acr

    def get_amr(self) -> list[str] | None:
        return self.amr


@dataclass
class Provider:
    """What the provider says of whoever comes; tests change it to let it lie."""

    url: str = ""
    subject: str = "officer-7"
    audience: str = CLIENT_ID
    issuer: str = ""
    nonce: str = ""  # "" for the one it was sent
    looked: int | None = None  # when it has last looked who it is; None: just now
    acr: str | None = None
    amr: list[str] | None = None
    claims: dict[str, Any] = field(default_factory=dict)  # what it says besides, or instead: groups, name, ``exp``
    scope: str = ""  # what it was asked for last
    client: _Client = field(default_factory=_Client)
    codes: dict[str, _Code] = field(default_factory=dict)
    key: Any = field(default_factory=lambda: RSAKey.generate_key(2048, {"use": "sig", "kid": "k1"}))
    published: Any = None

    def __post_init__(self) -> None:
        """What it signs with is what it publishes, until a test says otherwise."""
        self.published = self.key


@contextmanager
def provider() -> Iterator[Provider]:
    """Serve one on this machine."""
    made = Provider()
    app = _application(made)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    made.url = made.issuer = f"http://127.0.0.1:{server.server_port}"
    with _served(server):
        yield made


def _application(made: Provider) -> Flask:
    app = Flask("provider")
    server = AuthorizationServer(app, query_client=lambda _: made.client, save_token=lambda token, request: None)
    server.register_grant(_grant(made), [_openid(made), CodeChallenge(required=True)])

    @app.get("/.well-known/openid-configuration")
    def _discovery() -> Response:
        return jsonify(issuer=made.url, authorization_endpoint=f"{made.url}/authorize",
                       token_endpoint=f"{made.url}/token", jwks_uri=f"{made.url}/keys",
                       end_session_endpoint=f"{made.url}/leave")  # fmt: skip

    @app.get("/authorize")
    def _authorize() -> Any:
        grant = server.get_consent_grant(end_user=made.subject)
        return server.create_authorization_response(grant_user=made.subject, grant=grant)

    @app.post("/token")
    def _token() -> Any:
        return server.create_token_response()

    @app.get("/keys")
    def _keys() -> Response:
        return jsonify(keys=[made.published.as_dict(private=False)])

    return app


def _grant(made: Provider) -> type[grants.AuthorizationCodeGrant]:
    class _Grant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic",)

        def save_authorization_code(self, code: str, request: Any) -> None:
            data = request.payload.data
            kept = (data["nonce"], data["code_challenge"], data["code_challenge_method"])
            looked = int(time.time()) if made.looked is None else made.looked
            told = (looked, made.acr, made.amr)
            made.codes[code] = _Code(code, request.payload.redirect_uri, request.payload.scope, *kept, *told)

        def query_authorization_code(self, code: str, client: Any) -> _Code | None:
            return made.codes.get(code)

        def delete_authorization_code(self, authorization_code: _Code) -> None:
            made.codes.pop(authorization_code.code)

        def authenticate_user(self, authorization_code: _Code) -> str:
            return made.subject

    return _Grant


def _openid(made: Provider) -> OpenIDCode:
    class _Openid(OpenIDCode):  # type: ignore[misc]
        def exists_nonce(self, nonce: str, request: Any) -> bool:
            return False

        def resolve_client_private_key(self, client: Any) -> Any:
            return made.key

        def get_client_algorithm(self, client: Any) -> str:
            return "RS256"

        def get_client_claims(self, client: Any) -> dict[str, Any]:
            return {"iss": made.issuer, "aud": [made.audience]}

        def generate_user_info(self, user: str, scope: str) -> UserInfo:
            made.scope = scope
            return UserInfo({"sub": made.subject, **made.claims}, **({"nonce": made.nonce} if made.nonce else {}))

    return _Openid(require_nonce=True)
