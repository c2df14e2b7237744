"""What the demo has seen on the stream, and a way to wait for something there."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from simulators.bi import take_in
from simulators.fold import Fold
from simulators.service import Reservation
from simulators.stream import Event, read_event
from simulators.topics import Reader, Record

_BESIDE_THE_STORY = frozenset({"audit.cvcDisclosed", "audit.cvcRefused"})
"""Published whenever someone looks, between the others; the order of a sale's events leaves them out."""
_TOLD_BY = {
    "issue.released": "reason",
    "refund.pendingDetails": "reason",
    "refund.resolved": "decision",
    "redemption.rejected": "reason",
    "redemption.voided": "reason",
}


def label(event: Event) -> str:
    """Return what a story expects to see of an event: its type, and what else makes it the right one."""
    if event.event_type in _TOLD_BY:
        return f"{event.event_type} {event.text(_TOLD_BY[event.event_type])}"
    if event.event_type == "issue.ordered" and event.payload.get("reclaimed"):
        return "issue.ordered reclaimed"
    if event.event_type == "issue.ordered" and event.payload.get("replaces"):
        return "issue.ordered replacing"
    return event.event_type


def belongs_to_story(event: Event) -> bool:
    """Return whether an event has its place in the order of a sale's events."""
    return event.event_type not in _BESIDE_THE_STORY


@dataclass(slots=True)
class Bells:
    """Wakes those who wait for news of a certificate."""

    _bells: dict[str, asyncio.Event] = field(default_factory=dict)

    def ring(self, key: str) -> None:
        """Say that there is news."""
        bell = self._bells.pop(key, None)
        if bell is not None:
            bell.set()

    async def until(self, key: str, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds, asking again at every news."""
        while not condition():
            await self._bells.setdefault(key, asyncio.Event()).wait()


@dataclass(slots=True)
class Journal:
    """The stream as BI folds it, and beside that every event in full."""

    bells: Bells = field(default_factory=Bells)
    fold: Fold = field(default_factory=Fold)
    events: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    others: list[Event] = field(default_factory=list)
    texts: dict[str | None, list[str]] = field(default_factory=lambda: defaultdict(list))
    on_event: Callable[[Event], None] = lambda _event: None
    _known: set[str] = field(default_factory=set)

    def take(self, record: Record) -> None:
        """Take in one record of the stream and wake who waits for it."""
        take_in(self.fold, record)
        try:
            event = read_event(record)
        except msgspec.DecodeError:
            return  # the fold has it among its violations
        if event.event_id in self._known:
            return
        self._known.add(event.event_id)
        self.texts[event.certificate_id].append(record.value.decode())
        self._keep(event)
        self.on_event(event)

    def begin(self) -> None:
        """Forget the events so far; the fold remains, since it begins with the stream."""
        self.events.clear()
        self.others.clear()
        self.texts.clear()

    def of_type(self, event_type: str) -> list[Event]:
        """Return the events of one type, of all certificates and of none."""
        return [event for event in self.all_events() if event.event_type == event_type]

    def all_events(self) -> list[Event]:
        """Return all events since the beginning of this run, one certificate after another."""
        return [*self.others, *(event for events in self.events.values() for event in events)]

    def _keep(self, event: Event) -> None:
        if event.certificate_id is not None and event.sequence is not None:
            self.events[event.certificate_id].append(event)
            self.bells.ring(event.certificate_id)
        else:
            self.others.append(event)
            self.bells.ring(event.event_type)

    def life(self, reservation: Reservation) -> list[Event]:
        """Return a certificate's events from this reservation up to the next one, disclosures left out."""
        story: list[Event] = []
        mine = False
        for event in self.events.get(reservation.certificate_id, ()):
            if event.event_type == "issue.reserved":
                mine = event.text("reservationId") == reservation.reservation_id
            if mine and belongs_to_story(event):
                story.append(event)
        return story

    async def follow(self, reader: Reader) -> None:
        """Read the stream for ever."""
        while True:
            for record in await reader.batch(100):
                self.take(record)
