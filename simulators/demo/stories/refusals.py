"""What cannot be applied, and a pool with nothing left to give."""

from uuid import uuid4

import msgspec

from simulators.addresses import run_giftcert
from simulators.demo.expectations import InputReported, RefusalsCounted
from simulators.demo.outcomes import ISSUED, RESERVED, CertificateTells
from simulators.demo.play import PRODUCT, TINY_POOL, Play
from simulators.demo.stories.parts import sold_and_written
from simulators.messages import order_created, payment_captured
from simulators.service import Money, RefusedError, Reservation


async def somebody_elses_certificate(play: Play) -> None:
    """Another order names a certificate that is sold, and is even paid."""
    outcome = ISSUED.then("error.orderConflict", "alert.paymentWithoutCertificate")
    reservation, _ = await sold_and_written(play, outcome)
    stranger = play.basket(reservation)
    await play.place(stranger)
    await play.until_told(reservation, "error.orderConflict")
    await play.write_payment(payment_captured(stranger))


async def unknown_certificate(play: Play) -> None:
    """An order names a certificate that was never made."""
    nominal = Money(500_000, "RUB")
    dreamt = Reservation(
        certificate_id=str(uuid4()),
        reservation_id=str(uuid4()),
        product=PRODUCT,
        nominal=nominal,
        channel=play.channel.name,
    )
    message = order_created(play.basket(dreamt))
    play.expect(InputReported("error.unknownCertificate", event_id=message.event_id))
    await play.write_order(message)


async def malformed_bytes(play: Play) -> None:
    """Records that are no messages come on both topics; their partitions go on.

    Such an order may be anybody's, so nothing is released on time alone until operations dismiss it.
    """
    name = f"{play.channel.name.upper()}-{play.world.run}-broken"
    addresses, broken = play.world.addresses, []
    for topic, event_type in (
        (addresses.orders_topic, "order.created"),
        (addresses.payments_topic, "payment.captured"),
    ):
        half = msgspec.json.encode({"eventType": event_type, "orderId": name})
        for value in (b"\x00\xffno text", b"", half):
            position = await play.world.writer.write_bytes(topic, name, value)
            play.expect(InputReported("error.malformedEvent", position=position))
            broken.append(position)
    await play.until_come_out()
    for position in broken:
        place = f"{position.topic}/{position.partition}/{position.offset}"
        await run_giftcert("quarantine", "dismiss", place, "--note", "not readable", "--by", "demo")


async def emptied_pool(play: Play) -> None:
    """Everything is reserved by the hundred, then one by one, until nothing is left and a few ask in vain."""
    counted = RefusalsCounted(TINY_POOL)
    play.expect(counted)
    for quantity in (100, 10, 1, 1, 1):
        counted.refused += await _reserve_until_refused(play, quantity)


async def _reserve_until_refused(play: Play, quantity: int) -> int:
    while True:
        try:
            reservations = await play.channel.service.reserve(play.channel.name, TINY_POOL, quantity)
        except RefusedError as refusal:
            if refusal.status != 409:
                raise
            return 1
        for reservation in reservations:
            play.expect(CertificateTells(reservation, RESERVED))
