"""What simulated customers buy."""

import random

import msgspec

from simulators.messages import Order, OrderLine, Recipient
from simulators.money import CURRENCY
from simulators.service import Reservation

_LOCALES = ("ru-RU", "en-GB", "kk-KZ")


def goods_order(channel: str, order_id: str) -> Order:
    """Return an order of one to three articles and no certificate."""
    lines = tuple(_goods_line(number) for number in range(1, random.randint(1, 3) + 1))
    return _order(channel, order_id, lines)


def goods_for(channel: str, order_id: str, amount: int) -> Order:
    """Return an order of one article that costs so much, in minor units."""
    return _order(channel, order_id, (msgspec.structs.replace(_goods_line(1), amount=amount),))


def certificate_order(
    order_id: str, reservations: list[Reservation], *, goods: int = 0, discount_percent: int = 0
) -> Order:
    """Return an order of these certificates, after so many articles, at a discount on the nominal."""
    articles = tuple(_goods_line(number) for number in range(1, goods + 1))
    certificates = tuple(
        _certificate_line(number, reservation, discount_percent)
        for number, reservation in enumerate(reservations, start=goods + 1)
    )
    return _order(reservations[0].channel, order_id, articles + certificates)


def _order(channel: str, order_id: str, lines: tuple[OrderLine, ...]) -> Order:
    customer = f"C-{random.randint(1, 5_000)}"
    return Order(channel=channel, order_id=order_id, customer_id=customer, currency=CURRENCY, lines=lines)


def _goods_line(number: int) -> OrderLine:
    return OrderLine(
        line_id=str(number),
        kind="goods",
        sku=f"TV-{random.randint(1, 900)}",
        quantity=random.randint(1, 2),
        amount=100 * random.randint(500, 90_000),
    )


def _certificate_line(number: int, reservation: Reservation, discount_percent: int) -> OrderLine:
    recipient = Recipient(
        ref=f"R-{random.randint(1, 5_000)}",
        channel=random.choice(("email", "sms", "print")),
        locale=random.choice(_LOCALES),
    )
    return OrderLine(
        line_id=str(number),
        kind="giftCertificate",
        certificate_id=reservation.certificate_id,
        reservation_id=reservation.reservation_id,
        amount=reservation.nominal.amount * (100 - discount_percent) // 100,
        recipient=recipient,
    )
