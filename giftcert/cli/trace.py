"""``giftcert trace``: one life as a timeline, from the topics to the stream."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import run_to_end
from giftcert.cli.output import AsJson, say

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from giftcert.cli.timeline import Life, Step
    from giftcert.dispatch.positions import StreamPosition
    from giftcert.settings import Settings


def trace(
    certificate: Annotated[str, typer.Argument(help="Its certificateId")], as_json: AsJson = False
) -> None:
    """Tell one certificate's life: records of the topics, events with their place on the stream, what waits."""
    from giftcert.cli.timeline import timeline
    from giftcert.embedded.addresses import with_running_stack
    from giftcert.settings import load_settings

    async def work() -> None:
        life = await _look_up(with_running_stack(load_settings(), ["database_url"]), certificate)
        steps = timeline(life)
        data = {
            "certificate": _standing(life),
            "streamNote": life.stream_note,
            "timeline": [step.as_json() for step in steps],
        }
        say(data, "" if as_json else _table(life, steps), as_json=as_json)

    run_to_end(work)


async def _look_up(settings: "Settings", certificate: str) -> "Life":
    from dataclasses import replace

    from giftcert.cli.server_errors import reaching_database
    from giftcert.storage.engine import make_engine

    engine = make_engine(settings, "giftcert-trace")
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    try:
        with reaching_database(url):
            async with engine.connect() as connection:
                life = await _stored_life(connection, certificate)
    finally:
        await engine.dispose()
    positions, note = await _positions(settings, life)
    return replace(life, positions=positions, stream_note=note)


async def _stored_life(connection: "AsyncConnection", certificate: str) -> "Life":
    from giftcert.cli.timeline import Life
    from giftcert.storage.certificates import CertificateRepository, UnknownCertificateError
    from giftcert.storage.events import EventRepository
    from giftcert.storage.traces import TraceRepository

    try:
        certificate_id = str(UUID(certificate))
        found = await CertificateRepository(connection).load(certificate_id)
    except (ValueError, UnknownCertificateError):
        raise CommandError(f"there is no certificate {certificate}") from None
    traces, events = TraceRepository(connection), EventRepository(connection)
    return Life(
        certificate=found,
        inputs=await traces.inputs(certificate_id),
        pending=await traces.pending(certificate_id),
        events=await events.history(certificate_id),
        unpublished=await events.unpublished(certificate_id),
    )


async def _positions(settings: "Settings", life: "Life") -> "tuple[dict[str, StreamPosition], str | None]":
    """Return where the events stand on the stream, or why nobody can say."""
    import logging

    from giftcert.dispatch.positions import StreamAwayError, find_positions
    from giftcert.kafka_connection import NoKafkaAddressError, connection_options

    logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # what fails is said in our own words
    key = life.certificate.state.certificate_id
    sought = {one.event_id: one.recorded_at for one in life.events if one.event_id not in life.unpublished}
    try:
        found = await find_positions(connection_options(settings), settings.topic_stream, key, sought)
    except (NoKafkaAddressError, StreamAwayError) as error:
        return {}, f"no stream positions, Kafka is away: {error}"
    missing = len(sought) - len(found)
    return found, f"{missing} published events were not found near their time" if missing else None


def _standing(life: "Life") -> dict[str, object]:
    found, state = life.certificate, life.certificate.state
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
        "nextInstant": None if found.next_instant is None else found.next_instant.isoformat(),
    }


def _table(life: "Life", steps: "list[Step]") -> str:
    from giftcert.cli.tables import as_text
    from giftcert.cli.timeline import stamp

    found, next_instant = life.certificate.state, life.certificate.next_instant
    order = f"order {found.sale.order_id}, line {found.sale.line_id}" if found.sale else "no order"
    later = f", looks again at {stamp(next_instant)}" if next_instant else ""
    title = (
        f"{found.certificate_id}  {found.product}: {found.shown_status}, refund {found.refund_state}\n"
        f"  balance {found.balance:,}, held {found.held:,} (minor units of {found.currency}), {order}{later}"
    )
    rows = [(stamp(one.at) or "", one.step, one.what, one.where) for one in steps]
    text = as_text(("time", "step", "what", "where and how"), rows)
    return "\n".join(filter(None, (title, text, life.stream_note)))
