"""What requests and replies of several resources have in common: camelCase, money, statuses, free text."""

from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from giftcert.domain.certificate.state import CertificateState
from giftcert.redaction import is_fit_to_tell

CERTIFICATE_ID = "01936f8e-5a00-7c3e-9d4b-0a1b2c3d4e5f"
LONGEST_ID = 200
NO_NUL = r"^[^\x00]*$"
"""PostgreSQL's text cannot hold NUL."""
LARGEST_AMOUNT = 2**53

CertificateId = Annotated[UUID, Path(alias="certificateId", examples=[CERTIFICATE_ID])]
Status: TypeAlias = Literal[
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
RefundState: TypeAlias = Literal[
    "none", "requested", "awaitingCapture", "pendingDetails", "completed", "rejected"
]


class Schema(BaseModel):
    """What all have in common; unknown fields of a request are refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        from_attributes=True,
    )


class Money(Schema):
    """An amount in minor units of a currency (ISO 4217)."""

    amount: int = Field(examples=[500_000])
    currency: str = Field(examples=["RUB"])


def money(amount: int | None, currency: str | None) -> Money | None:
    """Return an amount as money; what does not apply is ``None``."""
    if amount is None or currency is None:
        return None
    return Money(amount=amount, currency=currency)


def standing_of(state: CertificateState) -> dict[str, str]:
    """Return how a certificate stands, as members of a problem."""
    return {"certificateStatus": state.shown_status, "refundState": state.refund_state.value}


def _fit_for_the_stream(text: str) -> str:
    """The stream, on which free text stands, is kept for ever."""
    if not is_fit_to_tell(text):
        raise PydanticCustomError(
            "personal", "goes to the stream: leave numbers, e-mail addresses and telephones out"
        )
    return text


FreeText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=NO_NUL),
    AfterValidator(_fit_for_the_stream),
]


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
