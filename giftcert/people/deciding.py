"""What the domain makes of a person's act, with the events as the stream tells them. Pure but for new ids."""

from dataclasses import dataclass
from datetime import datetime

from uuid_utils.compat import uuid7

from giftcert.contracts.records import EventRecord
from giftcert.contracts.stream import stamp
from giftcert.domain.decide import decide
from giftcert.domain.evolve import fold
from giftcert.domain.messages import PersonMessage
from giftcert.domain.policy import Policy, Terms
from giftcert.domain.state import CertificateState
from giftcert.storage.certificates import StoredCertificate


@dataclass(frozen=True, slots=True)
class Act:
    """Why somebody acts, in words, and who it is; both are told on the stream."""

    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class Decided:
    """The certificate after an act, and the public events of it."""

    state: CertificateState
    records: tuple[EventRecord, ...]


def new_key() -> str:
    """Return an identity for a message that no topic brought."""
    return str(uuid7())


def decide_on(stored: StoredCertificate, message: PersonMessage, policy: Policy, now: datetime) -> Decided:
    """Decide a message on a certificate as stored; the caller holds its lock."""
    events = decide(stored.state, message, now, Terms(stored.product, policy), new_key)
    records = stamp(
        stored.state, events, at=now, occurred_at=now, channel=stored.state.sale_channel, cause=None
    )
    return Decided(fold(stored.state, events, now), records)
