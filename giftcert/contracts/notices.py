"""Events that no certificate's decision makes: of the pool, of operations, of inputs gone wrong.

Each is a dataclass of its payload, like the events of the domain.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, ClassVar, TypeAlias

from giftcert.contracts.inputs import MalformedReason
from giftcert.contracts.payload import payload_of
from giftcert.contracts.stream import EventRecord, standing
from giftcert.domain.cause import Cause
from giftcert.domain.certificate.events import PublicEvent
from giftcert.domain.certificate.state import CertificateState
from giftcert.domain.explained import ExplainedWord, OneOf
from giftcert.domain.money import MinorUnits


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsRefused:
    """Requests for a certificate were refused with 409: there was nothing to give.

    Operations load the pool.
    """

    type: ClassVar[str] = "issue.blocked"
    attempts: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLow:
    """Fewer certificates are left than the threshold.

    Operations load the pool before channels have nothing to sell. Sent once until the pool has recovered.
    """

    type: ClassVar[str] = "alert.poolLow"
    available: int
    threshold: int
    sold: int
    sold_since: datetime | None
    empty_at: datetime | None
    replenished_to: int | None


class BatchSource(ExplainedWord):
    """Where the certificates of a batch come from."""

    GENERATE = "generate", "Made by the service, as operations asked."
    IMPORT = "import", "Brought by operations in a file."
    REPLENISH = "replenish", "Made by the service itself, as the pool was low."


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLoaded:
    """A batch of certificates was generated or imported."""

    type: ClassVar[str] = "audit.imported"
    batch_id: str
    count: int
    source: BatchSource


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusCounts:
    """How many certificates of a product are in each status, as events show it."""

    available: int = 0
    reserved: int = 0
    ordered: int = 0
    issued: int = 0
    partially_redeemed: int = 0
    redeemed: int = 0
    refunded: int = 0
    expired: int = 0
    retired: int = 0
    blocked: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductSnapshot:
    """How a product stood at an instant: the fold of every event that was recorded before it.

    Counts and amounts are totals since the product's first event, as the rules for BI count them (ADR 85).
    """

    type: ClassVar[str] = "audit.snapshot"
    as_of: datetime
    statuses: StatusCounts
    available: int
    held: MinorUnits
    liability: MinorUnits
    issued: MinorUnits
    revenue: MinorUnits
    redeemed: MinorUnits
    refunded: MinorUnits
    taken: MinorUnits
    uncovered: MinorUnits
    breakage: MinorUnits


class UnknownCertificateReason(ExplainedWord):
    """Why a certificate could not be found."""

    UNKNOWN_CERTIFICATE = (
        "unknownCertificate",
        "No certificate has this id; all else in the message was applied.",
    )


class UnexpectedInputReason(ExplainedWord):
    """Why a record that can be read is not applied."""

    CONTRADICTS_EARLIER = (
        "contradictsEarlier",
        "The same identity came before with other content. Send what is right under a new version or id.",
    )
    EARLIER_IN_QUARANTINE = (
        "earlierInQuarantine",
        "An earlier message of the order is in quarantine. Mend and replay that, then this.",
    )
    ORDER_TOO_LARGE = "orderTooLarge", "The order has too many certificate lines or payments. Split it."


class FailureReason(ExplainedWord):
    """What keeps failing."""

    RECORD_FAILS = (
        "recordFails",
        "The record makes its transaction fail and is in quarantine. Replay it once mended.",
    )
    PARKED = (
        "parked",
        "A certificate's decision failed and is parked; it is tried again when something changes.",
    )
    WORKFLOW_MISSING = (
        "workflowMissing",
        "No workflow led the certificate; one was started. Nothing need be done.",
    )
    WORKFLOW_STUCK = (
        "workflowStuck",
        "Tasks of a workflow that leads no certificate, as of maintenance, fail again and again; `detail` names it.",
    )
    PUBLISHING_FAILS = "publishingFails", "Committed events cannot be published; they wait. Look at Kafka."
    INGEST_STANDS_STILL = "ingestStandsStill", "Ingest has read nothing for 10 s. Look at its process."
    PARTITION_STANDS_STILL = "partitionStandsStill", "A partition waits at this record while others go on."
    CONSUMER_RESTARTS = "consumerRestarts", "The consumer fails again and again and is made anew each time."
    POSTGRESQL_FAILS = (
        "postgresqlFails",
        "The database is away. Records wait; all goes on by itself when it is back.",
    )
    KAFKA_FAILS = "kafkaFails", "Kafka is away. All goes on by itself when it is back."
    TEMPORAL_FAILS = "temporalFails", "Temporal is away. Changes are committed and wait for it."
    INGEST_FAILS = "ingestFails", "A batch cannot be applied and is tried again. Look at the log of ingest."
    SIGNAL_FAILS = "signalFails", "A workflow cannot be signalled. Look at it in the Web UI."
    SIGNAL_MARKING_FAILS = "signalMarkingFails", "Sent signals cannot be marked as sent; they are sent again."
    SWEEP_FAILS = "sweepFails", "What is overdue is not looked for. Look at the log of ingest."
    STUCK_WATCH_FAILS = "stuckWatchFails", "Stuck workflows are not looked for. Look at the log of ingest."
    RECHECK_FAILS = (
        "recheckFails",
        "New orders are not looked at again for payments that came at the same instant.",
    )
    WATCH_FAILS = "watchFails", "Overdue work is not looked for. Look at the log of ingest."
    WATERMARKS_FAIL = (
        "watermarksFail",
        "How far ingest has read is not recorded, so nothing is released on time.",
    )
    DAYS_FAIL = "daysFail", "Tables for the days ahead cannot be made. Look at the database."
    PART_FAILS = "partFails", "Another part of ingest, which `detail` names, keeps failing."


class Component(ExplainedWord):
    """The part of the service that reports."""

    INGEST = "ingest", "reads the topics"
    WORKFLOW = "workflow", "decides over certificates"
    DISPATCH = "dispatch", "publishes the stream"


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
    component: str = Component.INGEST


class InputMalformed(InputProblem):
    """A record breaks its contract, and nothing of it is applied; with reason `maskedText` all is.

    The owner of the topic sends it again, mended. The original is in quarantine: `giftcert quarantine show`.
    """

    type = "error.malformedEvent"
    reason: Annotated[str, OneOf(MalformedReason)]


class CertificateUnknown(InputProblem):
    """A record names a certificate that was never made here; all else in it is applied.

    The channel corrects the id and sends a newer version; or operations import the batch and replay the record.
    """

    type = "error.unknownCertificate"
    reason: Annotated[str, OneOf(UnknownCertificateReason)]


class InputUnexpected(InputProblem):
    """A record contradicts an earlier one, or cannot be applied to anything.

    The owner of the topic sends what is right under a new version or id. The original is in quarantine.
    """

    type = "error.unexpectedEvent"
    reason: Annotated[str, OneOf(UnexpectedInputReason)]


class ProcessingFailed(InputProblem):
    """A part of the service keeps failing; where it is about one input, its place is given.

    Operations look at what `reason` names. Nothing is lost: all goes on when it works again.
    """

    type = "error.processingFailed"
    reason: Annotated[str, OneOf(FailureReason)]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTooLarge:
    """An order has more certificate lines or payments than can be decided; none of its certificates is released.

    The channel splits the order.
    """

    type: ClassVar[str] = "alert.orderTooLarge"
    order_id: str
    certificate_lines: int
    payments: int


class DisclosureAlertReason(ExplainedWord):
    """What is unusual about a caller's requests for CVCs."""

    CALLER_LIMIT = (
        "callerLimit",
        "The caller asked more often than callers may. Look whether its key was stolen.",
    )
    CERTIFICATE_LIMIT = "certificateLimit", "It asked for one certificate more often than anybody may."
    FAR_MORE_THAN_USUAL = (
        "farMoreThanUsual",
        "It got far more than in its busiest hour of the last seven days.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosureUnusual:
    """A caller passed a limit of disclosures, or got far more CVCs than is usual; once for each of its hours.

    Security looks whether the caller's key was stolen, and takes it away if so.
    """

    type: ClassVar[str] = "alert.disclosureUnusual"
    disclosed_to: str
    reason: DisclosureAlertReason
    count: int
    since: datetime
    usual: int  # the limit, or the count of its busiest hour within seven days
    certificate_id: str | None = None  # whose limit was passed


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowStuck:
    """The tasks of a certificate's workflow fail again and again; until that ends nothing is decided by it.

    Operations look at the failure in the Web UI, and roll back or deploy a build that mends it: the workflow then goes
    on by itself. Sent again after a day if it lasts.
    """

    type: ClassVar[str] = "alert.workflowStuck"
    problems: tuple[str, ...]
    web_url: str


class OverdueWorkReason(ExplainedWord):
    """What waits for longer than it may."""

    QUEUE_WITHOUT_WORKER = (
        "queueWithoutWorker",
        "Tasks wait on the task queue `subject`, and no worker polls it. Start one of its channel.",
    )
    PENDING_WORK = (
        "pendingWork",
        "A message about a certificate is stored and not decided. Look at the workers of its channel.",
    )
    UNPUBLISHED_EVENT = (
        "unpublishedEvent",
        "A committed event is not on the stream yet. Look at dispatch and Kafka.",
    )
    PASSED_DEADLINE = (
        "passedDeadline",
        "A deadline of a certificate has passed, and nobody has looked at it. Look at the workers.",
    )
    UNDECIDED_REFUND = "undecidedRefund", "A refund waits for a person. Support decides it."


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkOverdue:
    """Work waits for longer than its bound; sent again every hour while it lasts, and once more when it is over.

    Operations look at what `reason` names. Nothing is lost: it goes on when whoever does the work is back.
    """

    type: ClassVar[str] = "alert.workOverdue"
    reason: OverdueWorkReason
    subject: str | None
    count: int | None
    since: datetime | None
    over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InvariantViolated:
    """What must always be true is not; reported once while that lasts.

    Operations run `giftcert verify`, which explains each rule and what to do.
    """

    type: ClassVar[str] = "alert.invariantViolated"
    invariant: int
    rule: str
    subject: str
    detail: str
    web_url: str | None


ProductNotice: TypeAlias = ClaimsRefused | PoolLow | PoolLoaded | ProductSnapshot
InputNotice: TypeAlias = (
    InputMalformed
    | CertificateUnknown
    | InputUnexpected
    | ProcessingFailed
    | OrderTooLarge
    | DisclosureUnusual
    | WorkOverdue
)
Notice: TypeAlias = ProductNotice | InputNotice | InvariantViolated | WorkflowStuck
# An event of the domain may be published without its certificate: money for a line whose certificate is unknown.
Content: TypeAlias = Notice | InputProblem | PublicEvent


def about_product(
    content: Content,
    product: str,
    occurred_at: datetime,
    channel: str | None = None,
    currency: str | None = None,
) -> EventRecord:
    """Return the record about a product, which is its stream key; ``currency`` is that of amounts."""
    return replace(about_input(content, occurred_at, channel, currency=currency), product=product)


def about_certificate(
    content: Content, state: CertificateState, occurred_at: datetime, channel: str | None = None
) -> EventRecord:
    """Return the record about a certificate that does not change it."""
    return replace(about_input(content, occurred_at, channel), **standing(state))


def about_input(
    content: Content,
    occurred_at: datetime,
    channel: str | None = None,
    cause: Cause | None = None,
    currency: str | None = None,
) -> EventRecord:
    """Return the record of what concerns no certificate of ours; its key is ``input_key``, of the input it is about."""
    return EventRecord(
        event_type=content.type,
        occurred_at=occurred_at,
        channel=channel if cause is None else cause.channel,
        cause=cause,
        payload=payload_of(content, currency),
    )


def input_key(topic: str, partition: int) -> str:
    """Return the stream key of what is about an input and no certificate."""
    return f"{topic}-{partition}"
