"""What a channel sends and gets when a certificate pays: secrets in, none out."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, SecretStr, WithJsonSchema
from pydantic_core import PydanticCustomError

from api.schemas import CERTIFICATE_ID, Money, Schema, Status

REDEMPTION_ID = "01936f91-2d30-7c4b-8f3a-3a4b5c6d7e8f"
LONGEST_HOLD = 366 * 24 * 60 * 60


def _digits(pattern: str) -> Callable[[SecretStr], SecretStr]:
    def check(secret: SecretStr) -> SecretStr:
        if re.fullmatch(pattern, secret.get_secret_value(), re.ASCII) is None:
            raise PydanticCustomError("digits", "is not so many digits")
        return secret

    return check


def _secret(pattern: str, example: str) -> WithJsonSchema:
    schema: dict[str, Any] = {"type": "string", "pattern": pattern, "writeOnly": True, "examples": [example]}
    return WithJsonSchema(schema)


_NUMBER, _CVC = "^[0-9]{12,19}$", "^[0-9]{3,8}$"
Number = Annotated[SecretStr, AfterValidator(_digits(_NUMBER)), _secret(_NUMBER, "0000000000000000")]
Cvc = Annotated[SecretStr, AfterValidator(_digits(_CVC)), _secret(_CVC, "000000")]


class Credentials(Schema):
    """What the holder of a certificate shows. Never stored, never logged."""

    channel: str = Field(min_length=1, max_length=64, examples=["pos"])
    number: Number
    cvc: Cvc


class Verification(Schema):
    """Whether number and CVC belong together, and then how the certificate stands.

    A wrong number, a wrong CVC and a number that is locked after too many wrong ones look the same.
    """

    valid: bool = Field(
        description="Number and CVC belong together; what may be spent, `status` and `balance` say",
        examples=[True],
    )
    certificate_id: UUID | None = Field(None, examples=[CERTIFICATE_ID])
    product: str | None = Field(None, examples=["GC-5000"])
    status: Status | None = Field(None, examples=["issued"])
    balance: Money | None = None
    held: Money | None = None
    valid_until: datetime | None = Field(None, examples=["2027-11-23T12:00:00Z"])


class Amount(Schema):
    """What a purchase takes, in minor units of a currency."""

    amount: int = Field(ge=1, le=2**53, strict=True, examples=[120_000])
    currency: str = Field(pattern="^[A-Z]{3}$", examples=["RUB"])


class RedemptionOrder(Credentials):
    """A purchase that a certificate is to pay for."""

    amount: Amount
    order_id: str = Field(min_length=1, max_length=128, pattern=r"^[^\x00]*$", examples=["POS-17"])
    hold_seconds: int | None = Field(
        None,
        ge=1,
        le=LONGEST_HOLD,
        strict=True,
        description="How long the amount stays held; the product's hold if left out, and its limit at most",
        examples=[1_800],
    )


class RedemptionView(Schema):
    """A purchase that a certificate pays for, as it stands."""

    redemption_id: UUID = Field(examples=[REDEMPTION_ID])
    certificate_id: UUID = Field(examples=[CERTIFICATE_ID])
    status: Literal["authorized", "captured", "voided", "lapsed"] = Field(examples=["authorized"])
    order_id: str = Field(examples=["POS-17"])
    channel: str = Field(examples=["pos"])
    amount: Money = Field(description="What was asked for, or spent without a hold")
    held: Money = Field(description="Waits for its capture")
    spent: Money = Field(description="Captured")
    restored: Money = Field(description="Given back of what was captured")
    balance: Money = Field(description="What else the certificate can pay for now")
    expires_at: datetime | None = Field(
        description="When what is held is given back by itself; null for a purchase that was never held",
        examples=["2026-11-23T12:30:00Z"],
    )
