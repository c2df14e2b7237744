"""Whole sales as topics tell them: one order, its payments, and every certificate that it ever names."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from hypothesis import strategies as st

from giftcert.domain import messages as m
from giftcert.domain.state import Status
from tests.unit.domain import factories as make
from tests.unit.domain.certificates import Certificate


@dataclass(frozen=True)
class Stated:
    """A full version of the order; ``on`` says which certificate stands on which line."""

    version: int
    lines: tuple[m.Line, ...]
    on: tuple[tuple[str, str], ...]
    at: timedelta = timedelta()

    def on_line(self, certificate: str) -> str | None:
        return next((line for line, named in self.on if named == certificate), None)


Record = Stated | m.OrderCancelled | m.LinesReturned | m.PaymentMessage


def in_words(record: Record) -> str:
    """A record in one line, for the report of a failure."""
    at = f" at +{(record.at if isinstance(record, Stated) else record.occurred_at - make.NOON)}"
    match record:
        case Stated(version=version, lines=lines, on=on):
            said = ", ".join(f"{line.line_id} {line.kind} {line.amount}" for line in lines)
            return f"v{version}: {said}; {dict(on)}{at}"
        case m.OrderCancelled() | m.LinesReturned():
            return f"v{record.order_version}: {type(record).__name__} {record.line_ids}{at}"
        case m.PaymentVoided():
            return f"{record.payment_id} voided"
        case _:
            to = {part.line_id: part.amount for part in record.allocations}
            return f"{type(record).__name__} {record.amount} {to} {record.tender}{at}"


def as_told_to(certificate: str, record: Record, holder: m.LineHolder | None = None) -> m.Message:
    if not isinstance(record, Stated):
        return record
    told = make.ordered(
        *record.lines,
        own=record.on_line(certificate),
        version=record.version,
        at=make.NOON + record.at,
        reservation_id=f"R-{certificate}",
        line_holder=holder,
    )
    return told if record.lines else replace(told, lines=(), total=0, own=None)


@dataclass
class Ingest:
    """Delivers each record to every certificate that the order ever named, as correlation does.

    A certificate that joins late is first told all that came before. Who is to take a line that another still
    holds waits until that one lets go.
    """

    certificates: dict[str, Certificate] = field(default_factory=dict)
    told: list[Record] = field(default_factory=list)

    def deliver(self, record: Record) -> None:
        for name in (named for _, named in record.on) if isinstance(record, Stated) else ():
            if name not in self.certificates:
                self._join(name)
        self.told.append(record)
        taking = self._taking(record)
        for name in sorted(self.certificates, key=lambda name: (name in taking, name)):
            self._tell(name, record)

    def _join(self, name: str) -> None:
        found = Certificate(make.certificate(name=name)).tell(make.reserve(f"R-{name}"))
        self.certificates[name] = found
        for record in self.told:
            found.tell(as_told_to(name, record))

    def _taking(self, record: Record) -> set[str]:
        """Certificates that the record puts on a line where another stands."""
        if not isinstance(record, Stated):
            return set()
        return {name for line, name in record.on if self._holder(line, name) is not None}

    def _holder(self, line_id: str, besides: str) -> Certificate | None:
        return next(
            (
                found
                for name, found in self.certificates.items()
                if name != besides and found.state.sale is not None and found.sale.line_id == line_id
            ),
            None,
        )

    def _tell(self, name: str, record: Record) -> None:
        holder = None
        line_id = record.on_line(name) if isinstance(record, Stated) else None
        if line_id is not None and (found := self._holder(line_id, name)) is not None:
            ordered = found.status == Status.ORDERED
            holder = m.LineHolder.ORDERED if ordered else m.LineHolder.ISSUED
        self.certificates[name].tell(as_told_to(name, record, holder))

    def live_on(self, line_id: str) -> list[str]:
        """Certificates whose sale stands on a line."""
        return [
            name
            for name, found in self.certificates.items()
            if found.state.sale is not None and found.sale.line_id == line_id
        ]


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
    told = list(topic)
    for place in draw(st.lists(st.integers(0, len(topic) - 1), max_size=3)) if topic else []:
        record = topic[place]
        again = replace(record, cause=make.cause("again")) if not isinstance(record, Stated) else record
        after = max(at for at, one in enumerate(told) if one is record) + 1
        told.insert(draw(st.integers(after, len(told))), again)
    return told
