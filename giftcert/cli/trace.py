"""``giftcert trace``: one life as a timeline, from the topics to the stream."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
import typer

from giftcert.cli.connections import ServerUnusableError, check_kafka, connected, database_settings
from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import to_its_end
from giftcert.cli.output import AsJson, say, stamp, table
from giftcert.contracts.payload import payload_of
from giftcert.contracts.stream import StoredEvent
from giftcert.dispatch.positions import StreamAwayError, StreamPosition, find_positions
from giftcert.kafka_connection import KafkaSettingsError, connection_options
from giftcert.redaction import printable
from giftcert.settings import AddressNotSetError, Settings
from giftcert.storage.certificates import (
    CertificateRepository,
    ParkedWork,
    StoredCertificate,
    UnknownCertificateError,
)
from giftcert.storage.events import EventRepository
from giftcert.storage.traces import TracedInput, TracedPending, TraceRepository

app = typer.Typer()
_WAITS = ("pending", "parked")
_ORDER = ("input", "event", *_WAITS)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a life. ``where`` says it in words, ``data`` to programs."""

    at: datetime
    step: str
    what: str
    where: str
    data: dict[str, Any]


@app.command()
@to_its_end
async def trace(
    certificate: Annotated[str, typer.Argument(help="Its certificateId")], as_json: AsJson = False
) -> None:
    """Tell one certificate's life: records of the topics, events with their place on the stream, what waits."""
    settings = database_settings()
    async with connected(settings, "trace") as database, database.connection() as connection:
        try:
            certificate_id = str(UUID(certificate))
            found = await CertificateRepository(connection).load(certificate_id)
        except (ValueError, UnknownCertificateError):
            raise CommandError(f"there is no certificate {certificate}") from None
        traces, repository = TraceRepository(connection), EventRepository(connection)
        steps = [_input(one) for one in await traces.inputs(certificate_id)]
        steps += [_pending(one) for one in await traces.pending(certificate_id)]
        steps += [_parked(one) for one in found.parked]
        events = await repository.history(certificate_id)
        unpublished = await repository.unpublished(certificate_id)
    positions, note = await _positions(settings, certificate_id, events, unpublished)
    steps += [_event(one, positions.get(one.event_id), one.event_id not in unpublished) for one in events]
    steps.sort(key=lambda step: (step.step in _WAITS, step.at, _ORDER.index(step.step)))
    timeline = [{"at": stamp(one.at), "step": one.step, **one.data} for one in steps]
    data = {"certificate": _standing(found), "streamNote": note, "timeline": timeline}
    rows = [(stamp(one.at) or "", one.step, one.what, one.where) for one in steps]
    text = [_title(found), table(("time", "step", "what", "where and how"), rows), note]
    say(data, "\n".join(filter(None, text)), as_json=as_json)


async def _positions(
    settings: Settings, key: str, events: Sequence[StoredEvent], unpublished: Collection[str]
) -> tuple[dict[str, StreamPosition], str | None]:
    """Return where the events stand on the stream, or why nobody can say."""
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # what fails is said in our own words
    sought = {one.event_id: one.recorded_at for one in events if one.event_id not in unpublished}
    try:
        await check_kafka(settings)
        found = await find_positions(connection_options(settings), settings.topic_stream, key, sought)
    except (AddressNotSetError, KafkaSettingsError, ServerUnusableError, StreamAwayError) as error:
        return {}, f"no stream positions, Kafka is away: {error}"
    missing = len(sought) - len(found)
    return found, f"{missing} published events were not found near their time" if missing else None


def _input(found: TracedInput) -> Step:
    data = payload_of(found)
    del data["receivedAt"]
    place = found.topic if found.offset is None else f"{found.topic}/{found.partition}/{found.offset}"
    where = f"{place}, event {found.event_id}, order {found.order_id}"
    return Step(found.received_at, "input", found.event_type, where, data)


def _pending(waiting: TracedPending) -> Step:
    order_id, signalled_at = waiting.order_id or None, stamp(waiting.signalled_at)
    data = {"kind": waiting.kind, "orderId": order_id, "signalledAt": signalled_at}
    signalled = f"signalled {signalled_at}" if signalled_at else "not signalled yet"
    of = f", order {order_id}" if order_id else ""
    return Step(waiting.since, "pending", waiting.kind, f"not decided yet, {signalled}{of}", data)


def _parked(work: ParkedWork) -> Step:
    where = f"could not be decided: {work.error}; `giftcert verify --repair` tries again"
    return Step(work.since, "parked", work.kind, where, {"kind": work.kind, "error": work.error})


def _event(event: StoredEvent, position: StreamPosition | None, is_published: bool) -> Step:
    # The reason of a person's act is free text and may hold anything.
    is_act = event.event_type.startswith("audit.")
    reason = None if is_act else msgspec.json.decode(event.payload).get("reason")
    data = {
        "eventId": event.event_id,
        "sequence": event.sequence,
        "eventType": event.event_type,
        "reason": reason,
        "status": event.status,
        "refundState": event.refund_state,
        "balance": event.balance,
        "held": event.held,
        "cause": {"topic": event.cause_topic, "eventId": event.cause_event_id} if event.cause_topic else None,
        "published": is_published,
        "stream": payload_of(position) if position else None,
    }
    what = f"{event.sequence} {event.event_type}" + (f" ({reason})" if reason else "")
    stands = f"{event.status}, refund {event.refund_state}, balance {event.balance or 0:,}, held {event.held or 0:,}"
    place = "published" if is_published else "not published yet"
    if position is not None:
        place = f"stream {position.partition}/{position.offset}"
    because = f"; from {event.cause_topic}, event {event.cause_event_id}" if event.cause_topic else ""
    return Step(event.recorded_at, "event", what, f"{stands}; {place}{because}", data)


def _standing(found: StoredCertificate) -> dict[str, object]:
    state = found.state
    return {
        "certificateId": state.certificate_id,
        "product": state.product,
        "currency": state.currency,
        "nominal": state.nominal or None,
        "status": state.shown_status,
        "refundState": state.refund_state,
        "balance": state.balance,
        "held": state.held,
        "orderId": state.sale.order_id if state.sale else None,
        "lineId": state.sale.line_id if state.sale else None,
        "sequence": found.sequence,
        "version": found.version,
        "nextInstant": stamp(found.next_instant),
    }


def _title(found: StoredCertificate) -> str:
    state = found.state
    names = (state.sale.order_id, state.sale.line_id) if state.sale else ()
    order = "order {}, line {}".format(*(printable(one, keep="") for one in names)) if names else "no order"
    later = f", looks again at {stamp(found.next_instant)}" if found.next_instant else ""
    return (
        f"{state.certificate_id}  {state.product}: {state.shown_status}, refund {state.refund_state}\n"
        f"  balance {state.balance:,}, held {state.held:,} (minor units of {state.currency}), {order}{later}"
    )
