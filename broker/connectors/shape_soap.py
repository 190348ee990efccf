"""SOAP services behind the exchange platform's ``/wsproxy`` (编办 2972, 失信 2974): one operation, XML within XML.

Known of them, from public callers: a call names a ``type`` (SIC_IF_0006, SIC_IF_0001), its ``arguments``, and as
``security`` the MD5 of the arguments followed by an identification key; the answer is XML. **Inferred**, because
nobody has published a WSDL or a sample, and to be settled with the platform before anybody relies on it:

* SOAP 1.1, document/literal; operation and namespace, which therefore are the source's options;
* that the three parameters are unqualified elements of these names, and the arguments an XML text of their own;
* the MD5 in lower-case hexadecimal over UTF-8;
* that the answer is an XML text in the operation's one return element, with a code and a list of flat records;
* that the gateway signs, refuses and hands out secrets here as it does at ``/httpproxy``.

A fault that comes as the HTTP binding has it, with status 500, is the transport's SOURCE_DOWN like every 5xx; one
that the proxy hands on with 200 is read here: :data:`FAULTS`, or the source's own ``faults``.

Source options: ``operation`` {namespace, name, type}, ``request`` {their argument: what}, ``ok`` {path, values},
``codes``, ``faults``, ``result`` (path to the records; tags exact in both paths), and those of
:mod:`broker.connectors.reading`, with the tags in upper case. Connection: credential ``ident_key``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from html import escape
from typing import Any, Final
from xml.etree.ElementTree import Element

from broker.connectors.reading import credential, parameter, refusal_of, settle, the_one, told
from broker.connectors.reading_xml import record_of, tags_of, xml_of
from broker.connectors.shape import Asking, Proxy
from broker.core.answer import Answer, Reason

SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
FAULTS: Final[Mapping[str, str]] = {  # SOAP 1.1, 4.4.1
    "Client": "unknown.question-refused",
    "Server": "unknown.source-down",
    "VersionMismatch": "unknown.catalogue-drift",
    "MustUnderstand": "unknown.catalogue-drift",
}
_PATH: Final = re.compile(r"[A-Za-z_][\w.-]*(/[A-Za-z_][\w.-]*)*", re.ASCII)  # tags only, nothing else of XPath
_NAME: Final = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)


class Soap:
    """A call of one operation; its arguments are signed with the identification key."""

    proxy: Final = Proxy.SOAP
    headers: Final[Mapping[str, str]] = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'}

    def body(self, asking: Asking) -> bytes:
        """The envelope; nothing is asked of an operation that the list does not describe wholly."""
        namespace, name, kind = _operation(asking)
        options = asking.source.options
        wanted: Mapping[str, str] = options.get("request") or settle(Reason.NOT_CONFIGURED)
        _ok(options)
        _path(options.get("result"))
        asked = {theirs: parameter(spec, asking.question) for theirs, spec in wanted.items()}
        arguments = f"<ARGUMENTS>{tags_of(asked)}</ARGUMENTS>"
        security = security_of(arguments, credential(asking.connection, "ident_key"))
        told_ = tags_of({"type": kind, "arguments": arguments, "security": security})
        return (
            f'<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="{SOAP}"><soap:Body>'
            f'<call:{name} xmlns:call="{escape(namespace)}">{told_}</call:{name}></soap:Body></soap:Envelope>'
        ).encode()

    def payload(self, body: bytes, asking: Asking) -> Any:
        """Code and records ``[{tag: text}]``, once the inner document says that the service succeeded."""
        options = asking.source.options
        document = _document(_returned(xml_of(body), asking))
        codes, ok = document.findall(_path(_ok(options)["path"])), _ok(options)["values"]
        code = (codes[0].text or "").strip() if len(codes) == 1 else None
        if code is None or code not in ok:
            settle(refusal_of(code, options.get("codes", {})), code)
        return {
            "code": code,
            "records": [record_of(record) for record in document.findall(_path(options.get("result")))],
        }

    def answer(self, payload: Any, asking: Asking) -> Answer:
        """The single record's answer."""
        record = the_one(payload["records"], asking.source.options)
        return told(record, asking.question, asking.source, payload["code"])


def security_of(arguments: str, ident_key: str) -> str:
    """MD5 over arguments ‖ key: the service's way, and no proof of anything against who sees many of them."""
    return hashlib.md5((arguments + ident_key).encode(), usedforsecurity=False).hexdigest()


def _operation(asking: Asking) -> tuple[str, str, str]:
    described = asking.source.options.get("operation")
    if not isinstance(described, dict) or not _NAME.fullmatch(str(described.get("name", ""))):
        settle(Reason.NOT_CONFIGURED)
    namespace, kind = described.get("namespace"), described.get("type")
    return (namespace, described["name"], kind) if namespace and kind else settle(Reason.NOT_CONFIGURED)


def _returned(envelope: Element, asking: Asking) -> str:
    """The text in the operation's return element; a fault ends the conversation."""
    bodies = envelope.findall(f"{{{SOAP}}}Body")
    if envelope.tag != f"{{{SOAP}}}Envelope" or len(bodies) != 1 or len(bodies[0]) != 1:
        settle(Reason.MALFORMED)
    response = bodies[0][0]
    if response.tag == f"{{{SOAP}}}Fault":
        _end_in(response, asking)
    namespace, name, _ = _operation(asking)
    if response.tag != f"{{{namespace}}}{name}Response" or len(response) != 1 or len(response[0]):
        settle(Reason.MALFORMED)
    return response[0].text or ""


def _end_in(fault: Element, asking: Asking) -> None:
    """``soap:Client.Authentication`` is the local name of a QName, the part before the dot its class."""
    code = (fault.findtext("faultcode") or "").strip().rpartition(":")[2]
    known = {**FAULTS, **asking.source.options.get("faults", {})}
    settle(refusal_of(code if code in known else code.partition(".")[0], known), code)


def _document(text: str) -> Element:
    """The answer inside the answer, held to the same."""
    return xml_of(text.strip().encode())


def _ok(options: Mapping[str, Any]) -> Mapping[str, Any]:
    ok = options.get("ok")
    return ok if isinstance(ok, dict) and {"path", "values"} <= ok.keys() else settle(Reason.NOT_CONFIGURED)


def _path(path: object) -> str:
    return path if isinstance(path, str) and _PATH.fullmatch(path) else settle(Reason.NOT_CONFIGURED)
