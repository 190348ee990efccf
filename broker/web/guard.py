"""The guard: sizes first, then the signature over the bytes as received; the flow parses what it lets through."""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from flask import Request, Response

from broker.core.entry import entry
from broker.core.envelope import Signer, Verifier, parse
from broker.core.errors import CallerProblem, Problem
from broker.core.grammar import Grammar
from broker.core.roles import Role
from broker.flow.caller import NONCE_KEPT, Caller, identified
from broker.flow.parts import Parts
from broker.ports import Policy, Work
from broker.signing import http_message

MAX_BODY = 256 * 1024  # as core.envelope.MAX_DOCUMENT: a scene with all its parties takes 12 KiB
JSON = "application/json"
_SIGNED_HEADERS = {
    "signature-input": "HTTP_SIGNATURE_INPUT",
    "signature": "HTTP_SIGNATURE",
    "content-digest": "HTTP_CONTENT_DIGEST",
    "content-type": "CONTENT_TYPE",
}
_JSON_TYPE = re.compile(r"application/json(\s*;\s*charset=utf-8)?", re.IGNORECASE)


class Signed:
    """A request whose signature is still to be verified; :meth:`identify` is what the flow calls in its transaction."""

    def __init__(self, request: Request, public_url: str, body: bytes, roles: Collection[Role]) -> None:
        """``public_url`` is where callers were told to send requests; no Host or forwarded header is believed.

        The caller must have one of the ``roles``.
        """
        environ = request.environ
        self.method = request.method
        self.target = target_uri(request, public_url)
        self.body = body
        self.roles = roles
        self.caller: Caller | None = None  # set once the signature holds
        self._headers = {name: environ[key] for name, key in _SIGNED_HEADERS.items() if environ.get(key)}

    def identify(self, policy: Policy, now: datetime) -> Caller:
        """Who signed it. Raises ``CallerProblem``: ``signature.*``, ``caller.suspended`` or ``caller.role``.

        Left outside: that the nonce is fresh, which only the caller's transaction can tell.
        """

        def usable(key_id: str) -> Verifier | None:
            key = policy.keys.get(key_id)
            return key.verifier if key is not None and key.usable(now) else None

        verified = http_message.verify_request(
            self.method, self.target, self._headers, self.body, usable, int(now.timestamp())
        )
        client = policy.clients[policy.keys[verified.key_id].client]
        self.caller = Caller(client, verified.key_id, verified.nonce)
        if client.state != "active":
            raise CallerProblem("caller.suspended", got=client.id)
        if not set(client.roles) & set(self.roles):
            raise CallerProblem("caller.role", got=",".join(client.roles), expected=" or ".join(self.roles))
        return self.caller


def target_uri(request: Request, public_url: str) -> str:
    """What the caller signed as @target-uri; our paths need no escapes, so an escaped spelling does not verify."""
    query = request.environ.get("QUERY_STRING")
    path = f"{public_url}{request.environ.get('PATH_INFO', '')}"
    return f"{path}?{query}" if query else path


def read_body(request: Request, limit: int = MAX_BODY) -> bytes:
    """The body, refused before it is read or verified where it is too large or not JSON by its own account."""
    length = request.content_length
    if length is not None and length > limit:
        raise CallerProblem("body.too-large", got=str(length), expected=f"at most {limit} bytes")
    if request.method == "POST" and not _JSON_TYPE.fullmatch(request.environ.get("CONTENT_TYPE", "")):
        raise CallerProblem("body.media-type", expected=JSON)
    body = request.stream.read(limit + 1)
    if len(body) > limit:
        raise CallerProblem("body.too-large", expected=f"at most {limit} bytes")
    return body


def verified_document(parts: Parts, signed: Signed, grammar: Grammar) -> dict[str, Any]:
    """The body of a request, parsed once its signature holds; the step verifies it again and spends the nonce."""
    with parts.store.read() as work:
        pulse = work.pulse()
        signed.identify(parts.policy(work, pulse), pulse.now)
    document: dict[str, Any] = parse(signed.body, limit=len(signed.body))  # its size was looked at first
    grammar.check(document)
    return document


@contextmanager
def reading(parts: Parts, signed: Signed) -> Iterator[tuple[Work, Caller]]:
    """A signed request that only reads: identified, its nonce spent, then read in the same transaction.

    A refusal of a known party is recorded. Nothing is committed but the nonce.
    """
    with recorded(parts, signed), parts.store.write() as work:
        pulse = work.pulse()
        caller = identified(work, parts.policy(work, pulse), signed.identify, pulse.now)
        yield work, caller
        # Crash before this commit: nothing was read, the caller asks again with a new nonce.
        work.commit()


@contextmanager
def recorded(parts: Parts, signed: Signed, codes: Container[str] | None = None) -> Iterator[None]:
    """Write the audit entry of a refusal where the party is known, that is, once its signature holds.

    A stale signature names nobody: whoever sends it may have found it. ``codes`` limits it to refusals that the step
    inside does not record itself.
    """
    try:
        yield
    except CallerProblem as problem:
        if signed.caller is not None and (codes is None or problem.code in codes):
            _record_refusal(parts, signed.caller, problem)
        raise


def _record_refusal(parts: Parts, caller: Caller, problem: Problem) -> None:
    """The refusal's entry and the spent nonce, nothing else."""
    with parts.store.write() as work:
        now = work.pulse().now
        work.spend_nonce(caller.key_id, caller.nonce, now + NONCE_KEPT)
        work.record([entry("refused", now, client=caller.client.id, key=caller.key_id, code=problem.code)])
        work.commit()


def sign_answer(request: Request, response: Response, public_url: str, signer: Signer, created: int) -> None:
    """Sign the answer and bind it to the request's signature; an unsigned request gets an unsigned answer."""
    signature = request.environ.get("HTTP_SIGNATURE")
    if not signature:
        return
    question = http_message.Question(request.method, target_uri(request, public_url), signature)
    body, media_type = response.get_data(), response.headers.get("Content-Type", "")
    try:
        headers = http_message.sign_response(response.status_code, body, media_type, question, signer, created)
    except CallerProblem:  # a path or method that cannot stand in a signature base: nobody can have signed it
        return
    response.headers.update(headers)
