"""What requests and replies of several resources have in common: camelCase, money, statuses, free text."""

from typing import Annotated, TypeAlias
from uuid import UUID

from fastapi import Path, Query
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from giftcert.contracts.field_descriptions import open_words
from giftcert.domain.certificate.state import RefundState as DomainRefundState
from giftcert.domain.certificate.state import Status as DomainStatus
from giftcert.domain.certificate.words import RefundDecision, RefundReason
from giftcert.sensitive_text import is_sensitive

CERTIFICATE_ID = "01936f8e-5a00-7c3e-9d4b-0a1b2c3d4e5f"
WORKFLOW_URL = f"http://127.0.0.1:8233/namespaces/default/workflows/certificate-{CERTIFICATE_ID}"
LONGEST_ID = 200
NO_NUL = r"^[^\x00]*$"  # PostgreSQL's text cannot hold it
LARGEST_AMOUNT = 2**53

CertificateId = Annotated[UUID, Path(alias="certificateId", examples=[CERTIFICATE_ID])]
PageAfter = Annotated[UUID | None, Query(description="`next` of the page before")]
Status: TypeAlias = Annotated[str, WithJsonSchema({"type": "string", "enum": [*DomainStatus, "blocked"]})]
RefundState: TypeAlias = Annotated[str, WithJsonSchema({"type": "string", "enum": [*DomainRefundState]})]
ReasonWord: TypeAlias = Annotated[str, WithJsonSchema(open_words(RefundReason))]
DecisionWord: TypeAlias = Annotated[str, WithJsonSchema(open_words(RefundDecision))]


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

    @model_validator(mode="before")
    @classmethod
    def _of_amount(cls, value: object, info: ValidationInfo) -> object:
        """An amount alone is in the currency that is the context of the validation."""
        return {"amount": value, "currency": info.context} if isinstance(value, int) else value


class Standing(Schema):
    """How a certificate stands."""

    certificate_id: UUID = Field(examples=[CERTIFICATE_ID])
    status: Status = Field(validation_alias="shown_status", examples=["issued"])
    refund_state: RefundState = Field(examples=["none"])
    balance: Money
    held: Money


def _fit_for_the_stream(text: str) -> str:
    """The stream, on which free text stands, is kept for ever."""
    if is_sensitive(text):
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
    balance: Annotated[
        Money | None, Field(description="What can be spent, in minor units; with insufficient-balance")
    ] = None
    part: Annotated[str | None, Field(description="With part-unavailable", examples=["database"])] = None
