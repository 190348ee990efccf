"""The consent transaction: the holder is asked on their phone, and the certificate is given once they have agreed.

``ChannelVerify/begin/verify`` with the 用证码 they showed → ``trxId``; ``current/status`` → 2 authorised, 1 waiting,
any other failed, which is taken for a no; then the query by ``trxId``. That these calls have the head and encryption of
the others is inferred.
Option ``consent`` of the connection or the source switches it on; a question without a 用证码 does without.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from broker.connectors.certshare_call import Platform, number_of
from broker.connectors.reading import at, settle, text_of
from broker.core.answer import Awaited, Question, Reason, Waiting
from broker.ports import HttpRequest, HttpResponse

PATIENCE: Final = timedelta(minutes=10)  # somebody stands at the counter with a phone in hand
AGAIN: Final = timedelta(seconds=5)
_BEGUN: Final = frozenset({0, 60001})  # 60001: it had begun before
_AUTHORISED, _WAITING = 2, 1


@dataclass(frozen=True, slots=True)
class Transaction:
    """A consent that was asked for, and until when we wait for it; kept as the question's memo."""

    number: str
    until: datetime

    def memo(self) -> str:
        """What is handed back when the question is asked again."""
        return orjson.dumps([self.number, self.until.isoformat()]).decode()


def consented(
    platform: Platform, question: Question, kind: str, cause: dict[str, str] | str, now: datetime
) -> Generator[HttpRequest, HttpResponse, Any]:
    """The certificates the holder agrees to show, or ``Waiting`` while they have not decided."""
    if not question.memo:
        begun = yield from platform.beside(
            "ChannelVerify/begin/verify", {"qrcode": question.token, "certCodes": [kind]}, _BEGUN
        )
        number = text_of(at(begun, "trxId")) or settle(Reason.MALFORMED, "0")
        return _later(Transaction(number, now + PATIENCE), now)
    number, until = orjson.loads(question.memo)
    transaction = Transaction(number, datetime.fromisoformat(until))
    told = yield from platform.beside("ChannelVerify/current/status", {"trxId": number})
    status = at(told, "verifyStatus")
    if number_of(status) == _WAITING:
        return _later(transaction, now) if now < transaction.until else settle(Reason.CONSENT_EXPIRED, status)
    if number_of(status) != _AUTHORISED:
        settle(Reason.CONSENT_REFUSED, status)
    asked = {"trxId": number, "certTypeCode": kind, "useCause": cause}
    return (yield from platform.call("queryCertInfosByVerifyTrx", asked))


def _later(transaction: Transaction, now: datetime) -> Waiting:
    return Waiting(Awaited.CONSENT, now + AGAIN, transaction.until, transaction.memo())
