"""``giftcert trace``: one life as a timeline, from the topics to the stream."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import run_to_end
from giftcert.cli.output import AsJson, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from giftcert.cli.timeline import Life, Step
    from giftcert.dispatch.positions import StreamPosition
    from giftcert.settings import Settings
    from giftcert.storage.traces import TracedEvent


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
    positions, note = await _positions(settings, life.certificate.certificate_id, life.events)
    return replace(life, positions=positions, stream_note=note)


async def _stored_life(connection: "AsyncConnection", certificate: str) -> "Life":
    from giftcert.cli.timeline import Life
    from giftcert.storage.traces import TraceRepository

    traces = TraceRepository(connection)
    certificate_id = _id_of(certificate)
    found = await traces.certificate(certificate_id)
    if found is None:
        raise _unknown(certificate)
    return Life(
        certificate=found,
        inputs=await traces.inputs(certificate_id),
        pending=await traces.pending(certificate_id),
        parked=await traces.parked(certificate_id),
        events=await traces.events(certificate_id),
    )


async def _positions(
    settings: "Settings", key: str, events: "Sequence[TracedEvent]"
) -> "tuple[dict[str, StreamPosition], str | None]":
    """Return where the events stand on the stream, or why nobody can say."""
    import logging

    from giftcert.dispatch.positions import Sought, StreamAwayError, find_positions
    from giftcert.kafka_connection import NoKafkaAddressError, connection_options

    logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # what fails is said in our own words
    sought = [Sought(one.event_id, one.recorded_at) for one in events if not one.waits]
    try:
        found = await find_positions(connection_options(settings), settings.topic_stream, key, sought)
    except (NoKafkaAddressError, StreamAwayError) as error:
        return {}, f"no stream positions, Kafka is away: {error}"
    missing = len(sought) - len(found)
    return found, f"{missing} published events were not found near their time" if missing else None


def _id_of(certificate: str) -> UUID:
    try:
        return UUID(certificate)
    except ValueError:
        raise _unknown(certificate) from None


def _unknown(certificate: str) -> CommandError:
    return CommandError(f"there is no certificate {certificate}")


def _standing(life: "Life") -> dict[str, object]:
    found = life.certificate
    return {
        "certificateId": found.certificate_id,
        "product": found.product,
        "currency": found.currency,
        "nominal": found.nominal,
        "status": found.status,
        "refundState": found.refund_state,
        "balance": found.balance,
        "held": found.held,
        "orderId": found.order_id,
        "lineId": found.line_id,
        "sequence": found.sequence,
        "version": found.version,
        "nextInstant": None if found.next_instant is None else found.next_instant.isoformat(),
    }


def _table(life: "Life", steps: "list[Step]") -> str:
    from giftcert.cli.tables import as_text
    from giftcert.cli.timeline import stamp

    found = life.certificate
    order = f"order {found.order_id}, line {found.line_id}" if found.order_id else "no order"
    later = f", looks again at {stamp(found.next_instant)}" if found.next_instant else ""
    title = (
        f"{found.certificate_id}  {found.product}: {found.status}, refund {found.refund_state}\n"
        f"  balance {found.balance:,}, held {found.held:,} (minor units of {found.currency}), {order}{later}"
    )
    rows = [(stamp(one.at) or "", one.step, one.what, one.where) for one in steps]
    text = as_text(("time", "step", "what", "where and how"), rows)
    return "\n".join(filter(None, (title, text, life.stream_note)))
