"""When the certificate next has something due, and the message that says so."""

from dataclasses import dataclass
from datetime import datetime

from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.state import CertificateState
from giftcert.domain.policy import Policy


@dataclass(frozen=True, slots=True)
class Deadline:
    """An instant and what to tell the certificate then; ``may_release``: time alone may put it back into the pool."""

    at: datetime
    message: m.DeadlinePassed
    may_release: bool = False


def next_deadline(state: CertificateState, policy: Policy) -> Deadline | None:
    """Return the earliest deadline, or ``None`` if nothing is due ever."""
    raise NotImplementedError


def is_over(state: CertificateState, policy: Policy) -> bool:
    """Return whether it is in the pool or finished, and nothing of it is open."""
    raise NotImplementedError
