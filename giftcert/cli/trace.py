"""``giftcert trace``: one life as a timeline, from the topics to the stream."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
import typer

from giftcert.cli.connections import ServerUnusableError, check_kafka, connected, database_settings
from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import to_its_end
from giftcert.cli.output import AsJson, fields, own_texts, say, stamp, table
from giftcert.contracts.payload import payload_of
from giftcert.contracts.stream import StoredEvent
from giftcert.dispatch.positions import StreamAwayError, StreamPosition, find_positions
from giftcert.kafka_connection import KafkaSettingsError, connection_options
from giftcert.settings import AddressNotSetError, Settings
from giftcert.storage.certificates import (
    CertificateRepository,
    ParkedWork,
    StoredCertificate,
    UnknownCertificateError,
)
from giftcert.storage.events import EventRepository
from giftcert.storage.quarantine import ListedRecord, QuarantineRepository
from giftcert.storage.traces import TracedInput, TracedPending, TraceRepository

app = typer.Typer()
_WAITS = ("pending", "parked")
_ORDER = ("input", "quarantined", "event", "refused", *_WAITS)
_REFUSALS = ("error.", "redemption.rejected", "audit.cvcRefused")
"""Types of events, or their beginnings, that say what was not carried out."""
_BY = ("resolvedBy", "by", "who", "disclosedTo")
_SHOWN = ("orderId", "lineId", "redemptionId", "refundCaseId", "decision", "what", "note", "reason", "detail")
"""Fields of payloads that say what was decided and why; texts in events are checked, and personal ones left out."""


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
    """Show one certificate's life: what came, who decided what and why, what was refused, and what waits."""
    settings = database_settings()
    async with connected(settings, "trace") as database, database.connection() as connection:
        try:
            certificate_id = str(UUID(certificate))
            found = await CertificateRepository(connection).load(certificate_id)
        except (ValueError, UnknownCertificateError):
            raise CommandError(own_texts()("trace-unknown", certificate=certificate)) from None
        traces, repository = TraceRepository(connection), EventRepository(connection)
        steps = [_input(one) for one in await traces.inputs(certificate_id)]
        steps += [_quarantined(one) for one in await QuarantineRepository(connection).naming(certificate_id)]
        steps += [_pending(one) for one in await traces.pending(certificate_id)]
        steps += [_parked(one) for one in found.parked]
        events = await repository.history(certificate_id)
        unpublished = await repository.unpublished(certificate_id)
    positions, note = await _positions(settings, certificate_id, events, unpublished)
    steps += [_event(one, positions.get(one.event_id), one.event_id not in unpublished) for one in events]
    steps.sort(key=lambda step: (step.step in _WAITS, step.at, _ORDER.index(step.step)))
    timeline = [{"at": stamp(one.at), "step": one.step, **one.data} for one in steps]
    data = {"certificate": _standing(found), "streamNote": note, "timeline": timeline}
    texts = own_texts()
    rows = [(stamp(one.at) or "", texts(f"trace-step-{one.step}"), one.what, one.where) for one in steps]
    columns = [texts(f"trace-{name}") for name in ("time", "step", "what", "where")]
    text = [_title(found), table(columns, rows), note]
    say(data, "\n\n".join(filter(None, text)), as_json=as_json)


async def _positions(
    settings: Settings, key: str, events: Sequence[StoredEvent], unpublished: Collection[str]
) -> tuple[dict[str, StreamPosition], str | None]:
    """Return the positions of the events on the stream, or why they are not known."""
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # what fails is said in our own words
    sought = {one.event_id: one.recorded_at for one in events if one.event_id not in unpublished}
    try:
        await check_kafka(settings)
        found = await find_positions(connection_options(settings), settings.topic_stream, key, sought)
    except (AddressNotSetError, KafkaSettingsError, ServerUnusableError, StreamAwayError) as error:
        return {}, own_texts()("trace-no-stream", error=str(error))
    missing = len(sought) - len(found)
    return found, own_texts()("trace-missing", count=missing) if missing else None


def _input(found: TracedInput) -> Step:
    data = payload_of(found)
    del data["receivedAt"]
    place = found.topic if found.offset is None else f"{found.topic}/{found.partition}/{found.offset}"
    where = own_texts()("trace-input", place=place, event=found.event_id, order=found.order_id)
    return Step(found.received_at, "input", found.event_type, where, data)


def _pending(waiting: TracedPending) -> Step:
    order_id, signalled_at = waiting.order_id or None, stamp(waiting.signalled_at)
    data = {"kind": waiting.kind, "orderId": order_id, "signalledAt": signalled_at}
    texts = own_texts()
    signalled = texts("trace-signalled", at=signalled_at) if signalled_at else texts("trace-not-signalled")
    if order_id:
        where = texts("trace-pending-order", signalled=signalled, order=order_id)
    else:
        where = texts("trace-pending", signalled=signalled)
    return Step(waiting.since, "pending", waiting.kind, where, data)


def _parked(work: ParkedWork) -> Step:
    where = own_texts()("trace-parked")
    return Step(work.since, "parked", work.kind, where, {"kind": work.kind, "error": work.error})


def _quarantined(record: ListedRecord) -> Step:
    place = "/".join(map(str, record.place))
    values = {"place": place, "detail": str(record.detail)}
    if record.closed_at is not None:
        closed_at = stamp(record.closed_at) or ""
        where = own_texts()("trace-closed", **values, how=str(record.closed_how), at=closed_at)
    else:
        where = own_texts()("trace-quarantined", **values)
    return Step(record.quarantined_at, "quarantined", record.reason, where, payload_of(record))


def _event(event: StoredEvent, position: StreamPosition | None, is_published: bool) -> Step:
    payload = msgspec.json.decode(event.payload)
    by = next((payload[name] for name in _BY if payload.get(name)), None)
    is_refused = event.event_type.startswith(_REFUSALS)
    data = {
        "eventId": event.event_id,
        "sequence": event.sequence,
        "eventType": event.event_type,
        "refused": is_refused,
        "by": by,
        "amount": payload.get("amount"),
        **{name: payload.get(name) for name in _SHOWN},
        "status": event.status,
        "refundState": event.refund_state,
        "balance": event.balance,
        "held": event.held,
        "channel": event.channel,
        "cause": {"topic": event.cause_topic, "eventId": event.cause_event_id} if event.cause_topic else None,
        "published": is_published,
        "stream": payload_of(position) if position else None,
    }
    where = "; ".join(
        filter(
            None,
            (_decided(data), _after(event), _place(position, is_published=is_published), _because(event)),
        )
    )
    step = "refused" if is_refused else "event"
    return Step(event.recorded_at, step, f"{event.sequence} {event.event_type}", where, data)


def _place(position: StreamPosition | None, *, is_published: bool) -> str:
    if position is not None:
        return own_texts()("trace-stream", place=f"{position.partition}/{position.offset}")
    return own_texts()("trace-published" if is_published else "trace-not-published")


def _because(event: StoredEvent) -> str:
    if not event.cause_topic:
        return ""
    return own_texts()("trace-from", topic=event.cause_topic, event=str(event.cause_event_id))


def _decided(data: Mapping[str, Any]) -> str:
    """Return in words what was decided or refused, by whom and why."""
    texts = own_texts()
    amount = texts.money(**data["amount"]) if data["amount"] else None
    what = " ".join(filter(None, (data["decision"] or data["what"], amount)))
    why = ": ".join(filter(None, (data["reason"], data["detail"] or data["note"])))
    who = texts("trace-by", who=data["by"]) if data["by"] else None
    return ", ".join(filter(None, (what, who, why)))


def _after(event: StoredEvent) -> str:
    texts, currency = own_texts(), event.currency or ""
    values = {
        "status": texts(f"status-{event.status}"),
        "balance": texts.money(event.balance or 0, currency),
    }
    if event.refund_state in {None, "none"}:
        after = texts("trace-after", **values)
    else:
        after = texts("trace-after-refund", **values, refund=texts(f"refund-{event.refund_state}"))
    held = texts("trace-held", held=texts.money(event.held, currency)) if event.held else None
    return ", ".join(filter(None, (after, held)))


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
    state, texts, later = found.state, own_texts(), stamp(found.next_instant)
    status, refund = texts(f"status-{state.shown_status}"), texts(f"refund-{state.refund_state.value}")
    balance, held = (texts.money(amount, state.currency) for amount in (state.balance, state.held))
    sale = state.sale
    values = {
        "certificate": state.certificate_id,
        "product": state.product,
        "status": texts("trace-status-value", status=status, refund=refund),
        "balance": texts("trace-balance-value", balance=balance, held=held),
        "order": (
            texts("trace-order-value", order=sale.order_id, line=sale.line_id)
            if sale
            else texts("trace-no-order")
        ),
        "next-look": later or texts("trace-no-look"),
    }
    return fields([(texts(f"trace-{name}"), value) for name, value in values.items()])
