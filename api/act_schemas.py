"""What support, CRM and operations send when they act, and what they get."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from api.schemas import CASE_ID, CERTIFICATE_ID, Money, RefundState, Schema, Status
from giftcert.redaction import is_fit_to_tell

BATCH_ID = "01936f8e-4a00-7d1e-8b2c-3a4b5c6d7e8f"


def _fit_to_tell(words: str) -> str:
    """Words of people stand on the stream, which is kept for ever."""
    if not is_fit_to_tell(words):
        raise PydanticCustomError(
            "personal", "goes to the stream: leave numbers, e-mail addresses and telephones out"
        )
    return words


Words = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=r"^[^\x00]*$"),
    AfterValidator(_fit_to_tell),
]


class RetirementOrder(Schema):
    """What operations withdraw: a batch or one certificate."""

    batch_id: UUID | None = Field(None, examples=[BATCH_ID])
    certificate_id: UUID | None = Field(None, examples=[None])
    reason: Words = Field(examples=["the printer lost a box"])


class RetirementView(Schema):
    """What was withdrawn now, and how all that was asked for stands afterwards."""

    retired: int = Field(description="Were available or reserved", examples=[4_990])
    blocked: int = Field(description="Were ordered or sold", examples=[7])
    statuses: dict[str, int] = Field(
        description="Certificates by status, after all",
        examples=[{"retired": 4_990, "blocked": 7, "refunded": 3}],
    )


class ResolutionOrder(Schema):
    """What a person decides about a refund case."""

    decision: Literal["approve", "reject"] = Field(examples=["approve"])
    amount: int | None = Field(
        None,
        ge=0,
        le=2**53,
        strict=True,
        description="To take from the balance, in minor units of the nominal; left out, as much as the refund is worth."
        " With a rejection of money in another currency: what that is worth",
        examples=[400_000],
    )
    note: Words = Field(examples=["agreed with the buyer"])


class ResolutionView(Schema):
    """What came of a decision."""

    refund_case_id: UUID = Field(examples=[CASE_ID])
    certificate_id: UUID = Field(examples=[CERTIFICATE_ID])
    decision: str = Field(examples=["approve"])
    amount: Money = Field(description="Allowed to be taken from the balance")
    taken: Money = Field(description="Taken now; 0 while the money is not back")
    uncovered: Money = Field(description="Money back that the certificate does not answer for")
    status: Status = Field(examples=["refunded"])
    refund_state: RefundState = Field(examples=["completed"])
    balance: Money
    held: Money


class AwaitingSecond(Schema):
    """One person has agreed; another has to repeat decision and amount."""

    refund_case_id: UUID = Field(examples=[CASE_ID])
    certificate_id: UUID = Field(examples=[CERTIFICATE_ID])
    awaiting_second: Literal[True] = True
    decision: str = Field(examples=["approve"])
    amount: int | None = Field(examples=[400_000])


class Reason(Schema):
    """Why somebody acts."""

    reason: Words = Field(examples=["reported stolen"])


class StandingView(Schema):
    """How a certificate stands after an act."""

    certificate_id: UUID = Field(examples=[CERTIFICATE_ID])
    status: Status = Field(examples=["blocked"])
    refund_state: RefundState = Field(examples=["none"])
    balance: Money
    held: Money
