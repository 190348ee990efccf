"""What a registered system may do: each signed route needs a role; ``broker.web.openapi.ROUTES`` says which."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a client was registered for. It may have several; the persons behind it are told apart by ``by``."""

    APPROVAL = "approval"  # submits verifications and reads its own
    LIST_EDITOR = "list-editor"  # drafts lists and hands them in
    LIST_APPROVER = "list-approver"  # reviews what another person has handed in, and publishes it
    SOURCE = "source"  # speaks for a source department: decides applications, revokes grants, answers work orders
    CENTRE = "centre"  # the big-data centre: reads, searches and exports the log, embargoes, erases, decides as owner
    AUDITOR = "auditor"  # reads, searches and exports the audit log, and reviews what was flagged in it
    WITNESS = "witness"  # hands in its signature under a checkpoint, and reads the audit log
    PORTAL = "portal"  # asks for persons who asked about them
