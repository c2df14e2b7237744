"""Sales made by chance, as the properties of the domain draw them: plain ones, and ones that go wrong in some way."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from giftcert.domain.order import messages as o
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.orders_of_arrival import Record, stated
from tests.unit.domain.certificate.plain_sales import AMOUNTS, LINES
from tests.unit.domain.certificate.sales_gone_wrong import AMOUNTS as OTHER_AMOUNTS
from tests.unit.domain.certificate.sales_gone_wrong import GIFTS, GOODS, has, named

Topics = tuple[list[Record], list[Record]]
"""What All_SalesOrder and All_Payments say of one sale, each in its order."""


def as_it_arrives(chance: Random, topics: Topics) -> list[Record]:
    """Each topic in its own order, some records again at any later place, the topics interleaved."""
    queues = [_with_repeats(chance, topic) for topic in topics]
    turns = [place for place, topic in enumerate(queues) for _ in topic]
    chance.shuffle(turns)
    return [queues[turn].pop(0) for turn in turns]


def _with_repeats(chance: Random, topic: Sequence[Record]) -> list[Record]:
    said = list(topic)
    for record in chance.choices(topic, k=chance.randint(0, 3)) if topic else ():
        last = max(place for place, one in enumerate(said) if one is record)
        said.insert(chance.randint(last + 1, len(said)), record)
    return said


# Nothing withdrawn, refunded or repriced ----------------------------------------------------------


def plain_sale(chance: Random) -> Topics:
    """An order said once or several times, or one that grows; payments in any parts."""
    lines: tuple[o.OrderLine, ...] = ()
    while not any(line.is_certificate for line in lines):
        lines = tuple(chance.sample(LINES, chance.randint(1, 4)))
    return _growing(chance, lines) if chance.random() < 0.4 else _steady(chance, lines)


def _steady(chance: Random, lines: tuple[o.OrderLine, ...]) -> Topics:
    orders: list[Record] = [stated(version, *lines) for version in range(1, chance.randint(2, 4))]
    return orders, [_a_payment(chance, lines) for _ in range(chance.randint(0, 5))]


def _a_payment(chance: Random, lines: tuple[o.OrderLine, ...]) -> o.Payment:
    payment_id = chance.choice(("P-1", "P-2", "P-3"))
    kind = chance.choice(("authorized", "captured", "captured", "captured", "voided"))
    if kind != "captured":
        return make.authorized(payment_id=payment_id) if kind == "authorized" else make.voided(payment_id)
    amount = chance.choice((*AMOUNTS, sum(line.amount for line in lines) or 1))
    line = chance.choice((None, None, *lines))
    to = {line.line_id: min(amount, line.amount)} if line else None
    return make.captured(amount, payment_id, to=to, tender=chance.choice(("card", "card", "giftCertificate")))


def _growing(chance: Random, lines: tuple[o.OrderLine, ...]) -> Topics:
    orders: list[Record] = [
        stated(version, *lines[:version])
        for version in range(1, len(lines) + 1)
        if any(line.is_certificate for line in lines[:version])
    ]
    paying = chance.sample(lines, chance.randint(0, len(lines)))
    parts = [(line, part) for line in paying for part in (line.amount // 3, line.amount - line.amount // 3)]
    chance.shuffle(parts)
    return orders, [
        make.captured(part, f"P-{place}", to={line.line_id: part}) for place, (line, part) in enumerate(parts)
    ]


# Anything may go wrong ----------------------------------------------------------------------------


def troubled_sale(chance: Random) -> Topics:
    """An order that is cancelled, returned or changed; captures and refunds with and without allocation."""
    orders = _versions(chance)
    return orders, _payments(chance, orders)


def _versions(chance: Random) -> list[Record]:
    gifts = [named(line, "1") for line in chance.sample(GIFTS, chance.randint(1, 3))]
    lines = {line.line_id: line for line in (*chance.sample(GOODS, chance.randint(0, 2)), *gifts)}
    gone: set[str] = set()
    records: list[Record] = [stated(1, *lines.values())]
    for version in range(2, 2 + chance.randint(0, 3)):
        at = version * make.MINUTE
        kind = chance.choice(("cancel", "return", "change", "change"))
        ids = chance.sample(sorted(lines), chance.randint(1, len(lines))) if lines else []
        if kind == "cancel":
            meant = chance.choice(((), ids))
            gone |= set(meant or lines)
            records.append(make.cancelled(*meant, version=version, at=make.NOON + at))
        elif kind == "return" and ids:
            gone |= set(ids)
            records.append(make.returned(*ids, version=version, at=make.NOON + at))
        else:
            _change(chance, lines, gone, version)
            records.append(stated(version, *lines.values(), at=at))
    return records


def _change(chance: Random, lines: dict[str, o.OrderLine], gone: set[str], version: int) -> None:
    line_id = chance.choice(sorted(lines)) if lines else ""
    match chance.choice(("remove", "replace", "reprice", "add")):
        case "remove" if line_id:
            lines.pop(line_id)
        case "replace" if line_id and lines[line_id].is_certificate and line_id not in gone:
            lines[line_id] = named(lines[line_id], str(version))
        case "reprice" if line_id:
            lines[line_id] = replace(lines[line_id], amount=chance.choice((450_000, 500_000, 100)))
        case _:
            new = chance.choice((*GOODS, *(named(line, str(version)) for line in GIFTS)))
            if new.line_id not in gone:
                lines.setdefault(new.line_id, new)


def _payments(chance: Random, orders: list[Record]) -> list[Record]:
    first = orders[0]
    assert isinstance(first, o.OrderStated)
    total = sum(line.amount for line in first.lines)
    said: list[Record] = []
    captured = 0
    for _ in range(chance.randint(0, 5)):
        amount = chance.choice((total, total, *OTHER_AMOUNTS))
        line = chance.choice((None, None, *first.lines))
        if captured and chance.random() < 0.5:
            back = min(amount, captured)
            to = min(back, has(line, said, total)) if line else 0
            at = make.NOON + chance.randint(0, 8) * make.MINUTE
            said.append(make.refunded(back, to={line.line_id: to} if line and to else None, at=at))
            captured -= back
        else:
            to = min(amount, line.amount) if line else 0
            allocated = {line.line_id: to} if line and to else None
            said.append(make.captured(amount, f"P-{len(said)}", to=allocated))
            captured += amount
    return said
