"""What HTTP requests and replies look like; camelCase outside, amounts in minor units."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

CERTIFICATE_ID = "01936f8e-5a00-7c3e-9d4b-0a1b2c3d4e5f"
RESERVATION_ID = "01936f8e-5b10-7a2f-8c1d-1a2b3c4d5e6f"
CASE_ID = "01936f90-1c20-7b3a-9e2f-2a3b4c5d6e7f"

Status = Literal[
    "available",
    "reserved",
    "ordered",
    "issued",
    "partiallyRedeemed",
    "redeemed",
    "refunded",
    "expired",
    "retired",
    "blocked",
]
RefundState = Literal["none", "requested", "awaitingCapture", "pendingDetails", "completed", "rejected"]


class Schema(BaseModel):
    """What all have in common; unknown fields of a request are refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Money(Schema):
    """An amount in minor units of a currency (ISO 4217)."""

    amount: int = Field(examples=[500_000])
    currency: str = Field(examples=["RUB"])


class Reservation(Schema):
    """A certificate that a channel may sell until ``reservedUntil``."""

    certificate_id: UUID = Field(examples=[CERTIFICATE_ID])
    reservation_id: UUID = Field(examples=[RESERVATION_ID])
    masked_number: str = Field(examples=["************1234"])
    product: str = Field(examples=["GC-5000"])
    nominal: Money | None = Field(description="null: open value, chosen with the order")
    channel: str = Field(examples=["im"])
    reserved_until: datetime = Field(examples=["2026-11-23T10:30:00Z"])


class ReservationOrder(Schema):
    """How many certificates a channel wants at once."""

    channel: str = Field(min_length=1, max_length=64, examples=["pos"])
    product: str | None = Field(None, min_length=1, max_length=64, examples=["GC-5000"])
    quantity: int = Field(ge=1, le=100, strict=True, examples=[10])
    nominal: int | None = Field(
        None,
        ge=1,
        le=2**53,
        strict=True,
        description="Minor units; open-value products only",
        examples=[None],
    )


class ProductView(Schema):
    """A product on sale: either a nominal or its bounds."""

    id: str = Field(examples=["GC-5000"])
    currency: str = Field(examples=["RUB"])
    nominal: Money | None
    least_nominal: Money | None
    greatest_nominal: Money | None
    validity_days: int = Field(examples=[365])
    default: bool = Field(description="Given where a request names no product")


class OrderView(Schema):
    """The sale under which the certificate stands."""

    order_id: str = Field(examples=["IM-1001"])
    line_id: str = Field(examples=["2"])
    amount: Money
    channel: str | None = Field(examples=["im"])
    customer_id: str | None = Field(examples=["C-77"])
    issued_at: datetime | None
    valid_until: datetime | None


class ReservationView(Schema):
    """The last reservation."""

    reservation_id: UUID = Field(examples=[RESERVATION_ID])
    channel: str | None = Field(examples=["im"])
    reserved_at: datetime | None
    reserved_until: datetime
    ended: bool


class RefundCaseView(Schema):
    """One refund of one sale of the certificate."""

    refund_case_id: UUID = Field(examples=[CASE_ID])
    refund_id: str | None = Field(examples=["R-12"])
    order_id: str = Field(examples=["IM-1001"])
    line_id: str = Field(examples=["2"])
    state: RefundState = Field(examples=["pendingDetails"])
    amount: Money
    reason: str | None = Field(examples=["amountMismatch"])
    since: datetime | None


class PastEventView(Schema):
    """One event of the certificate as ``GiftCertificates.Stream`` tells it."""

    event_id: UUID
    sequence: int = Field(examples=[1])
    event_type: str = Field(examples=["issue.reserved"])
    occurred_at: datetime
    recorded_at: datetime
    channel: str | None = Field(examples=["im"])
    status: Status | None = Field(examples=["reserved"])
    refund_state: RefundState | None = Field(examples=["none"])
    balance: Money | None
    held: Money | None
    payload: dict[str, Any]


class CertificateSummary(Schema):
    """A certificate in a list."""

    certificate_id: UUID = Field(examples=[CERTIFICATE_ID])
    masked_number: str = Field(examples=["************1234"])
    product: str = Field(examples=["GC-5000"])
    status: Status = Field(examples=["issued"])
    refund_state: RefundState = Field(examples=["none"])
    nominal: Money | None
    balance: Money
    held: Money
    order_id: str | None = Field(examples=["IM-1001"])
    line_id: str | None = Field(examples=["2"])
    customer_id: str | None = Field(examples=["C-77"])


class CertificateView(CertificateSummary):
    """All that may be known of a certificate; nothing secret."""

    reservation: ReservationView | None
    order: OrderView | None
    refund_cases: list[RefundCaseView]
    history: list[PastEventView] = Field(description="In order of `sequence`; `historyAfter` pages on")
    web_url: str = Field(description="The workflow, for support")


class CertificatePage(Schema):
    """A page of certificates; ``next`` goes into ``after`` of the next request, and is null on the last page."""

    items: list[CertificateSummary]
    next: UUID | None


class Disclosure(Schema):
    """Number and CVC. Never stored, never logged."""

    certificate_id: UUID = Field(examples=[CERTIFICATE_ID])
    number: str = Field(examples=["0000000000000000"])
    cvc: str = Field(examples=["000000"])


class PoolCountView(Schema):
    """How many certificates of a product stand in each status."""

    product: str = Field(examples=["GC-5000"])
    available: int = Field(examples=[98_000])
    cooling: int = Field(description="Of the available: released so lately that others go first")
    statuses: dict[str, int] = Field(examples=[{"available": 98_000, "issued": 2_000}])


class AgreementView(Schema):
    """What one person wants to decide of a refund that takes two; another repeats decision and amount."""

    decision: str = Field(examples=["approve"])
    amount: int | None = Field(examples=[400_000])
    by: str = Field(examples=["anna"])


class PendingRefund(Schema):
    """A refund case that waits, with what a person needs to decide it."""

    refund_case_id: UUID = Field(examples=[CASE_ID])
    refund_id: str | None = Field(examples=["R-12"])
    certificate_id: UUID = Field(examples=[CERTIFICATE_ID])
    order_id: str = Field(examples=["IM-1001"])
    line_id: str = Field(examples=["2"])
    customer_id: str | None = Field(examples=["C-77"])
    state: RefundState = Field(examples=["pendingDetails"])
    reason: str | None = Field(examples=["amountMismatch"])
    reason_text: str | None
    amount: Money = Field(description="What is back or awaited, in the currency in which it came")
    price: Money
    captured: Money
    refunded: Money
    balance: Money
    held: Money
    since: datetime | None
    allowed_decisions: list[str] = Field(examples=[["approve", "reject"]])
    approved: Money | None = Field(description="What may be taken from the balance once the money is back")
    agreed: AgreementView | None
    web_url: str


class PendingRefundPage(Schema):
    """A page of refund cases, oldest first."""

    items: list[PendingRefund]
    next: str | None


class PartStatus(Schema):
    """Whether the service is ready, part by part."""

    status: Literal["ready", "notReady"]
    parts: dict[str, str] = Field(
        examples=[{"database": "ok", "temporal": "away", "kafka": "not needed here"}]
    )


class FieldError(Schema):
    """A field that does not fit, and why; never its value."""

    field: str = Field(examples=["product"])
    detail: str = Field(examples=["no such product"])


class ProblemView(BaseModel):
    """A problem (RFC 9457); further members depend on its type."""

    model_config = ConfigDict(extra="allow", alias_generator=to_camel, populate_by_name=True)

    type: str
    title: str
    status: int
    detail: str
    errors: Annotated[list[FieldError] | None, Field(description="With invalid-request")] = None
    certificate_status: Annotated[
        Status | None, Field(description="With not-issued, not-active, status-not-allowed")
    ] = None
    refund_state: Annotated[RefundState | None, Field(description="With not-issued, not-active")] = None
    balance: Annotated[Money | None, Field(description="With insufficient-balance")] = None
    part: Annotated[str | None, Field(description="With part-unavailable", examples=["database"])] = None
