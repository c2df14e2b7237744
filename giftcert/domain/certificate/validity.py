"""How long a certificate may be spent, and what becomes of the rest of its balance then."""

from datetime import datetime

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.words import ExpiryReason


def valid_until(decision: Decision) -> datetime:
    """Return the end of the validity of a certificate that is issued now; validity is the product's."""
    return decision.now + decision.product.validity


def ended(decision: Decision) -> None:
    """The rest of the balance is breakage; a refund that was waiting is now one of an expired certificate."""
    decision.record(
        e.Expired(reason=ExpiryReason.VALIDITY_ENDED, by="system", breakage=decision.state.balance)
    )
