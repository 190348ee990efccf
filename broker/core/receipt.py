"""The receipt (核验凭证): what was decided on which answers, as one JWS that anyone can verify offline.

It names no person and holds no answer: subjects appear as keyed pseudonyms, answers as salted digests, so deleting the
answers leaves the proof. A receipt is preliminary while some answers come later (from a person, or after the holder's
consent); the final one names the preliminary one it supersedes, and both stay verifiable. The audit entry ``decided``,
or ``pending``, carries the receipt's digest; the log proof shows that entry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from broker.core import checkpoint, merkle
from broker.core.case import Request
from broker.core.catalog import Edition
from broker.core.cosignature import Seen, WitnessKey, counting, seen_by
from broker.core.decide import Decision, Kind, Tried
from broker.core.envelope import Revoked, Signer, Verifier, canonical, parse, seal, unb64, unseal
from broker.core.errors import CallerProblem
from broker.core.own_key import timely
from broker.core.plan import Plan

RECEIPT_TYPE = "exemption-receipt+jws"
MAX_RECEIPT = 256 * 1024


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a receipt says besides the decisions."""

    issuer: str
    verification: str
    client: str
    request_digest: str
    applicant: str  # keyed pseudonym
    log: str  # the audit log's origin
    decided_at: datetime
    supersedes: str = ""  # digest of the preliminary receipt that this one replaces
    exempt_before: Mapping[str, str] = field(default_factory=dict)  # material → the verification that exempted it


def receipt_payload(
    circumstances: Circumstances, edition: Edition, plan: Plan, request: Request, decisions: Sequence[Decision]
) -> dict[str, Any]:
    """The document that is signed; ``schemas/receipt.schema.json`` is its grammar."""
    return {
        "version": 1,
        "status": "preliminary" if any(one.kind is Kind.PENDING for one in decisions) else "final",
        **({"supersedes": circumstances.supersedes} if circumstances.supersedes else {}),
        "issuer": circumstances.issuer,
        "verification": circumstances.verification,
        "client": circumstances.client,
        "request": {"id": request.request_id, "digest": circumstances.request_digest},
        "case": request.case_number,
        "region": request.region,
        **({"scene": request.scene} if request.scene else {"item": request.item}),
        "applicant": circumstances.applicant,
        "edition": {"number": edition.number, "digest": edition.digest},
        "materials": [_material(decision, circumstances.exempt_before) for decision in decisions],
        "left_out": [{"item": one.item, "reason": one.reason} for one in plan.left_out],
        "decided_at": moment(circumstances.decided_at),
        "log": circumstances.log,
    }


def _material(decision: Decision, exempt_before: Mapping[str, str]) -> dict[str, Any]:
    need = decision.need
    before = exempt_before.get(need.key)
    return {
        "material": need.key,
        "name": dict(need.material.name),
        "holder": need.role,
        "items": list(need.items),
        "needed": need.needed,
        "decision": decision.kind.value,
        "mode": decision.mode.value,
        "reason": str(decision.last.reason),
        "detail": decision.detail,
        **({"until": moment(decision.until)} if decision.until else {}),
        **({"exempt_before": before} if before else {}),
        "steps": [_step(tried) for tried in decision.steps],
    }


def _step(tried: Tried) -> dict[str, Any]:
    step: dict[str, Any] = {"mode": tried.mode.value, "reason": str(tried.reason)}
    if tried.source:
        step |= {"source": tried.source, "form": tried.form}
    if tried.finding is not None:
        step |= {
            "digest": tried.finding.digest,
            "asked_at": moment(tried.finding.asked_at),
            "answered_at": moment(tried.finding.answered_at),
        }
        if tried.finding.origin:
            step["origin"] = tried.finding.origin
    return step


def moment(when: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, whatever zone the time is told in. ``ValueError`` where it is told in none."""
    if when.tzinfo is None:
        raise ValueError("a moment needs its zone")
    return when.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def sign_receipt(payload: Mapping[str, Any], signer: Signer) -> str:
    """The receipt as it is stored and served, byte for byte, for ever."""
    return seal(canonical(payload), signer, RECEIPT_TYPE)


def request_digest(salt: bytes, body: bytes) -> str:
    """SHA-256 over salt ‖ the request's bytes as sent: whoever has both shows which request a receipt answers.

    Names and numbers can be guessed, so a digest that stays for ever needs a salt that does not.
    """
    return hashlib.sha256(salt + body).hexdigest()


def receipt_digest(token: str) -> str:
    """SHA-256 of the receipt's bytes, as the audit entry names it."""
    return hashlib.sha256(token.encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class Bundle:
    """A receipt with the proof that its entry is in the log: what is filed in the case archive."""

    receipt: str
    entry: bytes = b""
    proof: str = ""  # c2sp.org/tlog-proof@v1

    def document(self) -> dict[str, str]:
        """Its JSON form."""
        return {"receipt": self.receipt, "entry": self.entry.decode("utf-8"), "proof": self.proof}


def bundle_from(body: bytes) -> Bundle:
    """A bundle from a file: its JSON form, or a bare receipt. Raises ``CallerProblem`` ``envelope.malformed``."""
    text = body.decode("utf-8", errors="replace").strip()
    if not text.startswith("{"):
        return Bundle(text)
    document = parse(body, limit=MAX_RECEIPT)
    values = {name: document.get(name, "") for name in ("receipt", "entry", "proof")}
    if not all(isinstance(value, str) for value in values.values()):
        raise CallerProblem("envelope.malformed", expected="receipt, entry and proof as text")
    return Bundle(values["receipt"], values["entry"].encode(), values["proof"])


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """A receipt whose signature holds; ``position`` and ``size`` are None where no log proof was given.

    ``seen`` tells which of the witnesses that were named co-signed the checkpoint, and when. ``revoked_at`` is set
    where the receipt's key was revoked after the log took the receipt in: that it is genuine rests on the log then,
    and where a witness saw the checkpoint before that moment, not on the log's word alone.
    """

    payload: Mapping[str, Any]
    position: int | None
    size: int | None
    seen: tuple[Seen, ...] = ()
    revoked_at: datetime | None = None


def verify_bundle(
    bundle: Bundle,
    keys: Mapping[str, Verifier],
    log_keys: Sequence[Verifier],
    witnesses: Sequence[tuple[WitnessKey, Verifier]] = (),
) -> VerifiedReceipt:
    """What a bundle proves, needing nothing but published keys.

    (1) the receipt's signature by a known key, over the bytes as received;
    (2) the entry names exactly these receipt bytes by digest, and this verification;
    (3) the checkpoint is signed by the log that the receipt names – by a key of the log that was revoked, only where a
        known witness saw it before – and no line of a known witness is false;
    (4) the entry is included in that checkpoint's tree;
    (5) where the key was revoked, the entry is older than that: without its proof, such a receipt shows nothing;
    (6) the receipt, and its entry, say that they were made in the key's time.
    Without a proof only (1) and (6) are shown, the latter by the receipt's word. Raises ``CallerProblem`` with the code
    of the first thing that does not hold.
    """
    known = {name: key.key if isinstance(key, Revoked) else key for name, key in keys.items()}
    payload = parse(unseal(bundle.receipt, known, RECEIPT_TYPE), limit=MAX_RECEIPT)  # (1)
    signer = keys[parse(unb64(bundle.receipt.split(".")[0]))["kid"]]
    revoked_at = signer.at if isinstance(signer, Revoked) else None
    if not isinstance(payload, dict) or not {"verification", "log"} <= payload.keys():
        raise CallerProblem("envelope.malformed", expected="a receipt")
    if not timely(signer, payload.get("decided_at")):
        raise CallerProblem("receipt.key-time", got=signer.key_id)  # (6)
    if not bundle.proof:
        if revoked_at is not None:
            raise CallerProblem("receipt.key-revoked", expected="the receipt with its log proof")  # (5)
        return VerifiedReceipt(payload, None, None)
    entry = parse(bundle.entry)
    named = (entry.get("receipt"), entry.get("verification")) if isinstance(entry, dict) else None
    if named != (receipt_digest(bundle.receipt), payload["verification"]):
        raise CallerProblem("receipt.entry")  # (2)
    proof = checkpoint.parse_proof(bundle.proof)
    seen = tuple(seen_by(proof.checkpoint, witnesses))
    head = checkpoint.verify(proof.checkpoint, payload["log"], counting(log_keys, seen), at_least=1)  # (3)
    leaf = merkle.leaf_hash(bundle.entry)
    if not merkle.verify_inclusion(leaf, proof.index, head.size, list(proof.hashes), head.root):  # (4)
        raise CallerProblem("receipt.inclusion")
    if revoked_at is not None and not _before(entry.get("at"), revoked_at):
        raise CallerProblem("receipt.key-revoked", expected=f"an entry before {moment(revoked_at)}")  # (5)
    if not timely(signer, entry.get("at")):
        raise CallerProblem("receipt.key-time", got=signer.key_id)  # (6)
    return VerifiedReceipt(payload, proof.index, head.size, seen, revoked_at)


def _before(at: object, limit: datetime) -> bool:
    """Whether an entry says of itself that it is older; one that says nothing readable is not."""
    try:
        return isinstance(at, str) and datetime.fromisoformat(at) < limit
    except (ValueError, TypeError):  # not a moment, or one without its zone
        return False
