"""Orders by chance: versions that add, remove, replace, renumber, swap and reprice lines; payments in any parts."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from hypothesis import strategies as st

from giftcert.domain.order import messages as m
from tests.unit.domain.order import orders as o

NUMBERS = ("1", "2", "3", "4", "5")
AMOUNTS = (0, 100, 250, 450, 500)
PAID = (1, 50, 100, 200, 250, 300, 450, 500, 750, 1_000)


def lines_at(draw: st.DrawFn) -> list[m.OrderLine]:
    """Some lines, at least one of them a certificate."""
    numbers = draw(st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=4, unique=True))
    lines = [o.gift(number, draw(st.sampled_from(AMOUNTS))) for number in numbers[:1]]
    for number in numbers[1:]:
        amount = draw(st.sampled_from(AMOUNTS))
        lines.append(o.gift(number, amount) if draw(st.booleans()) else o.goods(number, amount))
    return lines


def total_of(draw: st.DrawFn, lines: Sequence[m.OrderLine]) -> int:
    """The sum of the lines, as a rule; else less a discount of the whole order, or with what is listed nowhere."""
    return max(0, sum(line.amount for line in lines) + draw(st.sampled_from((0, 0, 0, -75, 60))))


# An order that is said once or several times, always the same -----------------------------------------


@st.composite
def plain_sales(draw: st.DrawFn) -> tuple[list[m.OrderMessage], list[m.OrderMessage]]:
    """Nothing withdrawn, replaced, added or repriced, no money given back: versions, payments."""
    lines = lines_at(draw)
    if draw(st.booleans()):
        lines.append(o.goods("0", -40, "discount"))
    total = total_of(draw, lines)
    versions: list[m.OrderMessage] = [
        o.stated(*draw(st.permutations(lines)), version=version, total=total)
        for version in range(1, draw(st.integers(2, 4)))
    ]
    numbers = [line.line_id for line in lines]
    payments = draw(st.lists(payments_of(numbers, (o.NOON,)), max_size=7))
    return versions, payments


@st.composite
def payments_of(draw: st.DrawFn, numbers: Sequence[str], times: Sequence[datetime]) -> m.OrderMessage:
    payment_id = draw(st.sampled_from(("P-1", "P-2", "P-3")))
    kind = draw(st.sampled_from(("authorized", "captured", "captured", "captured", "captured", "voided")))
    if kind == "authorized":
        return o.authorized(payment_id=payment_id)
    if kind == "voided":
        return o.voided(payment_id)
    amount = draw(st.sampled_from(PAID))
    return o.captured(
        amount,
        payment_id,
        to=allocations(draw, numbers, amount),
        tender=draw(st.sampled_from(("card", "card", "giftCertificate"))),
        currency=draw(st.sampled_from(("RUB",) * 7 + ("EUR",))),
        at=draw(st.sampled_from(times)),
    )


def allocations(draw: st.DrawFn, numbers: Sequence[str], amount: int) -> dict[str, int]:
    """Nothing, or parts of the amount for some lines, at times for one that nobody knows."""
    to: dict[str, int] = {}
    for number in draw(st.lists(st.sampled_from([*numbers, "9"]), max_size=2, unique=True)):
        part = draw(st.sampled_from((amount, amount // 2, amount // 3)))
        if 0 < part <= amount - sum(to.values()):
            to[number] = part
    return to


# An order to which anything may happen ------------------------------------------------------------


@dataclass
class Changing:
    """What the order's newest version lists."""

    lines: list[m.OrderLine]
    version: int = 1
    names: int = 0
    at: datetime = o.NOON
    captured: dict[tuple[str, str], int] = field(default_factory=dict)
    messages: list[m.OrderMessage] = field(default_factory=list)

    def new_name(self) -> str:
        self.names += 1
        return f"new-{self.names}"


@st.composite
def sales_gone_wrong(draw: st.DrawFn, *, allocated: bool = False) -> list[m.OrderMessage]:
    """Messages of both topics, each in its order. Refunds give back no more than was captured.

    ``allocated``: every payment says for which line it is.
    """
    sale = Changing(lines_at(draw))
    steps = draw(
        st.lists(st.sampled_from(("version", "leave", "pay", "pay", "refund", "share")), max_size=12)
    )
    for step in ("version", *steps):
        sale.at += o.MINUTE
        match step:
            case "version":
                say_version(draw, sale)
            case "leave":
                leave(draw, sale)
            case "pay":
                pay(draw, sale, whole=allocated)
            case "refund":
                give_back(draw, sale, whole=allocated)
            case _:
                share(draw, sale)
    return sale.messages


def say_version(draw: st.DrawFn, sale: Changing) -> None:
    if sale.messages:
        change(draw, sale)
        sale.version += draw(st.sampled_from((1, 1, 2)))
    lines = tuple(sale.lines)
    sale.messages.append(o.stated(*lines, version=sale.version, total=total_of(draw, lines), at=sale.at))


def change(draw: st.DrawFn, sale: Changing) -> None:
    place = draw(st.integers(0, len(sale.lines) - 1)) if sale.lines else 0
    match draw(
        st.sampled_from(("nothing", "remove", "replace", "renumber", "swap", "reprice", "add", "add"))
    ):
        case "remove" if len(sale.lines) > 1:
            sale.lines.pop(place)
        case "replace" if sale.lines and sale.lines[place].is_certificate:
            sale.lines[place] = replace(sale.lines[place], certificate_id=sale.new_name())
        case "renumber" if (free := free_number(sale)) and sale.lines:
            sale.lines[place] = replace(sale.lines[place], line_id=free)
        case "swap":
            swap(sale)
        case "reprice" if sale.lines:
            amount = draw(st.sampled_from(AMOUNTS))
            sale.lines[place] = replace(sale.lines[place], amount=amount)
        case "add" if free := free_number(sale):
            amount = draw(st.sampled_from(AMOUNTS))
            certificate = draw(st.sampled_from((f"certificate-{free}", sale.new_name())))
            named = {line.certificate_id for line in sale.lines}
            is_gift = draw(st.booleans()) and certificate not in named
            sale.lines.append(o.gift(free, amount, certificate) if is_gift else o.goods(free, amount))
        case _:
            pass


def free_number(sale: Changing) -> str | None:
    taken = {line.line_id for line in sale.lines}
    return next((number for number in NUMBERS if number not in taken), None)


def swap(sale: Changing) -> None:
    gifts = [nth for nth, line in enumerate(sale.lines) if line.is_certificate][:2]
    if len(gifts) == 2:
        one, other = (sale.lines[nth] for nth in gifts)
        sale.lines[gifts[0]] = replace(one, line_id=other.line_id)
        sale.lines[gifts[1]] = replace(other, line_id=one.line_id)


def leave(draw: st.DrawFn, sale: Changing) -> None:
    sale.version += 1
    numbers = [line.line_id for line in sale.lines]
    some = draw(st.lists(st.sampled_from(numbers), min_size=1, unique=True)) if numbers else ["1"]
    if draw(st.booleans()):
        sale.messages.append(o.returned(*some, version=sale.version, at=sale.at))
    else:
        named = some if draw(st.booleans()) else ()
        sale.messages.append(o.cancelled(*named, version=sale.version, at=sale.at))


def pay(draw: st.DrawFn, sale: Changing, *, whole: bool) -> None:
    payment_id = draw(st.sampled_from(("P-1", "P-2")))
    amount = draw(st.sampled_from(PAID))
    to = {draw(st.sampled_from(NUMBERS)): amount} if whole else allocations(draw, NUMBERS, amount)
    currency = draw(st.sampled_from(("RUB",) * 9 + ("EUR",)))
    at = draw(st.sampled_from((sale.at, o.NOON, sale.at + 3 * o.MINUTE)))
    of = (payment_id, currency)
    sale.captured[of] = sale.captured.get(of, 0) + amount
    sale.messages.append(o.captured(amount, payment_id, to=to, currency=currency, at=at))


def give_back(draw: st.DrawFn, sale: Changing, *, whole: bool) -> None:
    left = {of: money for of, money in sale.captured.items() if money > 0}
    if not left:
        return
    of = draw(st.sampled_from(sorted(left)))
    amount = min(left[of], draw(st.sampled_from((*PAID, 10_000))))
    to = {draw(st.sampled_from(NUMBERS)): amount} if whole else allocations(draw, NUMBERS, amount)
    refund_id = draw(st.sampled_from((None, None, "r-1")))
    if refund_id is not None and any(
        isinstance(one, m.PaymentRefunded) and (one.refund_id, one.payment_id) == (refund_id, of[0])
        for one in sale.messages
    ):
        refund_id = None
    at = draw(st.sampled_from((sale.at, o.NOON)))
    sale.captured[of] -= amount
    sale.messages.append(o.refunded(amount, refund_id, to=to, payment_id=of[0], currency=of[1], at=at))


def share(draw: st.DrawFn, sale: Changing) -> None:
    refunds = [one for one in sale.messages if isinstance(one, m.PaymentRefunded)]
    order = o.fold(*sale.messages)
    keys = [line.key for line in order.lines if line.naming is not None]
    if refunds:
        one = draw(st.sampled_from(refunds))
        amount = draw(st.sampled_from((0, one.amount // 2, one.amount)))
        sale.messages.append(o.share(draw(st.sampled_from(keys)), amount, one.refund_id, one.currency))


# Arrival ------------------------------------------------------------------------------------------


def topics_of(messages: Sequence[m.OrderMessage]) -> tuple[list[m.OrderMessage], list[m.OrderMessage]]:
    """The two topics, each in its order."""
    versions = [one for one in messages if isinstance(one, m.OrderVersion)]
    return versions, [one for one in messages if not isinstance(one, m.OrderVersion)]


@st.composite
def interleaved(draw: st.DrawFn, topics: Sequence[Sequence[m.OrderMessage]]) -> list[m.OrderMessage]:
    """Each topic in its order with repeats, the topics anyhow."""
    with_repeats = [repeated(draw, topic) for topic in topics]
    turns = draw(st.permutations([nth for nth, topic in enumerate(with_repeats) for _ in topic]))
    waiting = [iter(topic) for topic in with_repeats]
    return [next(waiting[nth]) for nth in turns]


def repeated(draw: st.DrawFn, topic: Sequence[m.OrderMessage]) -> list[m.OrderMessage]:
    published = list(topic)
    delivered = [
        one for one in topic if not isinstance(one, m.RefundShareDecided)
    ]  # of persons the newest word stands
    for place in draw(st.lists(st.integers(0, len(delivered) - 1), max_size=2)) if delivered else []:
        first = next(at for at, one in enumerate(published) if one is delivered[place])
        published.insert(draw(st.integers(first + 1, len(published))), delivered[place])
    return published
