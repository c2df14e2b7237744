"""Whole sales as topics tell them: one order, its payments, and every certificate that it ever names."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.state import LineRef
from giftcert.domain.order import messages as o
from giftcert.domain.policy import Terms
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate
from tests.unit.domain.certificate.world import World

Record = o.OrderVersion | o.Payment


def stated(version: int, *lines: o.OrderLine, at: make.timedelta = 0 * make.MINUTE) -> o.OrderStated:
    """A full version; each certificate line is reserved under its certificate's own reservation."""
    reserved = tuple(
        replace(line, reservation_id=f"R-{line.certificate_id}") if line.is_certificate else line
        for line in lines
    )
    if not reserved:
        return make.emptied(version, at=make.NOON + at)
    return make.ordered(*reserved, own=None, version=version, at=make.NOON + at)


def in_words(record: Record) -> str:
    """A record in one line, for the report of a failure."""
    at = f" at +{record.cause.occurred_at - make.NOON}"
    match record:
        case o.OrderStated(version=version, lines=lines):
            said = ", ".join(f"{one.line_id} {one.certificate_id or one.kind} {one.amount}" for one in lines)
            return f"v{version}: {said}{at}"
        case o.OrderCancelled() | o.LinesReturned():
            return f"v{record.version}: {type(record).__name__} {record.line_ids}{at}"
        case o.PaymentAuthorized() | o.PaymentVoided():
            return f"{record.payment_id} {type(record).__name__}"
        case _:
            to = {part.line_id: part.amount for part in record.allocations}
            return f"{type(record).__name__} {record.amount} {to} {record.tender}{at}"


class Carried:
    """A world to which all records came, its certificates looking after each, or only where they are let."""

    def __init__(
        self, records: Sequence[Record], looks: Sequence[bool] = (), terms: Terms | None = None
    ) -> None:
        """Tell all records.

        Args:
            records: in the order in which they come.
            looks: for each record whether certificates look after it; all look in the end. None given: always.
            terms: of the product; by default one that may be given away.
        """
        self.world = World(terms=terms or make.terms(make.FREE))
        named = {
            line.certificate_id
            for record in records
            if isinstance(record, o.OrderStated)
            for line in record.lines
        }
        self.certificates = {
            name: Certificate(world=self.world, name=name).tell(make.reserve(f"R-{name}"))
            for name in sorted(one for one in named if one is not None)
        }
        for place, record in enumerate(records):
            self.world.say(record)
            if not looks or looks[place % len(looks)]:
                self.look()
        self.look()

    def look(self) -> None:
        for name, decision in self.world.settle():
            self.certificates[name]._keep(decision)

    def live_on(self, line_id: str) -> list[Certificate]:
        """Certificates whose sale stands on a line of this number."""
        return [
            found
            for found in self.certificates.values()
            if found.state.sale is not None and found.line.standing.line_id == line_id
        ]

    def refs_of(self, line_id: str) -> set[LineRef]:
        """All lines that are known by this number."""
        return {ref for ref, line in self.world.lines.items() if line.standing.line_id == line_id}

    def spoken_of(self, refs: set[LineRef]) -> bool:
        """Whether an open case, a completed one, or an alert tells of money of these lines."""
        cases = any(
            case.is_open
            for found in self.certificates.values()
            for sale in found.state.sales
            for case in sale.cases
            if sale.ref in refs
        )
        ids = {self.world.lines[ref].standing.line_id for ref in refs}
        alerts = any(
            alert.line_id in ids
            for found in self.certificates.values()
            for alert in found.all(e.PaymentWithoutCertificateAlerted)
        )
        return cases or alerts


# Order of arrival ---------------------------------------------------------------------------------


def interleaved(*topics: Sequence[Record]) -> st.SearchStrategy[list[Record]]:
    """Each topic in its own order, any interleaving of the topics."""
    turns = [place for place, topic in enumerate(topics) for _ in topic]

    def merge(order: Sequence[int]) -> list[Record]:
        waiting = [iter(topic) for topic in topics]
        return [next(waiting[place]) for place in order]

    return st.permutations(turns).map(merge)


@st.composite
def with_repeats(draw: st.DrawFn, topic: Sequence[Record]) -> list[Record]:
    """The same records, some told again at any later place, under other event ids."""
    published = list(topic)
    for place in draw(st.lists(st.integers(0, len(topic) - 1), max_size=3)) if topic else []:
        record = topic[place]
        again = replace(record, cause=replace(record.cause, event_id=make.fresh("again")))
        after = max(at for at, one in enumerate(published) if one is record) + 1
        published.insert(draw(st.integers(after, len(published))), again)
    return published
