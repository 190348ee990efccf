"""Reading and writing the XML of sources: flat records of text, parsed without DTDs, entities and surprises."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from broker.connectors.reading import Record, settle
from broker.core.answer import Reason


def xml_of(body: bytes) -> Element:
    """The root element, or MALFORMED: no well-formed XML, or one with a document type."""
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        settle(Reason.MALFORMED)
    return root


def tags_of(values: Mapping[str, str]) -> str:
    """One element for each value, in the order given."""
    return "".join(f"<{tag}>{escape(value, quote=False)}</{tag}>" for tag, value in values.items())


def record_of(element: Element) -> Record:
    """The texts below an element, tags in upper case; MALFORMED where one comes twice or has elements of its own."""
    found: dict[str, str] = {}
    for child in element:
        tag = child.tag.upper()
        if tag in found or len(child):
            settle(Reason.MALFORMED)
        found[tag] = (child.text or "").strip()
    return found
