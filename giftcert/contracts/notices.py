"""Events that no certificate's decision makes: of the pool, of operations, of inputs gone wrong.

Each is a dataclass of its payload, like the events of the domain.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, TypeAlias

from giftcert.contracts.payload import payload_of
from giftcert.contracts.stream import EventRecord, standing
from giftcert.domain.cause import Cause
from giftcert.domain.certificate.events import PublicEvent
from giftcert.domain.certificate.state import CertificateState


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsRefused:
    """So many 409s since the last such event: there was nothing to give."""

    type: ClassVar[str] = "issue.blocked"
    attempts: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLow:
    """Fewer certificates are left than the threshold."""

    type: ClassVar[str] = "alert.poolLow"
    available: int
    threshold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLoaded:
    """A batch of certificates was generated or imported."""

    type: ClassVar[str] = "audit.imported"
    batch_id: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InputProblem:
    """What every ``error`` event of an input says: its place, as far as there is one, and what is wrong with it."""

    type: ClassVar[str]
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    event_id: str | None = None
    reason: str
    detail: str
    component: str = "ingest"


class InputMalformed(InputProblem):
    """A record breaks its contract; the original is in quarantine."""

    type = "error.malformedEvent"


class CertificateUnknown(InputProblem):
    """A record names a certificate that we never made."""

    type = "error.unknownCertificate"


class InputUnexpected(InputProblem):
    """A record contradicts an earlier one (``contradictsEarlier``), or cannot be applied to anything."""

    type = "error.unexpectedEvent"


class ProcessingFailed(InputProblem):
    """A part of the service keeps failing; where it is about one input, its place is given."""

    type = "error.processingFailed"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTooLarge:
    """An order has more certificate lines or payments than can be decided; none of its certificates is released."""

    type: ClassVar[str] = "alert.orderTooLarge"
    order_id: str
    certificate_lines: int
    payments: int


class DisclosureAlertReason(StrEnum):
    """What is unusual about a caller's requests for CVCs."""

    CALLER_LIMIT = "callerLimit"
    CERTIFICATE_LIMIT = "certificateLimit"
    FAR_MORE_THAN_USUAL = "farMoreThanUsual"


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosureUnusual:
    """A caller passed a limit of disclosures, or got far more CVCs than is usual; told once for each of its hours."""

    type: ClassVar[str] = "alert.disclosureUnusual"
    disclosed_to: str
    reason: DisclosureAlertReason
    count: int
    since: datetime
    usual: int  # the limit, or the count of its busiest hour within seven days
    certificate_id: str | None = None  # whose limit was passed


@dataclass(frozen=True, slots=True, kw_only=True)
class InvariantViolated:
    """What must always be true is not; reported once while that lasts. ``subject`` names what it is about."""

    type: ClassVar[str] = "alert.invariantViolated"
    invariant: int
    rule: str
    subject: str
    detail: str
    web_url: str | None


ProductNotice: TypeAlias = ClaimsRefused | PoolLow | PoolLoaded
InputNotice: TypeAlias = (
    InputMalformed
    | CertificateUnknown
    | InputUnexpected
    | ProcessingFailed
    | OrderTooLarge
    | DisclosureUnusual
)
Notice: TypeAlias = ProductNotice | InputNotice | InvariantViolated
# An event of the domain may be told without its certificate: money for a line whose certificate nobody knows.
Told: TypeAlias = Notice | InputProblem | PublicEvent


def about_product(told: Told, product: str, occurred_at: datetime, channel: str | None = None) -> EventRecord:
    """Return the record of what is told of a product, which is its stream key."""
    return replace(about_input(told, occurred_at, channel), product=product)


def about_certificate(
    told: Told, state: CertificateState, occurred_at: datetime, channel: str | None = None
) -> EventRecord:
    """Return the record of what is told of a certificate without changing it."""
    return replace(about_input(told, occurred_at, channel), **standing(state))


def about_input(
    told: Told,
    occurred_at: datetime,
    channel: str | None = None,
    cause: Cause | None = None,
    currency: str | None = None,
) -> EventRecord:
    """Return the record of what concerns no certificate of ours; its key is ``input_key``, of the input it is about."""
    return EventRecord(
        event_type=told.type,
        occurred_at=occurred_at,
        channel=channel if cause is None else cause.channel,
        cause=cause,
        payload=payload_of(told, currency),
    )


def input_key(topic: str, partition: int) -> str:
    """Return the stream key of what is about an input and no certificate."""
    return f"{topic}-{partition}"
