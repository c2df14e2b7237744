"""What support, CRM and operations send when they act, and what they get."""

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from api.schemas import Schema
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
