"""A request as it is called, and what comes of it: for the caller, and for the workflows to be signalled."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

import msgspec

from giftcert.domain.certificate.decision import Decision, Recorded
from giftcert.domain.certificate.messages import DiscloseCvc, Request
from giftcert.domain.certificate.state import CertificateState
from giftcert.domain.products import Product
from giftcert.lifecycle.review import Review
from giftcert.lifecycle.snapshot import SealedSecrets
from giftcert.lifecycle.visibility import sealed_secrets
from giftcert.storage.certificates import LoadedCertificate, LockRequest
from giftcert.storage.idempotency import REMEMBERED_FOR, Answer, IdempotencyKey
from giftcert.temporal.signals import Wake

PATIENCE = timedelta(seconds=2)  # a caller waits so long for a lock or another process's call, before 503


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a request; where it is ``repeated``, what came of it before under the same key."""

    state: CertificateState  # after it; of a repeat, as it now is
    product: Product
    repeated: bool = False
    recorded: tuple[Recorded, ...] = ()  # followed from the request alone
    refusal: StrEnum | None = None  # why it was not carried out; what else was decided is committed
    answer: bytes | None = None  # JSON remembered under the key
    sealed: SealedSecrets | None = None  # with a disclosure
    wakes: tuple[Wake, ...] = ()  # to be sent


AnswerOf: TypeAlias = Callable[[Outcome], object]  # makes what is remembered: JSON-able, of the outcome alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request of a certificate at an instant of the caller's clock, with the key under which it is answered once."""

    certificate_id: str
    request: Request
    now: datetime
    key: IdempotencyKey | None
    answer_of: AnswerOf | None
    seen: LoadedCertificate | None = None  # as it was read a moment ago, if nothing waited for it

    def to_lock(self, order_id: str | None = None) -> LockRequest:
        """Return what to lock; ``order_id`` names an order, locked already, of which all lines are needed."""
        return LockRequest(
            certificate_id=self.certificate_id,
            caller_key=self.key.caller_key if self.key else None,
            answers_since=self.now - REMEMBERED_FOR,
            order_id=order_id,
            patience=PATIENCE,
        )

    def conclude(self, review: Review, decided: Decision) -> tuple[Outcome, Answer | None]:
        """Return what came of it and, if it was carried out under a key, the answer to remember."""
        is_disclosed = isinstance(self.request, DiscloseCvc) and decided.refusal is None
        outcome = Outcome(
            state=review.state,
            product=review.loaded.stored.product,
            recorded=decided.recorded,
            refusal=decided.refusal,
            sealed=sealed_secrets(review) if is_disclosed else None,
        )
        if decided.refusal is not None:
            return outcome, None
        text = msgspec.json.encode(self.answer_of(outcome) if self.answer_of else {})
        return replace(outcome, answer=text), self.key.answered(text, review.now) if self.key else None
