"""Folding one more message into a large order: decode, novelty, apply, standings of all lines, encode.

    python -m benchmarks.order_fold

100 lines (60 certificates), 1,500 captures, 50 refunds; the order as it is in PostgreSQL, as ingest handles it.
"""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median
from time import process_time
from typing import TypeVar

import msgspec

from giftcert.domain.cause import Cause
from giftcert.domain.order import messages as m
from giftcert.domain.order.line_standings import line_standings
from giftcert.domain.order.novelty import novelty
from giftcert.domain.order.order import Order, apply

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LINES, CERTIFICATES, CAPTURES, REFUNDS, ROUNDS = 100, 60, 1_500, 50, 20
PRICE = 5_000
TOTAL = LINES * PRICE
Result = TypeVar("Result")
_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[Order] = msgspec.msgpack.Decoder(Order)


def cause(number: int, minutes: int = 0) -> Cause:
    """Return a record of so many minutes after noon."""
    return Cause("All_Payments", f"pay-{number:032}", NOON + timedelta(minutes=minutes), "im")


def version(number: int) -> m.OrderStated:
    """Return the whole order in a version."""
    lines = tuple(
        m.OrderLine(
            line_id=f"{nth:03}",
            kind=m.GIFT_CERTIFICATE if nth < CERTIFICATES else "goods",
            amount=PRICE,
            certificate_id=f"0199c0de-0000-7000-8000-{nth:012}" if nth < CERTIFICATES else None,
            reservation_id=f"0199c0de-0000-7000-9000-{nth:012}" if nth < CERTIFICATES else None,
        )
        for nth in range(LINES)
    )
    return m.OrderStated(
        cause=cause(number),
        event_type="order.created" if number == 1 else "order.changed",
        order_id="IM-1001",
        version=number,
        channel="im",
        customer_id="C-77",
        currency="RUB",
        total=TOTAL,
        lines=lines,
    )


def capture(number: int, amount: int, line: int | None = None) -> m.PaymentCaptured:
    """Return a capture, allocated to a line or to none."""
    return m.PaymentCaptured(
        cause=cause(number),
        order_id="IM-1001",
        payment_id=f"0199c0de-1111-7000-8000-{number:012}",
        capture_id=f"K-{number}",
        tender="card",
        amount=amount,
        currency="RUB",
        allocations=() if line is None else (m.Allocation(f"{line:03}", amount),),
    )


def refund(number: int, amount: int) -> m.PaymentRefunded:
    """Return a refund without allocations."""
    return m.PaymentRefunded(
        cause=cause(10_000 + number, 60 + number),
        order_id="IM-1001",
        payment_id=f"0199c0de-1111-7000-8000-{number:012}",
        refund_id=f"0199c0de-2222-7000-8000-{number:012}",
        tender="card",
        amount=amount,
        currency="RUB",
    )


def returned(lines: range) -> m.LinesReturned:
    """Return the return of some lines."""
    return m.LinesReturned(
        cause=cause(2, 30),
        order_id="IM-1001",
        version=2,
        channel="im",
        line_ids=tuple(f"{nth:03}" for nth in lines),
    )


def large_order(paid: int, *, again: bool) -> Order:
    """Return an order of which so much of 1,000 is paid; ``again``: with captures beyond its total."""
    amount = TOTAL * paid // 1_000 // CAPTURES + (50 if again else 0)
    messages: list[m.OrderMessage] = [version(1)]
    messages += [capture(nth, amount, nth % LINES if nth % 3 == 0 else None) for nth in range(CAPTURES - 1)]
    messages += [returned(range(20))]
    messages += [refund(nth, PRICE // 3) for nth in range(REFUNDS)]
    order: Order | None = None
    for message in messages:
        order = apply(order, message, NOON)
    assert order is not None
    return order


def folded_in_ms(stored: bytes, message: m.OrderMessage) -> dict[str, float]:
    """Return the milliseconds of CPU that each step of folding one more message takes."""
    took: dict[str, float] = {}

    def timed(name: str, step: Callable[[], Result]) -> Result:
        began = process_time()
        done = step()
        took[name] = (process_time() - began) * 1_000
        return done

    order = timed("decode", lambda: _DECODER.decode(stored))
    timed("novelty", lambda: novelty(order, message))
    folded = timed("apply", lambda: apply(order, message, NOON))
    timed("standings", lambda: line_standings(folded, {}))
    timed("encode", lambda: _ENCODER.encode(folded))
    return took


def main() -> None:
    """Print the slowest as JSON; on standard error all, for orders paid in part, in full, and charged twice."""
    slowest = 0.0
    for title, order in (
        ("paid in part", large_order(700, again=False)),
        ("paid in full", large_order(1_003, again=False)),
        ("charged again", large_order(1_003, again=True)),
    ):
        stored = _ENCODER.encode(order)
        for name, message in (
            ("capture", capture(99_999, 1)),
            ("refund", refund(99_999, 1)),
            ("version", version(3)),
        ):
            rounds = [folded_in_ms(stored, message) for _ in range(ROUNDS)]
            steps = {step: median(one[step] for one in rounds) for step in rounds[0]}
            parts = ", ".join(f"{step} {ms:.2f}" for step, ms in steps.items())
            ms = sum(steps.values())
            print(f"{title:14} {name:8} {ms:6.2f} ms ({parts}; {len(stored):,} bytes)", file=sys.stderr)
            slowest = max(slowest, ms)
    print(json.dumps({"slowest_ms": round(slowest, 2)}))


if __name__ == "__main__":
    main()
