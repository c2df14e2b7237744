"""Records as nobody should write them: any bytes, times and headers, and messages with a field gone wrong."""

import json
from typing import Any

from hypothesis import strategies as some

from tests.hostile_batches import NOW, Written
from tests.unit.contracts.topic_records import certificate_line, client, order, payment

LIMIT = 20_000
"""Of a record's size, so that one above it costs little."""
_LEAST, _GREATEST = -(2**63), 2**63 - 1
_TIMES = some.sampled_from([_LEAST, -1, 0, NOW, 253_402_300_800_000, _GREATEST])
_WRONG = some.sampled_from(
    [
        *(None, "", "\0", "a\0b", "\ud800", "a" * 300, "ё" * 200, 0, -1, 2**63, 1e308, True, [], {}),
        *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2026-11-23T10:00:00+14:00"),
        "4000123412341234",
    ]
)
_JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner, max_size=5) | some.dictionaries(some.text(), inner, max_size=5),
    max_leaves=10,
)


def values(certificate_ids: list[str]) -> some.SearchStrategy[bytes | None]:
    """Values of any kind, and messages about these certificates."""
    lines = [certificate_line(certificateId=one) for one in certificate_ids]
    messages = [
        order(lines=lines),
        order(lines=lines, eventType="order.changed", orderVersion=2),
        order(lines=[{"lineId": "2"}], eventType="order.returned", orderVersion=3),
        order(lines=None, eventType="order.cancelled", orderVersion=4),
        payment(),
        payment(tender="giftCertificate", certificateId=certificate_ids[0]),
        payment(eventType="payment.refunded", refundId="R-1"),
        client(),
    ]
    wrong = some.builds(_with_wrong_fields, some.sampled_from(messages), some.lists(_WRONG), some.randoms())
    return some.one_of(
        wrong.map(lambda value: json.dumps(value).encode()),
        _JSON.map(lambda value: json.dumps(value).encode()),
        some.binary(max_size=200),
        some.none(),
        some.integers(LIMIT, 2 * LIMIT).map(bytes),
    )


def records(certificate_ids: list[str]) -> some.SearchStrategy[Written]:
    """A record of any of the topics."""
    return some.builds(
        Written,
        value=values(certificate_ids),
        key=some.sampled_from([None, b"", b"\0", b"\xff", b"IM-1001", b"k" * 300]) | some.binary(max_size=30),
        headers=some.lists(some.tuples(some.binary(max_size=9), some.none() | some.binary()), max_size=3).map(
            tuple
        ),
        timestamp=_TIMES | some.integers(_LEAST, _GREATEST),
    )


def _with_wrong_fields(message: dict[str, Any], wrong: list[Any], random: Any) -> Any:
    """Replace as many fields, wherever they are, as there are wrong values."""
    message = json.loads(json.dumps(message))
    for value in wrong[:3]:
        within = random.choice(
            [message, *(one for one in message.get("lines") or [] if isinstance(one, dict))]
        )
        if isinstance(within, dict) and within:
            within[random.choice(sorted(within))] = value
        if not isinstance(message.get("lines") or [], list):
            break
    return message
