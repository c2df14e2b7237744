"""The decision: what follows when a certificate of this state is told this message now."""

from datetime import datetime

from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.state import CertificateState
from giftcert.domain.identifiers import NewId
from giftcert.domain.policy import Terms


def decide(
    state: CertificateState, message: m.Message, now: datetime, terms: Terms, new_id: NewId
) -> Decision:
    """Return what follows, public and private, in order; a request that is refused says why.

    Nothing is raised for any status and message: what does not fit is refused, or ``error.unexpectedEvent``.
    """
    raise NotImplementedError
