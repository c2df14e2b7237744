"""What support sees of a certificate in the Temporal Web UI: search attributes, and plain words."""

from datetime import datetime

from giftcert.domain.certificate.state import CertificateState
from giftcert.temporal.search_attributes import Visibility


def visibility(state: CertificateState) -> Visibility:
    """Return the search attributes that a state deserves; the refund state is that of all its sales."""
    raise NotImplementedError


def details(state: CertificateState, next_instant: datetime | None) -> str:
    """Return in plain words where the certificate stands and what it waits for."""
    raise NotImplementedError


def waiting_for(state: CertificateState) -> str:
    """Return, for the timer's summary, what the certificate waits for."""
    raise NotImplementedError
