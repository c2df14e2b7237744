"""The oracle: a partner's own book of what it ordered, paid, spent and gave back, and what must come of it.

It shares no code with the service, not even that of the simulators: the rules are read from the public contract and
written here a second time, in the simplest form. Amounts are minor units; an event is the JSON of its record.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias

Event: TypeAlias = Mapping[str, Any]

_UNEXPECTED = frozenset(
    {
        *("error.malformedEvent", "error.unknownCertificate", "error.unexpectedEvent"),
        *(
            "alert.unpaid",
            "alert.paymentWithoutCertificate",
            "alert.redemptionUncovered",
            "alert.orderTooLarge",
        ),
        *("alert.invariantViolated", "issue.blocked"),
        *("audit.expired", "audit.retired"),
    }
)
"""What the service says only of partners that err, or of deadlines that are far off here."""


# The book ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Purchase:
    """A basket that a certificate pays for; without ``redemption_id`` nothing was held for it."""

    amount: int
    redemption_id: str | None = None
    captured: int = 0
    restored: int = 0
    given_up: bool = False

    @property
    def held(self) -> int:
        """What still waits to be captured or given up."""
        return 0 if self.redemption_id is None or self.captured or self.given_up else self.amount

    @property
    def status(self) -> str:
        """How the redemption stands."""
        return "captured" if self.captured else "voided" if self.given_up else "authorized"


@dataclass(slots=True)
class Line:
    """An order line of one certificate.

    ``certificates`` are all that it has named, the newest last. ``crossed``: its money was on one topic while it was
    changed or cancelled on the other, so that either may be seen first. ``refused``: the number of baskets
    that the balance did not reach for. ``blocks`` and ``letters`` count how often support blocked it and had its client
    written to again.
    """

    order_id: str
    price: int
    nominal: int
    certificates: list[str]
    captured: int = 0
    withdrawn: bool = False
    crossed: bool = False
    refunded: int = 0
    decision: Literal["approve", "reject"] | None = None
    purchases: list[Purchase] = field(default_factory=list)
    refused: int = 0
    is_blocked: bool = False
    blocks: int = 0
    letters: int = 0


@dataclass(slots=True)
class Book:
    """Everything that was written down, and what was wrong already in the answers to partners.

    ``imported`` is how many certificates there were to sell; ``given_back`` were reserved and never ordered.
    """

    imported: int = 0
    lines: list[Line] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    handed_out: set[str] = field(default_factory=set)
    given_back: set[str] = field(default_factory=set)

    def hand_out(self, certificate_id: str) -> None:
        """Note a reservation: as long as others lie in the pool, no certificate comes twice."""
        if certificate_id in self.handed_out:
            self.faults.append(f"certificate {certificate_id}: handed out twice")
        self.handed_out.add(certificate_id)


# What must come of it ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a certificate stands, and the sums of its events: price, spent less restored, and what refunds took.

    ``refused``, ``blocks`` and ``letters`` are numbers: of baskets that it could not pay, of blocks, and of letters.
    """

    status: str
    refund_state: str = "none"
    balance: int = 0
    held: int = 0
    sold: int = 0
    spent: int = 0
    refunded: int = 0
    taken: int = 0
    uncovered: int = 0
    refused: int = 0
    blocks: int = 0
    letters: int = 0


Outcomes: TypeAlias = dict[str, Outcome]


def allowed_outcomes(line: Line, ordered: Container[str]) -> list[Outcomes]:
    """Return every way in which the certificates of a line may rightly stand: one, or two where messages crossed.

    A certificate that the line lets go is back in the pool if it was ``ordered``; if that was over before the service
    saw it, only its reservation is left, and expires later than anybody waits here.
    """
    let_go = {one: Outcome("available" if one in ordered else "reserved") for one in line.certificates}
    *earlier, newest = line.certificates
    released = {one: let_go[one] for one in earlier}
    if not line.captured:
        return [released | {newest: let_go[newest] if line.withdrawn else Outcome("ordered")}]
    allowed = [released | {newest: _outcome_of_sale(line)}]
    if line.crossed and earlier:
        # The money came first: the earlier certificate was issued, and the newer one refused.
        allowed.append({newest: Outcome("reserved"), earlier[-1]: _outcome_of_sale(line)})
    elif line.crossed:
        # The cancellation came first: never issued.
        allowed.append({newest: replace(let_go[newest], refunded=line.refunded)})
    return allowed


def _outcome_of_sale(line: Line) -> Outcome:
    spent = sum(one.captured - one.restored for one in line.purchases)
    held = sum(one.held for one in line.purchases)
    state, taken, uncovered = _refund(line, spent)
    balance = line.nominal - spent - held - taken
    return Outcome(
        status="blocked" if line.is_blocked else _status(spent, balance + held, taken),
        refund_state=state,
        balance=balance,
        held=held,
        sold=line.price,
        spent=spent,
        refunded=line.refunded if state in {"completed", "rejected"} else 0,
        taken=taken,
        uncovered=uncovered,
        refused=line.refused,
        blocks=line.blocks,
        letters=1 + line.letters,
    )


def _refund(line: Line, spent: int) -> tuple[str, int, int]:
    """Return the refund state, what is taken from the balance, and what the certificate cannot answer for."""
    worth = -(-line.nominal * line.refunded // line.price)
    match line.decision:
        case "approve":
            taken = min(worth, line.nominal - spent)
            return "completed", taken, worth - taken
        case "reject":
            return "rejected", 0, worth
        case None:
            pass
    if not line.refunded:
        return "requested" if line.withdrawn else "none", 0, 0
    if spent:
        return "pendingDetails", 0, 0
    return ("completed", worth, 0) if line.refunded == line.price else ("requested", 0, 0)


def _status(spent: int, left: int, taken: int) -> str:
    if taken and not left:
        return "refunded"
    if not spent:
        return "issued"
    return "partiallyRedeemed" if left else "redeemed"


# What the service shows ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Evidence:
    """What anybody may see: the whole stream in the order of its partitions, and the answers of the API.

    ``certificates`` and ``redemptions`` by id; ``pool`` counts certificates per status.
    """

    events: Sequence[Event]
    certificates: Mapping[str, Event]
    redemptions: Mapping[str, Event]
    pool: Mapping[str, int]


def differences(book: Book, evidence: Evidence) -> list[str]:
    """Return the differences of the service from the book, a line each; none if everything is as expected."""
    found, expected = _compared_with_stream(book, evidence.events)
    for certificate_id, outcome in expected.items():
        found += _compared_with_answer(certificate_id, outcome, evidence.certificates.get(certificate_id, {}))
    found += _redemption_differences(book, evidence.redemptions)
    return [*found, *_pool_differences(book.imported, expected, evidence.pool)]


def stream_differences(book: Book, events: Sequence[Event]) -> list[str]:
    """Return in what the stream alone differs from the book, beyond what was wrong in answers already."""
    return _compared_with_stream(book, events)[0][len(book.faults) :]


def _compared_with_stream(book: Book, events: Sequence[Event]) -> tuple[list[str], Outcomes]:
    """Return the differences, faults of the book first, and how each certificate must stand."""
    found = list(book.faults)
    published = _by_certificate(events, found)
    found += _strangers(book, published)
    ordered = {one for one, events in published.items() if _has(events, "issue.ordered")}
    expected: Outcomes = dict.fromkeys(book.handed_out, Outcome("reserved"))
    expected |= dict.fromkeys(book.given_back, Outcome("available"))
    for line in book.lines:
        outcomes = _nearest(allowed_outcomes(line, ordered), published)
        expected |= outcomes
        found += _conflicts(line, outcomes, published)
    for certificate_id, outcome in expected.items():
        found += _compared(certificate_id, outcome, published.get(certificate_id, []))
    return found, expected


def _has(events: Iterable[Event], event_type: str) -> bool:
    return any(event["eventType"] == event_type for event in events)


def _by_certificate(events: Iterable[Event], found: list[str]) -> dict[str, list[Event]]:
    """Sort the stream by certificate, repeats left out; note what breaks its sequences."""
    published: dict[str | None, dict[object, Event]] = defaultdict(dict)
    for event in events:
        certificate_id, sequence = event["certificateId"], event["sequence"]
        known = published[certificate_id]
        identity = sequence or event["eventId"]
        if known.setdefault(identity, event) != event:
            found.append(f"stream: a repeat of {event['eventId']} says something else")
        elif sequence and sequence > 1 and sequence - 1 not in known:
            found.append(
                f"certificate {certificate_id}: sequence {sequence} without {sequence - 1} before it"
            )
    without = published.pop(None, {}).values()
    found += [
        f"stream: {one['eventType']} {one['payload']}" for one in without if one["eventType"] in _UNEXPECTED
    ]
    return {
        certificate_id: list(known.values()) for certificate_id, known in published.items() if certificate_id
    }


def _strangers(book: Book, published: Mapping[str, list[Event]]) -> Iterator[str]:
    for certificate_id, events in published.items():
        if certificate_id not in book.handed_out:
            types = ", ".join(event["eventType"] for event in events)
            yield f"certificate {certificate_id}: {types}, though nobody got it"


def _nearest(allowed: list[Outcomes], published: Mapping[str, list[Event]]) -> Outcomes:
    def distance(outcomes: Outcomes) -> int:
        return sum(
            len(list(_compared(one, outcome, published.get(one, [])))) for one, outcome in outcomes.items()
        )

    return min(allowed, key=distance)


def _conflicts(line: Line, outcomes: Outcomes, published: Mapping[str, list[Event]]) -> Iterator[str]:
    """Yield what only an error of ours could bring about; a certificate that came too late to its line is refused."""
    for certificate_id, outcome in outcomes.items():
        refused = line.crossed and outcome.status == "reserved"
        for event in published.get(certificate_id, []):
            event_type = event["eventType"]
            conflict = event_type == "error.orderConflict" and not refused
            if conflict or event_type in _UNEXPECTED:
                yield f"certificate {certificate_id}: {event_type} {event['payload']} (order {line.order_id})"


def _compared(certificate_id: str, expected: Outcome, events: list[Event]) -> Iterator[str]:
    if not events:
        yield f"certificate {certificate_id}: nothing on the stream"
        return
    counts = Counter(_done_once(event) for event in events)
    for (event_type, subject), count in counts.items():
        if subject and count > 1:
            yield f"certificate {certificate_id}: {event_type} {count} times for {subject}"
    shown = _shown_by(events)
    for name in (one.name for one in fields(Outcome)):
        wanted, seen = getattr(expected, name), getattr(shown, name)
        if wanted != seen:
            yield f"certificate {certificate_id}: {name} is {seen} on the stream, {wanted} by the book"


def _done_once(event: Event) -> tuple[str, str | None]:
    """Return an event's type and of what it may be published once only, if that is so."""
    payload = event["payload"]
    match event["eventType"]:
        case "issue.completed" | "issue.ordered" as event_type:
            return event_type, payload["orderId"]
        case "redemption.authorized" | "redemption.captured" | "redemption.voided" as event_type:
            return event_type, payload["redemptionId"]
        case event_type:
            return event_type, None


def _shown_by(events: list[Event]) -> Outcome:
    last = events[-1]

    def total(event_type: str, amount: str = "amount") -> int:
        return sum(_amount(one["payload"].get(amount)) for one in events if one["eventType"] == event_type)

    def count(event_type: str) -> int:
        return sum(one["eventType"] == event_type for one in events)

    return Outcome(
        **_standing(last),
        sold=total("issue.completed"),
        spent=total("redemption.captured") - total("redemption.restored"),
        refunded=total("refund.completed"),
        taken=total("refund.completed", "taken"),
        uncovered=total("refund.completed", "uncovered"),
        refused=count("redemption.rejected"),
        blocks=count("audit.blocked"),
        letters=count("notification.requested"),
    )


def _standing(shown: Event) -> dict[str, Any]:
    return {
        "status": shown["status"],
        "refund_state": shown["refundState"],
        "balance": _amount(shown["balance"]),
        "held": _amount(shown["held"]),
    }


def _amount(money: Event | None) -> int:
    return 0 if money is None else int(money["amount"])


def _compared_with_answer(certificate_id: str, expected: Outcome, answer: Event) -> Iterator[str]:
    if not answer:
        yield f"certificate {certificate_id}: the API does not know it"
        return
    for name, seen in _standing(answer).items():
        if seen != getattr(expected, name):
            yield f"certificate {certificate_id}: {name} is {seen} over HTTP, {getattr(expected, name)} by the book"


def _redemption_differences(book: Book, answers: Mapping[str, Event]) -> Iterator[str]:
    for line in book.lines:
        for purchase in line.purchases:
            if purchase.redemption_id is None:
                continue
            answer = answers.get(purchase.redemption_id, {})
            seen = (
                answer.get("status"),
                *(_amount(answer.get(one)) for one in ("held", "spent", "restored")),
            )
            wanted = (purchase.status, purchase.held, purchase.captured, purchase.restored)
            if seen != wanted:
                yield f"redemption {purchase.redemption_id}: {seen} over HTTP, {wanted} by the book"


def _pool_differences(imported: int, expected: Outcomes, pool: Mapping[str, int]) -> Iterator[str]:
    """Compare the counts of the whole pool with the book: whoever was not handed out is available."""
    wanted = Counter(outcome.status for outcome in expected.values())
    wanted["available"] += imported - len(expected)
    for status in sorted(wanted.keys() | pool.keys()):
        if wanted[status] != pool.get(status, 0):
            yield f"pool: {pool.get(status, 0)} {status} over HTTP, {wanted[status]} by the book"
