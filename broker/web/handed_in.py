"""What somebody hands in to be verified in a form: a receipt or its bundle, dropped as a file or pasted as text."""

from __future__ import annotations

from flask import request

from broker.core.errors import CallerProblem
from broker.core.receipt import MAX_RECEIPT


def handed_in() -> bytes:
    """The form's ``file``, or else its ``text``; read here, kept nowhere.

    Raises ``CallerProblem``: ``receipt.none``, ``body.too-large``.
    """
    file = request.files.get("file")
    body = file.stream.read(MAX_RECEIPT + 1) if file and file.filename else b""
    body = body or request.form.get("text", "").encode()
    if not body.strip():
        raise CallerProblem("receipt.none")
    if len(body) > MAX_RECEIPT:
        raise CallerProblem("body.too-large", expected=f"at most {MAX_RECEIPT} bytes")
    return body
