"""Verify what the broker signed: receipts and editions of the list."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import click

from broker.cli.editions import edition_group
from broker.cli.shared import read_witnesses, require_proof, require_witnessed_receipt, seen_text, told
from broker.core.edition import verify_edition
from broker.core.receipt import VerifiedReceipt, bundle_from, moment, verify_bundle
from broker.core.receipt_text import receipt_text
from broker.signing import keys


@click.group("receipt")
def receipt_group() -> None:
    """Receipts (核验凭证)."""


@receipt_group.command("verify")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--keys", "key_set", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True,
              help="The published key set (/.well-known/jwks.json), saved as a file.")  # fmt: skip
@click.option("--witness-keys", "names", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="The witnesses' verifier keys, one a line, as they publish them.")  # fmt: skip
@click.option("--require-proof", "proved", is_flag=True, help="Refuse a receipt whose place in the log is not shown.")
@click.option("--require-witness", "seen", is_flag=True, help="Refuse one whose checkpoint no named witness co-signed.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True)
def receipt_verify(file: Path, key_set: Path, names: Path | None, lang: str, *, proved: bool, seen: bool) -> None:
    """Verify a receipt or a bundle (receipt with log proof) offline, with nothing but the published keys."""
    with told():
        published = json.loads(key_set.read_text("utf-8"))
        log_keys = list(keys.from_jwks(published, "log").values())
        known, witnesses = keys.from_jwks(published, "receipt"), read_witnesses(names)
        verified = verify_bundle(bundle_from(file.read_bytes()), known, log_keys, witnesses)
        if proved:
            require_proof(verified)
        if seen:
            require_witnessed_receipt(verified)
    click.echo(receipt_text(verified.payload, lang))
    if verified.position is None:
        click.echo("签名有效；未附日志收录证明 / signature valid; no log proof given")
    else:
        click.echo(f"签名有效，日志收录于第 {verified.position} 位（共 {verified.size} 条）/ "
                   f"signature valid, included at {verified.position} of {verified.size}")  # fmt: skip
        click.echo(seen_text(verified.seen))
    if verified.revoked_at is not None:
        click.echo(_revoked_text(verified, verified.revoked_at))


def _revoked_text(verified: VerifiedReceipt, revoked_at: datetime) -> str:
    """That the key was revoked since, and on whose word the receipt is older."""
    at = moment(revoked_at)
    before = [one.witness for one in verified.seen if one.seconds < revoked_at.timestamp()]
    if before:
        who = ", ".join(before)
        return (f"签发密钥已于 {at} 吊销；见证方 {who} 在此之前已见到收录该凭证的日志 / "
                f"the key was revoked at {at}; {who} saw the log with this receipt before that")  # fmt: skip
    return (f"签发密钥已于 {at} 吊销；日志条目早于吊销（以日志为准，无见证方佐证）/ "
            f"the key was revoked at {at}; the entry is older by the log's own word, no witness says so")  # fmt: skip


@edition_group.command("verify")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--seal", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True,
              help="The edition's seal: the header Edition-Seal, saved as a file.")  # fmt: skip
@click.option("--keys", "key_set", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True,
              help="The published key set (/.well-known/jwks.json), saved as a file.")  # fmt: skip
def edition_verify(file: Path, seal: Path, key_set: Path) -> None:
    """Verify an edition offline: FILE is the list as /v1/editions/NUMBER gives it, byte for byte."""
    with told():
        published = keys.from_jwks(json.loads(key_set.read_text("utf-8")), role="receipt")
        sealed = verify_edition(file.read_bytes(), seal.read_bytes().decode("ascii", "replace").strip(), published)
    click.echo(f"第 {sealed.number} 版 / edition {sealed.number} {sealed.digest}\n"
               f"{sealed.issuer}, 生效 / effective {sealed.effective_at}")  # fmt: skip
