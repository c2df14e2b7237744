"""``GiftCertificates.Stream``: what the domain decided, as the events that everyone else reads."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from giftcert.contracts.payload import payload_of
from giftcert.contracts.records import EventRecord
from giftcert.domain.cause import Cause
from giftcert.domain.certificate.events import PublicEvent, Recorded
from giftcert.domain.certificate.evolve import evolve
from giftcert.domain.certificate.state import CertificateState

COMPONENT = "workflow"
"""The part of the service that decides over certificates, as ``error`` events name it."""


def stamp(
    before: CertificateState,
    recorded: Sequence[Recorded],
    *,
    at: datetime,
    channel: str | None = None,
    states: Sequence[CertificateState] | None = None,
) -> tuple[EventRecord, ...]:
    """Return the public events of one decision, each with the certificate as it stood after it.

    Args:
        before: the state on which it was decided.
        recorded: what was decided, public and private, in order, each with the record on a topic that caused it.
        at: the instant at which it was decided; business time of what no record caused.
        channel: where a request came from; what time alone caused happened where the certificate was sold.
        states: the state after each event, if that is known; else they are folded anew.
    """
    return tuple(
        _record(event, cause, sold_by, after, at, channel)
        for event, cause, sold_by, after in _with_states(before, recorded, at, states)
    )


def standing(state: CertificateState, sale_channel: str | None = None) -> Mapping[str, Any]:
    """Return what every event of a certificate says of it, as fields of ``EventRecord``.

    ``sale_channel`` stands in where the state no longer has one: who sold what has just been released.
    """
    return {
        "sale_channel": state.sale_channel or sale_channel,
        "status": state.shown_status,
        "refund_state": state.refund_state.value,
        "product": state.product,
        "nominal": state.nominal or None,  # 0: open value, not chosen yet
        "currency": state.currency,
        "balance": state.balance,
        "held": state.held,
    }


def _record(
    event: PublicEvent,
    cause: Cause | None,
    sold_by: str | None,
    after: CertificateState,
    at: datetime,
    channel: str | None,
) -> EventRecord:
    said = standing(after, sold_by)
    return EventRecord(
        event_type=event.type,
        occurred_at=cause.occurred_at if cause else at,
        channel=cause.channel if cause else channel or said["sale_channel"],
        payload=_payload(event, cause, after.currency),
        cause=cause,
        **said,
    )


def _with_states(
    state: CertificateState,
    recorded: Sequence[Recorded],
    at: datetime,
    states: Sequence[CertificateState] | None,
) -> Iterator[tuple[PublicEvent, Cause | None, str | None, CertificateState]]:
    """Pair each public event with who sold before it, and the state after it and the private ones that follow.

    Those complete it: the nominal and the channel of a sale stand in private events behind ``issue.ordered``.
    """
    public: tuple[PublicEvent, Cause | None, str | None] | None = None
    for nth, one in enumerate(recorded):
        if isinstance(one.event, PublicEvent):
            if public is not None:
                yield (*public, state)
            public = one.event, one.cause, state.sale_channel
        state = states[nth] if states is not None else evolve(state, one.event, at)
    if public is not None:
        yield (*public, state)


def _payload(event: PublicEvent, cause: Cause | None, currency: str) -> dict[str, Any]:
    payload = payload_of(event, currency)
    if event.type.startswith("error."):  # every error says where its input stands, as far as that is known
        place = {"topic": cause and cause.topic, "eventId": cause and cause.event_id}
        payload = {**place, "partition": None, "offset": None, "component": COMPONENT} | payload
    return payload
