"""The end of a certificate's validity: "Time and people" in the lifecycle."""

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.decision import Decision


def ended(decision: Decision) -> None:
    """The rest of the balance is breakage; a refund that was waiting is now one of an expired certificate."""
    decision.record(e.Expired(reason="validityEnded", by="system", breakage=decision.state.balance))
