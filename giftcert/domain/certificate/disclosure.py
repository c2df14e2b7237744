"""May the CVC of a certificate be given out? Rule of ``GET /certificates/{id}/cvc``."""

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.messages import DiscloseCvc
from giftcert.domain.certificate.state import OPEN_REFUND_STATES, SPENDABLE, CertificateState, Status
from giftcert.domain.certificate.words import DisclosureRefusal

_MAY_STILL_BE_ISSUED = frozenset({Status.RESERVED, Status.ORDERED})


def disclose(decision: Decision, message: DiscloseCvc) -> None:
    """Record that number and CVC are about to be given out, or that they were refused."""
    to, purpose, notification_id = message.disclosed_to, message.purpose, message.notification_id
    refusal = decision.refusal = refuse_disclosure(decision.state)
    decision.record(
        e.CvcDisclosed(disclosed_to=to, purpose=purpose, notification_id=notification_id)
        if refusal is None
        else e.CvcRefused(disclosed_to=to, purpose=purpose, notification_id=notification_id, reason=refusal)
    )


def refuse_disclosure(state: CertificateState) -> DisclosureRefusal | None:
    """Return why the CVC may not be given out: spendable, not blocked, no refund of its sale open."""
    if state.status in SPENDABLE:
        is_stopped = state.blocked or state.refund_state in OPEN_REFUND_STATES
        return DisclosureRefusal.NOT_ISSUED if is_stopped else None
    if state.status in _MAY_STILL_BE_ISSUED:
        return DisclosureRefusal.NOT_ISSUED
    return DisclosureRefusal.NOT_ACTIVE
