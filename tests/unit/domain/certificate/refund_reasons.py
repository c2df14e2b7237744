"""One plain sale for each reason why a refund waits for a person."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from giftcert.domain.certificate.words import RefundReason
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, issued, sold, spent
from tests.unit.domain.certificate.certificates_of_one_order import Together

TO_THE_LINE = {"2": 500_000}
WITH_GOODS = (make.goods(), make.gift())


def expired() -> Certificate:
    found = spent(100_000)
    found.clock += 365 * make.DAY - make.MINUTE
    return found.wait(make.HOUR).tell(make.refunded())


def paid_again() -> Certificate:
    """Refunded while blocked, as a person approved, and then charged and given back once more."""
    found = issued().tell(make.block(), make.refunded(to=TO_THE_LINE))
    found.tell(make.resolve(found.case.refund_case_id), make.captured(to=TO_THE_LINE))
    return found.tell(make.refunded(to=TO_THE_LINE))


def one_of_two() -> Certificate:
    order = Together(make.gift("2"), make.gift("3")).paid()
    return order.tell(make.refunded()).wait(make.DAY)["2"]


ASKED: Mapping[RefundReason, Callable[[], Certificate]] = MappingProxyType(
    {
        RefundReason.CERTIFICATE_REDEEMED: lambda: spent(100_000).tell(make.refunded()),
        RefundReason.REDEMPTION_IN_PROGRESS: lambda: issued().tell(make.hold(200_000), make.refunded()),
        RefundReason.CERTIFICATE_EXPIRED: expired,
        RefundReason.CERTIFICATE_BLOCKED: lambda: issued().tell(make.block(), make.refunded()),
        RefundReason.AMOUNT_MISMATCH: lambda: (
            issued(*WITH_GOODS).tell(make.refunded(200_000, to={"2": 200_000})).wait(7 * make.DAY)
        ),
        RefundReason.REFUND_PAYMENT_MISSING: lambda: issued().tell(make.returned()).wait(7 * make.DAY),
        RefundReason.ALLOCATION_MISSING: one_of_two,
        RefundReason.EXCEEDS_CAPTURED: lambda: issued().tell(make.refunded(600_000, to={"2": 600_000})),
        RefundReason.ALREADY_REFUNDED: paid_again,
        RefundReason.NOT_CAPTURED: lambda: sold().tell(make.refunded(to=TO_THE_LINE)).wait(make.DAY),
        RefundReason.CURRENCY_MISMATCH: lambda: issued().tell(make.refunded(6_000, currency="EUR")),
    }
)
"""In the order in which the guide of support tells of them."""
