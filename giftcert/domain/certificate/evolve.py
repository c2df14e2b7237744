"""How each event changes the state."""

from datetime import datetime

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.state import CertificateState


def evolve(state: CertificateState, event: e.Event, at: datetime) -> CertificateState:
    """Return the state after one event that was decided at ``at``."""
    raise NotImplementedError
