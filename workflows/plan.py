"""What a run would change: messages decided in order on the stored state. Pure; the workflow carries it out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from giftcert.contracts.identity import share_key
from giftcert.contracts.records import EventRecord
from giftcert.contracts.stream import stamp
from giftcert.domain import events as e
from giftcert.domain.decide import decide
from giftcert.domain.evolve import fold
from giftcert.domain.identifiers import NewId
from giftcert.domain.messages import Message, OrderStated, RefundAssigned
from giftcert.domain.policy import Terms
from giftcert.domain.state import CertificateState, Redemption, Status
from workflows.answers import answer
from workflows.requests import Answer, Request


@dataclass(frozen=True, slots=True)
class Received:
    """A message and the instant at which the workflow first took it; decided anew, it is decided as of then.

    ``due`` is the instant of the deadline that a time message tells of. ``decide_before`` is set where somebody waits
    for the answer.
    """

    message: Message
    at: datetime
    due: datetime | None = None
    decide_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The state after the messages, and the public events on the way.

    ``released_on_time`` is the deadline that alone sends the certificate back to the pool, if one does. ``answers``
    are those to requests, by key. ``assigned`` is what the other certificates of the order have to hear of a refund.
    ``redemptions`` are those that are new or changed.
    """

    state: CertificateState
    events: tuple[EventRecord, ...]
    released_on_time: datetime | None = None
    answers: Mapping[str, Answer] = field(default_factory=dict)
    assigned: tuple[RefundAssigned, ...] = ()
    redemptions: tuple[Redemption, ...] = ()

    @property
    def may_wait(self) -> bool:
        """Whether it can stay in the workflow until something else is stored.

        Only of a certificate that is ordered: a pool certificate's messages have to be known as applied, or they
        would hold its reservation for ever.
        """
        return not self.events and not self.answers and self.state.status == Status.ORDERED


def make_plan(state: CertificateState, received: Sequence[Received], terms: Terms, new_id: NewId) -> Plan:
    """Decide the messages in order, each on the state after the one before."""
    before, records = state, list[EventRecord]()
    released_on_time: datetime | None = None
    answers: dict[str, Answer] = {}
    assigned: list[RefundAssigned] = []
    for one in received:
        events = decide(state, one.message, one.at, terms, new_id)
        records += stamp(
            state,
            events,
            at=one.at,
            occurred_at=getattr(one.message, "occurred_at", one.at),
            channel=getattr(one.message, "channel", None) or state.sale_channel,
            cause=getattr(one.message, "cause", None),
        )
        if one.due is not None and any(isinstance(event, e.Released) for event in events):
            released_on_time = one.due
        assigned += _assigned(events)
        after = fold(state, events, one.at)
        if isinstance(one.message, Request):
            answers[one.message.key] = answer(one.message, state, events, after)
        state = after
    changed = tuple(one for one in state.redemptions if one not in before.redemptions)
    return Plan(state, tuple(records), released_on_time, answers, tuple(assigned), changed)


def _assigned(events: Sequence[e.Event]) -> list[RefundAssigned]:
    """What a person said here of a refund that other certificates of the order know too."""
    return [
        RefundAssigned(
            key=share_key(event.order_id, event.refund_id, event.line_id),
            order_id=event.order_id,
            refund_id=event.refund_id,
            line_id=event.line_id,
            amount=event.amount,
        )
        for event in events
        if isinstance(event, e.ShareAssigned) and event.here
    ]


def before_deadlines(left: Sequence[Received], came: Sequence[Received]) -> list[Received]:
    """Return what is left to decide with what came meanwhile, which is applied before any deadline."""
    due = [one for one in left if one.due is not None]
    return [*(one for one in left if one.due is None), *came, *due]


def names_line(message: Message) -> bool:
    """Return whether the message asks for an order line that another certificate may hold."""
    return isinstance(message, OrderStated) and message.own is not None
