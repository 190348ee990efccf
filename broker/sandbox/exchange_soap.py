"""The exchange platform's SOAP services: strict about the envelope, the operation, its three parameters, its digest.

Written from what callers tell of such services, and from nothing the broker's connector contains; what they do not
tell – operation, namespace, the arguments' and the answer's tags – is this simulator's own, and called so in the list.
A described source (:mod:`.configured`) is one of these where it says ``soap: {namespace, operation, type}``.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from html import escape
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from broker.sandbox.platform import Call

_SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
_PARAMETERS: Final = ["type", "arguments", "security"]


class _Fault(Exception):
    """A SOAP fault of this class."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def answered(
    soap: Mapping[str, str], ident_key: str, call: Call, answer: Callable[[dict[str, Any]], Mapping[str, Any]]
) -> bytes:
    """The envelope with what ``answer`` says to the arguments, or with a fault; the proxy hands both on with 200."""
    try:
        arguments = _arguments(soap, ident_key, call)
        told = _xml("RESULT", answer({child.tag: child.text or "" for child in arguments}))
    except _Fault as fault:
        return _envelope(f"<s:Fault><faultcode>s:{fault.code}</faultcode><faultstring>错误</faultstring></s:Fault>")
    name = f"{soap['operation']}Response"
    return _envelope(f'<r:{name} xmlns:r="{soap["namespace"]}"><return>{escape(told)}</return></r:{name}>')


def _arguments(soap: Mapping[str, str], ident_key: str, call: Call) -> Element:
    if not call.headers.get("content_type", "").startswith("text/xml") or "soapaction" not in call.headers:
        raise _Fault("Client")
    envelope = _parsed(call.body)
    if envelope.tag != f"{{{_SOAP}}}Envelope":
        raise _Fault("VersionMismatch")
    asked = envelope.findall(f"{{{_SOAP}}}Body/*")
    if len(asked) != 1 or asked[0].tag != f"{{{soap['namespace']}}}{soap['operation']}":
        raise _Fault("Client")
    told = {child.tag: child.text or "" for child in asked[0]}
    if [child.tag for child in asked[0]] != _PARAMETERS or told["type"] != soap["type"]:
        raise _Fault("Client")
    digest = hashlib.md5((told["arguments"] + ident_key).encode()).hexdigest()  # noqa: S324 - the service's own way
    if not hmac.compare_digest(digest.encode(), told["security"].encode()):
        raise _Fault("Client.Authentication")
    return _parsed(told["arguments"].encode())


def _parsed(text: bytes) -> Element:
    try:
        root: Element = fromstring(text, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError):
        raise _Fault("Client") from None
    return root


def _xml(tag: str, value: object) -> str:
    """Objects as elements, a list of objects as so many of them, a list of anything else as elements inside."""
    if isinstance(value, Mapping):
        return f"<{tag}>{''.join(_xml(name, part) for name, part in value.items())}</{tag}>"
    if not isinstance(value, list):
        return f"<{tag}>{escape(str(value))}</{tag}>"
    if all(isinstance(one, Mapping) for one in value):
        return "".join(_xml(tag, one) for one in value)
    return f"<{tag}>{''.join(_xml('ITEM', one) for one in value)}</{tag}>"


def _envelope(body: str) -> bytes:
    head = f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="{_SOAP}">'
    return f"{head}<s:Body>{body}</s:Body></s:Envelope>".encode()
