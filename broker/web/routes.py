"""Every route, once: what it takes, what it gives, which role it needs, and every problem it can answer with.

The OpenAPI document is made from this table, and tests hold it against Flask's routes and against who may call what.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broker.core.problems import PROBLEMS
from broker.core.roles import Role

_JSON, _HTML = "application/json", "text/html"
_SIGNATURE = tuple(code for code in PROBLEMS if code.startswith("signature."))
_READS = ("store.away",)
_SIGNED = (*_SIGNATURE, "caller.suspended", "caller.role", "body.too-large", *_READS)
_BODY = tuple(code for code in PROBLEMS if code.startswith("body.") and code != "body.too-large")
_LISTED = ("edition.none", "request.parameter", "request.region", *_READS)
_PROVEN = ("verification.unknown", "verification.undecided", "log.not-yet", "log.tile")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter beside the body."""

    name: str
    where: str  # path, query or header
    text: str
    pattern: str
    required: bool = True
    many: bool = False  # may come several times

    def document(self) -> dict[str, Any]:
        """Its OpenAPI form."""
        schema: dict[str, Any] = {"type": "string", "pattern": f"^{self.pattern}$"}
        if self.many:
            schema = {"type": "array", "items": schema, "uniqueItems": True}
        about = {"name": self.name, "in": self.where, "description": self.text, "required": self.required}
        return about | {"schema": schema}


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: what it takes, what it gives, and every problem it can answer with."""

    method: str
    path: str
    name: str
    text: str
    answers: Mapping[int, tuple[str, str, str]]  # status → (words, media type, schema: a component, or a JSON type)
    problems: tuple[str, ...]
    parameters: tuple[Parameter, ...] = ()
    body: str = ""
    media: str = _JSON  # of the body
    roles: tuple[Role, ...] = ()  # one of them is enough; none: the route is open

    @property
    def signed(self) -> bool:
        """Whether the request must be signed."""
        return bool(self.roles)


_APPROVAL, _EDITOR, _APPROVER = (Role.APPROVAL,), (Role.LIST_EDITOR,), (Role.LIST_APPROVER,)
_CENTRE, _AUDITOR, _WITNESS, _PORTAL = (Role.CENTRE,), (Role.AUDITOR,), (Role.WITNESS,), (Role.PORTAL,)
_WATCHERS = (*_APPROVAL, *_EDITOR, *_APPROVER, Role.SOURCE, *_CENTRE, *_AUDITOR)
_DECIDERS, _CONCERNED = (Role.SOURCE, Role.CENTRE), (Role.APPROVAL, Role.SOURCE, Role.CENTRE, Role.AUDITOR)
_APPLIED = (*_SIGNED, *_BODY, "request.schema", "edition.none", "application.scope", "application.withheld",
            "application.renewal")  # fmt: skip
_DECIDED = ("request.identifier", "application.owner", "application.reason")
_SOURCE = (Role.SOURCE,)
_KEY = "[a-z][a-z0-9.-]{0,59}"
_NUMBER = Parameter("number", "path", "The verification's id, as its submission returned it.", "[0-9a-f]{32}")
_PREFER = Parameter(
    "Prefer", "header", "`wait=N`: answer as soon as it is decided, at the latest after N ≤ 30 seconds (RFC 7240).",
    "wait=[0-9]+", required=False,
)  # fmt: skip
_REGION = Parameter("region", "query", "The administrative code.", "[1-9][0-9]{5}")
_LANG = Parameter("lang", "query", "The page's language; zh unless en is asked for.", "(zh|en)", required=False)
_FLAG = Parameter("number", "path", "The flag's id.", "[0-9a-f]{32}")
_REVIEWERS = (Role.AUDITOR, Role.CENTRE)
_APPLICATION = Parameter("number", "path", "The application's id.", "[0-9a-f]{32}")
_DRAFT = Parameter("number", "path", "The draft's id.", "[0-9a-f]{32}")
_EDITION = Parameter("number", "path", "The edition's number.", "[1-9][0-9]{0,8}")
_TO_COME = ("edition.unknown", "edition.in-force", "edition.built-upon", "draft.remark")
_CONSENT = Parameter("number", "path", "The consent's id.", "[0-9a-f]{32}")
_OBJECTION = Parameter("number", "path", "The objection's id.", "[0-9a-f]{32}")
_ORDER = Parameter("number", "path", "The work order's id.", "[0-9a-f]{32}")
_SHEET = (_NUMBER, Parameter("digest", "path", "SHA-256 of the receipt's bytes, as the sheet has it.", "[0-9a-f]{64}"))
_VIEW = ("The verification as it stands.", _JSON, "verification")
_DRAFTED = {200: ("The draft as it stands now.", _JSON, "draft")}
_CHANGED = (*_SIGNED, *_BODY, "request.schema", "edition.unknown", "edition.state")

ROUTES: tuple[Route, ...] = (
    Route(
        "POST", "/v1/verifications", "submit",
        "Submit a verification of one item or one scene. The same request id and body again: the same verification.",
        {200: ("It is decided.", _JSON, "verification"), 202: ("The sources are being asked.", _JSON, "verification")},
        (
            *_SIGNED, *_BODY, "request.schema", "request.scope", "request.identifier", "request.unit",
            "request.role-twice", "request.region", "request.item", "request.scene", "request.role", "request.material",
            "request.item-not-in-force", "request.level", "request.conflict", "request.forgotten", "case.shredded",
            "case.applicant-differs", "case.parties", "case.closed", "misuse.stopped",
            *(code for code in PROBLEMS if code.startswith("grant.")), "edition.none", "broker.overloaded",
        ),
        (_PREFER,), "request", roles=_APPROVAL,
    ),
    Route(
        "GET", "/v1/verifications/{number}", "read", "Read a verification of this system, or wait for its decision.",
        {200: _VIEW}, (*_SIGNED, "verification.unknown"), (_NUMBER, _PREFER), roles=_APPROVAL,
    ),
    Route(
        "GET", "/v1/verifications/{number}/receipt", "receipt",
        "The receipt as stored, byte for byte: a compact JWS whose payload follows the schema `receipt`.",
        {200: ("The receipt.", "application/jose", "string")},
        (*_SIGNED, "verification.unknown", "verification.undecided"), (_NUMBER,), roles=_APPROVAL,
    ),
    Route(
        "GET", "/v1/verifications/{number}/proof", "proof",
        "The audit entry of the decision, and the proof that it is in the log (c2sp.org/tlog-proof@v1).",
        {200: ("Entry and proof.", _JSON, "proof")}, (*_SIGNED, *_PROVEN), (_NUMBER,), roles=_APPROVAL,
    ),
    Route(
        "GET", "/v1/verifications/{number}/bundle", "bundle",
        "Receipt, entry and proof in one document, to be filed in the case archive and verified offline.",
        {200: ("The bundle.", _JSON, "bundle")}, (*_SIGNED, *_PROVEN), (_NUMBER,), roles=_APPROVAL,
    ),
    Route(
        "GET", "/v1/verifications/{number}/promises", "promises",
        "The commitments (告知承诺) on which the decision rests, and what became of each when it was checked.",
        {200: ("The promises.", _JSON, "promises")}, (*_SIGNED, "verification.unknown"), (_NUMBER,), roles=_APPROVAL,
    ),
    Route(
        "GET", "/v1/verifications/{number}/explanation", "explanation",
        "Why each lookup was permitted or not, and why each material was decided as it was; the view is an entry.",
        {200: ("The explanation.", _JSON, "explanation")}, (*_SIGNED, "verification.unknown"), (_NUMBER,),
        roles=(Role.APPROVAL, Role.CENTRE, Role.AUDITOR),
    ),
    Route(
        "GET", "/v1/refusals/{number}", "refusals",
        "Why requests of this id were refused: the code, and the grant or rule of each lookup; the view is an entry.",
        {200: ("The refusals, the oldest first.", _JSON, "refusals")}, (*_SIGNED, "refusal.unknown"),
        (Parameter("number", "path", "The request id, as the system sent it.", "[A-Za-z0-9._-]{1,64}"),),
        roles=(Role.APPROVAL, Role.CENTRE, Role.AUDITOR),
    ),
    Route(
        "POST", "/v1/cases/outcome", "close", "Report a case's outcome: nothing is asked for it any more.",
        {200: ("The case is closed.", _JSON, "closed")},
        (*_SIGNED, *_BODY, "request.schema", "request.unit", "case.unknown", "case.closed"), (), "outcome",
        roles=_APPROVAL,
    ),
    Route(
        "POST", "/v1/cases/collected", "collected",
        "应用未用: report what was still taken on paper or demanded in the original; where data serves, with a reason.",
        {200: ("The report as it is kept.", _JSON, "collected")},
        (
            *_SIGNED, *_BODY, "request.schema", "request.region", "request.item", "request.material",
            "request.conflict", "collected.reason", "collected.twice", "edition.none",
        ), (), "collected.new", roles=_APPROVAL,
    ),
    Route(
        "GET", "/v1/grants/applications", "applications",
        "The applications that concern this system – its own, or those of its department's sources – the newest first.",
        {200: ("The applications.", _JSON, "applications")}, _SIGNED, roles=_CONCERNED,
    ),
    Route(
        "GET", "/v1/grants/applications/overdue", "overdue_applications",
        "Those of them that should have been decided before today.",
        {200: ("The applications.", _JSON, "applications")}, _SIGNED, roles=_CONCERNED,
    ),
    Route(
        "POST", "/v1/grants/applications", "apply", "Apply to a source's department for a grant, or for its renewal.",
        {201: ("The application.", _JSON, "application")}, (*_APPLIED, "request.identifier", "request.unit"), (),
        "application.new", roles=_APPROVAL,
    ),
    Route(
        "GET", "/v1/grants/applications/{number}", "read_application", "An application as it stands.",
        {200: ("The application.", _JSON, "application")}, (*_SIGNED, "application.unknown"), (_APPLICATION,),
        roles=_CONCERNED,
    ),
    Route(
        "POST", "/v1/grants/applications/{number}/decision", "decide",
        "Approve, trim or refuse what another department's person applied for; a grant is in force at once.",
        {200: ("The application as it stands now.", _JSON, "application")},
        (*_APPLIED, *_DECIDED, "application.unknown", "application.state", "application.self-approval",
         "application.widened"), (_APPLICATION,), "application.decision", roles=_DECIDERS,
    ),
    Route(
        "POST", "/v1/grants/{number}/state", "withdraw",
        "Suspend, revoke or restore a grant at once; lookups already queued under it are not asked.",
        {200: ("The grant's state.", _JSON, "grant_state")},
        (*_SIGNED, *_BODY, *_DECIDED, "request.schema", "edition.none", "application.grant", "application.grant-state"),
        (Parameter("number", "path", "The grant's id.", "[A-Za-z0-9._-]{1,80}"),), "application.change",
        roles=_DECIDERS,
    ),
    Route(
        "GET", "/v1/flags", "flags", "What was flagged in operators' conduct, the newest first.",
        {200: ("The flags.", _JSON, "flags")}, _SIGNED, roles=_REVIEWERS,
    ),
    Route(
        "GET", "/v1/flags/{number}", "read_flag", "One flag with its evidence.",
        {200: ("The flag.", _JSON, "flag")}, (*_SIGNED, "misuse.unknown"), (_FLAG,), roles=_REVIEWERS,
    ),
    Route(
        "POST", "/v1/flags/{number}/clear", "clear_flag",
        "Say what came of a flag; an operator whom it stopped may ask again.",
        {200: ("The flag as it stands now.", _JSON, "flag")},
        (*_SIGNED, *_BODY, "request.schema", "misuse.unknown", "misuse.cleared", "application.reason"), (_FLAG,),
        "flag.clearance", roles=_REVIEWERS,
    ),
    Route(
        "GET", "/v1/guide", "guide", "一次告知: what one item or one scene requires, and what need not be handed in.",
        {200: ("The guide.", _JSON, "guide")},
        (*_LISTED, "request.scope", "request.item", "request.scene", "request.item-not-in-force"),
        (
            _REGION,
            Parameter("item", "query", "An item's key; either this or scene.", _KEY, required=False),
            Parameter("scene", "query", "A scene's key.", _KEY, required=False),
        ),
    ),
    Route(
        "GET", "/v1/plan", "plan",
        "一套材料、一表申请: what a scene or several items require together, and which fields verified data fills in.",
        {200: ("The plan.", _JSON, "plan")},
        (
            *_LISTED, "request.scope", "request.item", "request.scene", "request.item-not-in-force", "request.level",
            "request.role",
        ),
        (
            _REGION,
            Parameter("item", "query", "An item's key; either these or scene.", _KEY, required=False, many=True),
            Parameter("scene", "query", "A scene's key.", _KEY, required=False),
            Parameter(
                "role", "query",
                "Whom the case knows besides the applicant. Without any, every condition is told and none decided.",
                "[a-z][a-z0-9_]{0,59}", required=False, many=True,
            ),
            Parameter("applicant", "query", "What the applicant is.", "(person|organisation)", required=False),
            Parameter(
                "fact", "query", "A fact of the case, as `name:value`; one that is not given counts as met.",
                "[a-z][a-z0-9_]{0,59}:[A-Za-z0-9_.-]{1,60}", required=False, many=True,
            ),
        ),
    ),
    Route(
        "GET", "/v1/items", "items", "The scenes and items of a region's list.",
        {200: ("The list.", _JSON, "items")}, _LISTED, (_REGION,),
    ),
    Route(
        "GET", "/guide", "guide_index", "The guide as pages: every region's scenes and items by life cycle and stage.",
        {200: ("A page.", _HTML, "string")}, ("edition.none", "request.parameter", *_READS), (_LANG,),
    ),
    Route(
        "GET", "/guide/{region}/{key}", "guide_page", "The guide of one item or scene as a page that prints well.",
        {200: ("A page.", _HTML, "string")},
        (*_LISTED, "request.item", "request.item-not-in-force"),
        (
            Parameter("region", "path", "The administrative code.", "[1-9][0-9]{5}"),
            Parameter("key", "path", "The key of an item or of a scene.", _KEY),
            _LANG,
        ),
    ),
    Route(
        "GET", "/guide/style.css", "guide_style", "The style sheet of the pages.",
        {200: ("CSS.", "text/css", "string")}, (),
    ),
    Route(
        "GET", "/verify", "verify_page", "How a receipt is verified without us, and a form that verifies one here.",
        {200: ("A page.", _HTML, "string")}, ("request.parameter",), (_LANG,),
    ),
    Route(
        "POST", "/verify", "verify_file", "Verify a receipt or bundle, as a file or pasted; it is kept nowhere.",
        {200: ("A page that says whether it holds.", _HTML, "string")},
        ("request.parameter", "receipt.none", "body.too-large"), (_LANG,), "object", "multipart/form-data",
    ),
    Route(
        "GET", "/verify/{number}/{digest}", "verify_sheet",
        "What a printed sheet (核验单) must say: its code leads here. Whoever knows the digest holds the sheet.",
        {200: ("A page.", _HTML, "string")}, ("receipt.unknown", "request.parameter", *_READS), (*_SHEET, _LANG),
    ),
    Route(
        "GET", "/verify/{number}/{digest}/bundle", "verify_bundle_file",
        "The receipt behind a printed sheet with its proof, as the file that is verified offline.",
        {200: ("The bundle.", _JSON, "bundle")}, ("receipt.unknown", "log.not-yet", "log.tile", *_READS), _SHEET,
    ),
    Route(
        "GET", "/v1/editions", "editions", "Every published edition of the sharing list.",
        {200: ("The editions, ascending.", _JSON, "editions")}, _READS,
    ),
    Route(
        "GET", "/v1/editions/{number}", "edition",
        "An edition's list, byte for byte as published; the header `Edition-Seal` holds the JWS that seals it.",
        {200: ("The list.", _JSON, "catalog")}, ("edition.unknown", *_READS),
        (_EDITION,),
    ),
    Route(
        "GET", "/v1/drafts", "drafts", "Every draft with its state and the persons behind it, the newest first.",
        {200: ("The drafts.", _JSON, "drafts")}, _SIGNED, roles=(*_EDITOR, *_APPROVER),
    ),
    Route(
        "POST", "/v1/drafts", "draft", "Draft a list on the newest edition; it may still have findings.",
        {201: ("The draft.", _JSON, "draft")}, (*_SIGNED, *_BODY, "request.schema"), (), "draft.new", roles=_EDITOR,
    ),
    Route(
        "GET", "/v1/drafts/{number}", "read_draft",
        "A draft with what the check finds in it, what it changes against the edition it stands on, and what was said.",
        _DRAFTED, (*_SIGNED, "edition.unknown"), (_DRAFT,), roles=(*_EDITOR, *_APPROVER),
    ),
    Route(
        "POST", "/v1/drafts/{number}/submit", "submit_draft", "Hand a draft without errors in for review.",
        _DRAFTED, (*_CHANGED, "catalog.broken", "draft.changed"), (_DRAFT,), "draft.submission", roles=_EDITOR,
    ),
    Route(
        "POST", "/v1/drafts/{number}/review", "review_draft",
        "Approve or reject; never by the person who drafted it or handed it in.",
        _DRAFTED, (*_CHANGED, "edition.self-approval"), (_DRAFT,), "draft.review", roles=_APPROVER,
    ),
    Route(
        "POST", "/v1/drafts/{number}/publish", "publish_draft",
        "Make an approved draft the next edition, from now or a time to come; what is in flight keeps its edition.",
        {200: ("The edition.", _JSON, "edition")},
        (*_CHANGED, "edition.outdated", "edition.effective", "register.exists"), (_DRAFT,), "draft.publication",
        roles=_APPROVER,
    ),
    Route(
        "POST", "/v1/drafts/{number}/rows", "edit_row",
        "Put one row into a draft, or take it out; refused where the draft has changed since it was read.",
        _DRAFTED, (*_CHANGED, "draft.changed", "draft.row"), (_DRAFT,), "draft.row", roles=_EDITOR,
    ),
    Route(
        "POST", "/v1/drafts/{number}/way", "another_way",
        "Take a returned draft up again, take one back from review, or give it up; by those who have worked on it.",
        _DRAFTED, (*_CHANGED, "draft.author", "draft.remark"), (_DRAFT,), "draft.way", roles=_EDITOR,
    ),
    Route(
        "POST", "/v1/drafts/{number}/continuation", "carry_on_draft",
        "A new draft with this one's list, on the edition that this one stands on; its authors stay authors.",
        {201: ("The new draft.", _JSON, "draft")}, (*_SIGNED, *_BODY, "request.schema", "edition.unknown"), (_DRAFT,),
        "draft.continuation", roles=_EDITOR,
    ),
    Route(
        "POST", "/v1/drafts/{number}/rebase", "rebase_draft",
        "Bring a draft's changes onto the newest edition; rows that both changed come back to be chosen, nothing done.",
        {200: ("Whether it is done, the draft as it stands, and the rows to choose.", _JSON, "rebased")},
        (*_CHANGED, "draft.changed", "draft.newest"), (_DRAFT,), "draft.rebase", roles=_EDITOR,
    ),
    Route(
        "POST", "/v1/drafts/{number}/remarks", "remark_on_draft", "Say something of a draft, or of one row in it.",
        _DRAFTED, (*_SIGNED, *_BODY, "request.schema", "edition.unknown", "draft.remark"), (_DRAFT,), "draft.saying",
        roles=(*_EDITOR, *_APPROVER),
    ),
    Route(
        "POST", "/v1/editions/{number}/draft", "draft_of_edition",
        "Go back: a draft on the newest edition with the list of an earlier one, reviewed as any other.",
        {201: ("The draft.", _JSON, "draft")}, (*_SIGNED, *_BODY, "request.schema", "edition.unknown"), (_EDITION,),
        "draft.continuation", roles=_EDITOR,
    ),
    Route(
        "POST", "/v1/editions/{number}/withdrawal", "withdraw_edition",
        "Take the newest edition back before it takes effect.",
        {200: ("The edition that was taken back.", _JSON, "edition")},
        (*_SIGNED, *_BODY, "request.schema", *_TO_COME), (_EDITION,), "draft.withdrawal", roles=_APPROVER,
    ),
    Route(
        "POST", "/v1/editions/{number}/move", "move_edition",
        "Let the newest edition, not in effect yet, take effect on another day: it becomes the next number.",
        {200: ("The edition it has become.", _JSON, "edition")},
        (*_SIGNED, *_BODY, "request.schema", *_TO_COME, "edition.effective"), (_EDITION,), "draft.move",
        roles=_APPROVER,
    ),
    Route(
        "POST", "/v1/subject/consents", "consents",
        "持证人授权: what a person was asked to consent to, for the portal at which they signed in.",
        {200: ("The consents, the newest first.", _JSON, "consents")},
        (*_SIGNED, *_BODY, "request.schema", "request.identifier"), (), "consent.listing", roles=_PORTAL,
    ),
    Route(
        "POST", "/v1/consents", "request_consent", "Ask a person beforehand, in an open case of this system.",
        {201: ("The consent, requested.", _JSON, "consent")},
        (*_SIGNED, *_BODY, "request.schema", "request.identifier", "case.unknown", "case.closed"), (),
        "consent.asking", roles=_APPROVAL,
    ),
    Route(
        "POST", "/v1/consents/{number}/decision", "decide_consent",
        "The holder's decision: grant, refuse, or revoke what was granted; effective at once.",
        {200: ("The consent, decided.", _JSON, "consent")},
        (
            *_SIGNED, *_BODY, "request.schema", "request.identifier",
            *(code for code in PROBLEMS if code.startswith("consent.")),
        ),
        (_CONSENT,), "consent.decision", roles=_PORTAL,
    ),
    Route(
        "GET", "/v1/orders", "orders", "部门间核查: the open work orders of this system's body, those due first.",
        {200: ("The orders.", _JSON, "orders")}, _SIGNED, roles=_SOURCE,
    ),
    Route(
        "GET", "/v1/orders/{number}", "order",
        "One work order with the question; each reading is an entry of the audit log.",
        {200: ("The order.", _JSON, "order")}, (*_SIGNED, "order.unknown", "order.stopped"), (_ORDER,), roles=_SOURCE,
    ),
    Route(
        "POST", "/v1/orders/{number}/answer", "answer_order",
        "A person's answer: confirm, deny or cannot say; once, and before it is overdue.",
        {200: ("The order, answered.", _JSON, "order")},
        (*_SIGNED, *_BODY, "request.schema", *(code for code in PROBLEMS if code.startswith("order."))), (_ORDER,),
        "order.answer", roles=_SOURCE,
    ),
    Route(
        "POST", "/v1/objections", "raise_objection",
        "数据异议: object to what a source said for a material of one's own verification.",
        {201: ("The objection.", _JSON, "objection")},
        (*_SIGNED, *_BODY, "request.schema", "verification.unknown", "verification.undecided", "objection.nothing",
         "objection.open", "objection.words", "case.shredded"), (), "objection.new", roles=_APPROVAL,
    ),
    Route(
        "GET", "/v1/objections/{number}", "objection", "How far an objection has come.",
        {200: ("The objection.", _JSON, "objection")}, (*_SIGNED, "objection.unknown"),
        (_OBJECTION,), roles=_APPROVAL,
    ),
    Route(
        "GET", "/v1/objections", "objections",
        "The objections to what this system's department says: those that stand, due first, then the latest that are"
        " over.",
        {200: ("The objections.", _JSON, "objections")}, _SIGNED, roles=_SOURCE,
    ),
    Route(
        "GET", "/v1/objections/{number}/dossier", "objection_dossier",
        "One for its department: about whom the source was asked, what it said, what was said since; each reading is"
        " an entry of the audit log.",
        {200: ("The objection with all of it.", _JSON, "objection.dossier")}, (*_SIGNED, "objection.unknown"),
        (_OBJECTION,), roles=_SOURCE,
    ),
    Route(
        "POST", "/v1/objections/{number}/acts", "act_on_objection",
        "The department's next act: accept (the record is marked) or refuse, say what was found, lift the mark or"
        " correct, close.",
        {200: ("The objection as it stands now.", _JSON, "objection")},
        (*_SIGNED, *_BODY, "request.schema", "objection.unknown", "objection.unit", "objection.state",
         "objection.words", "objection.same-person", "case.shredded"), (_OBJECTION,), "objection.act", roles=_SOURCE,
    ),
    Route(
        "GET", "/log/checkpoint", "checkpoint", "The latest signed checkpoint of the audit log (C2SP tlog-checkpoint).",
        {200: ("A signed note.", "text/plain", "string")}, ("log.not-yet", *_READS),
    ),
    Route(
        "GET", "/log/tile/entries/{path}", "entries",
        "An entry bundle (C2SP tlog-tiles). Not public: entries name operators and pseudonyms. Reading is an entry.",
        {200: ("Up to 256 entries, each behind its length in two bytes.", "application/octet-stream", "binary")},
        (*_SIGNED, "log.tile-path", "log.not-yet"),
        (Parameter("path", "path", "Index and width as tlog-tiles spells them.", "[0-9x/.p]+"),),
        roles=(*_CENTRE, *_AUDITOR, *_WITNESS),
    ),
    Route(
        "GET", "/log/tile/{path}", "tile",
        "A tile of hashes (C2SP tlog-tiles), partial ones included.",
        {200: ("Up to 256 hashes of 32 bytes.", "application/octet-stream", "binary")},
        ("log.tile-path", "log.not-yet", *_READS),
        (Parameter("path", "path", "Level, index and width as tlog-tiles spells them.", "[0-9x/.p]+"),),
    ),
    Route(
        "POST", "/v1/subject/accesses", "accesses",
        "Who asked what about a person, when, why, in which case; nothing about anybody else. The view is an entry.",
        {200: ("The accesses, the oldest first.", _JSON, "accesses")},
        (*_SIGNED, *_BODY, "request.schema", "request.identifier"), (), "audit.accesses", roles=_PORTAL,
    ),
    Route(
        "POST", "/v1/embargoes", "embargo",
        "Ask that a person's entries or a case's be hidden from the subject's view until a time.",
        {200: ("It waits for another person's approval.", _JSON, "embargo")},
        (*_SIGNED, *_BODY, "request.schema", "request.identifier", "embargo.until", "embargo.reason"), (),
        "audit.embargo",
        roles=_CENTRE,
    ),
    Route(
        "POST", "/v1/embargoes/{number}/approval", "approve_embargo",
        "Approve an embargo that another person asked for; it hides from now until its end.",
        {200: ("It is in force.", _JSON, "embargo")},
        (*_SIGNED, *_BODY, "request.schema", "embargo.unknown", "embargo.state", "embargo.self-approval"),
        (Parameter("number", "path", "The embargo's id.", "[0-9a-f]{32}"),), "audit.approval", roles=_CENTRE,
    ),
    Route(
        "POST", "/v1/embargoes/{number}/lifting", "lift_embargo",
        "End an embargo before its time, approved or not, with a reason.",
        {200: ("It is over.", _JSON, "embargo")},
        (*_SIGNED, *_BODY, "request.schema", "embargo.unknown", "embargo.over", "embargo.reason"),
        (Parameter("number", "path", "The embargo's id.", "[0-9a-f]{32}"),), "audit.lifting", roles=_CENTRE,
    ),
    Route(
        "GET", "/v1/embargoes", "embargoes", "The embargoes that are not over, approved or not, the newest first.",
        {200: ("The embargoes.", _JSON, "embargoes")}, _SIGNED, roles=_CENTRE,
    ),
    Route(
        "POST", "/v1/log/cosignatures", "cosign",
        "A witness hands in its line under a checkpoint; bundles and the checkpoint carry it from then on.",
        {200: ("It is kept.", _JSON, "cosigned")},
        (
            *_SIGNED, *_BODY, "request.schema", "cosignature.size", "cosignature.invalid", "cosignature.name",
            "log.checkpoint-malformed", "log.checkpoint-signature",
        ), (), "audit.cosignature", roles=_WITNESS,
    ),
    Route(
        "POST", "/v1/cases/erasure", "erase",
        "The right to deletion: destroy a case's requests, questions and answers; receipts and entries stay.",
        {200: ("What was destroyed.", _JSON, "erased")},
        (*_SIGNED, *_BODY, "request.schema", "case.unknown", "case.undecided", "case.shredded"), (), "audit.erasure",
        roles=_CENTRE,
    ),
    Route(
        "POST", "/v1/log/exports", "export",
        "Entries by period and filter, with checkpoint and proofs (docs/proof.md); the export is an entry itself.",
        {200: ("JSON Lines, or CSV where `format` asks for it.", "application/jsonl, text/csv", "string")},
        (
            *_SIGNED, *_BODY, "request.schema", "request.identifier", "sought.reason", "log.not-yet", "log.tile",
            "export.too-long",
        ), (),
        "audit.export", roles=(*_CENTRE, *_AUDITOR),
    ),
    Route(
        "GET", "/log/proof/consistency", "consistency", "The hashes that show one log size to begin with another.",
        {200: ("The proof (RFC 9162).", _JSON, "consistency")},
        ("request.parameter", "log.not-yet", "log.tile", *_READS),
        (
            Parameter("old", "query", "The smaller size.", "[0-9]{1,18}"),
            Parameter("new", "query", "The larger size.", "[0-9]{1,18}"),
        ),
    ),
    Route(
        "GET", "/.well-known/jwks.json", "jwks", "Every public key, historic ones included, with its roles.",
        {200: ("A JWK set (RFC 7517).", "application/jwk-set+json", "object")}, (),
    ),
    Route("GET", "/openapi.json", "openapi", "This document.", {200: ("OpenAPI 3.1.", _JSON, "object")}, ()),
    Route("GET", "/docs", "docs", "This document as a page.", {200: ("HTML.", "text/html", "string")}, ()),
    Route(
        "GET", "/v1/sources", "sources",
        "How each source is: last success and failure, counts and durations of the day, its breaker.",
        {200: ("Every source of the edition in force.", _JSON, "sources")}, (*_SIGNED, "edition.none"), roles=_WATCHERS,
    ),
    Route(
        "GET", "/v1/health", "fitness",
        "Sign, write and queue are tried out, sources by their last answers; says which part is broken.",
        {200: ("It can admit; `degraded` names what is broken all the same.", _JSON, "fitness")},
        ("broker.unfit", *_READS),
    ),
    Route(
        "GET", "/metrics", "metrics", "The same figures for Prometheus, and those of the process that answers.",
        {200: ("Text exposition format.", "text/plain", "string")}, _READS,
    ),
    Route("GET", "/health", "health", "Whether the process answers.", {200: ("It does.", _JSON, "status")}, ()),
    Route(
        "GET", "/ready", "ready", "Whether it can work: its database answers.",
        {200: ("It can.", _JSON, "status")}, _READS,
    ),
)  # fmt: skip
