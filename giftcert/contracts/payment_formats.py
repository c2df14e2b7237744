"""The formats of ``All_Payments`` that can be read, by the names that ``GIFTCERT_PAYMENTS_FORMAT`` takes."""

from collections.abc import Callable
from typing import TypeAlias, assert_never

from giftcert.contracts.acquirer_payments import AcquirerPayments
from giftcert.contracts.payments import PaymentRecord, decode_payment
from giftcert.settings import Settings

PaymentDecoder: TypeAlias = Callable[[bytes | None], PaymentRecord]


def payment_decoder(settings: Settings) -> PaymentDecoder:
    """Return the decoder of the format that is set."""
    match settings.payments_format:
        case "contract":
            return decode_payment
        case "acquirer":
            return AcquirerPayments(settings.payments_channel_codes)
        case _:
            assert_never(settings.payments_format)
