"""``giftcert status`` and ``giftcert addresses``: how the running stack is, and where."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import chain, repeat
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
import typer
from httpx import codes

from giftcert.cli.connections import (
    Check,
    ServerUnusableError,
    check_database,
    check_kafka,
    check_temporal,
    connected,
    reaching_kafka,
)
from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import to_its_end
from giftcert.cli.output import AsJson, fields, say, say_step, stamp, table
from giftcert.cli.pool import pool_counts, stock
from giftcert.clock import utc_now
from giftcert.contracts.notices import OverdueWorkReason
from giftcert.contracts.payload import payload_of
from giftcert.embedded.addresses import RunningStack, running_stack, started_stack, with_running_stack
from giftcert.embedded.guardian import running_parts
from giftcert.embedded.state_folder import StackError, StateFolder
from giftcert.overdue_work import Waiting, look
from giftcert.plurals import counted
from giftcert.redaction import redact_text
from giftcert.settings import Settings, load_settings
from giftcert.storage.known_violations import KnownViolationRepository
from giftcert.storage.outbox import oldest_waiting
from giftcert.storage.pool import PoolCount
from giftcert.storage.quarantine import OpenRecords, QuarantineRepository
from giftcert.storage.refund_cases import OpenCases, RefundCaseRepository
from giftcert.storage.stream_comparison import StreamComparisonRepository, StreamState
from giftcert.temporal.client import connect
from giftcert.verification.alerts import STUCK_LASTS
from kafka_ingest.lag import consumer_lag

app = typer.Typer()
_ANSWER_SECONDS = 2
_NAMED = 3
_ORDER = ("postgres", "temporal", "web-ui", "kafka", "api", "ingest", "worker", "dispatch")
_WAITS = {
    "pendingDetails": "for a person",
    "awaitingCapture": "for a capture",
    "requested": "for the money",
}
_OVERDUE = {
    OverdueWorkReason.PENDING_WORK: "messages about certificates are not decided,",
    OverdueWorkReason.UNPUBLISHED_EVENT: "events are not on the stream,",
    OverdueWorkReason.PASSED_DEADLINE: "deadlines of certificates have passed,",
    OverdueWorkReason.UNDECIDED_REFUND: "refunds are not decided,",
}


class State(StrEnum):
    """How a part of the stack is."""

    READY = "ready"
    STARTING = "starting"
    WAITING = "waiting"
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class Part:
    """A server or process of the service; ``says`` is what is wrong with one that is not ready."""

    part: str
    state: State
    address: str | None
    says: str | None = None
    process_id: int | None = None  # where it is of a stack of ours


@dataclass(frozen=True, slots=True)
class Work:
    """What there is to do and to sell; ``unpublished_since`` is of the event that waits longest for the stream.

    ``stuck`` are ids of workflows whose tasks fail again and again, as ingest saw them last.
    ``overdue``: what waits longer than it may.
    """

    unpublished_since: datetime | None
    pool: Sequence[PoolCount]
    open_refunds: Sequence[OpenCases]
    quarantine: Sequence[OpenRecords]
    stuck: Sequence[str]
    overdue: Sequence[Waiting] = ()
    standstill: str | None = None  # why nothing is decided


@app.command()
@to_its_end
async def status(as_json: AsJson = False) -> int:
    """Show the parts of the running stack, what waits, and the pool; exits with 1 where a part is not ready."""
    given = load_settings()
    stack, settings = running_stack(given), with_running_stack(given, [])
    if stack is None and None in (settings.database_url, settings.temporal_address):
        raise StackError(f"no stack runs on {given.state_dir}: start `giftcert up`, or set the addresses")
    servers, processes = await asyncio.gather(_servers(stack, settings), _processes(stack, settings))
    process_ids = running_parts(StateFolder(given.state_dir).run) if stack else {}
    parts = [
        replace(one, process_id=process_ids.get(one.part))
        for one in sorted([*servers, *processes], key=lambda one: _ORDER.index(one.part))
    ]
    is_ready = {one.part: one.state is State.READY for one in parts}
    has_tables = stack is None or stack.is_ready
    lag = await _lag(settings) if is_ready["kafka"] else None
    work = None
    if is_ready["postgres"] and has_tables:
        work = await _work(settings, asks_temporal=is_ready["temporal"])
    say(_data(stack, parts, lag, work), _text(stack, parts, lag, work), as_json=as_json)
    return 0 if all(is_ready.values()) and not (work and work.standstill) else 1


@app.command()
@to_its_end
async def addresses(
    part: Annotated[
        str | None,
        typer.Argument(
            help="api, web-ui, temporal, kafka or postgres: its address alone, the last with its password"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print where the parts of the running stack are; waits for one that is starting."""
    stack = await started_stack(load_settings(), say_step)
    found = {name: address for name, address in _addresses(stack).items() if address is not None}
    if part is not None and part not in found:
        raise CommandError(f"there is no part {part}; there are {', '.join(found)}")
    if part is not None:
        say({part: found[part]}, found[part], as_json=as_json)
        return
    shown = {name: redact_text(address) for name, address in found.items()}
    say(shown, fields(shown.items()), as_json=as_json)


def _addresses(stack: RunningStack) -> Mapping[str, str | None]:
    found = stack.addresses
    return {
        "api": found.api_url,
        "web-ui": found.temporal_ui_url,
        "postgres": found.database_url,
        "temporal": found.temporal_address,
        "kafka": found.kafka_bootstrap_servers,
    }


async def _servers(stack: RunningStack | None, settings: Settings) -> list[Part]:
    """Connect to each server as the processes of the service do."""
    url = settings.database_url
    checks: Mapping[str, tuple[Check, str | None]] = {
        "postgres": (check_database, url.get_secret_value() if url else None),
        "temporal": (check_temporal, settings.temporal_address),
        "kafka": (check_kafka, settings.kafka_bootstrap_servers),
    }

    async def look(part: str, check: Check, address: str | None) -> Part:
        if address is None:
            return Part(part, State.STARTING if stack else State.AWAY, None, None if stack else "is not set")
        try:
            await check(settings)
        except ServerUnusableError as error:
            state = State.AWAY if stack is None or stack.is_ready else State.STARTING
            return Part(part, state, _without_user(address), error.fault.says)
        return Part(part, State.READY, _without_user(address))

    return await asyncio.gather(*(look(part, *about) for part, about in checks.items()))


def _without_user(address: str) -> str:
    """Return an address as a person reads it; that of PostgreSQL without user, password and options."""
    url = urlsplit(address)
    return f"{url.hostname}:{url.port or 5432}{url.path}" if url.scheme.startswith("postgres") else address


async def _processes(stack: RunningStack | None, settings: Settings) -> list[Part]:
    """Ask each process of a stack of ours for its health; of others only the API is known."""
    if stack is not None and not stack.is_ready:
        return [Part(name, State.STARTING, None) for name in ("api", "worker", "ingest", "dispatch")]
    api_url = f"http://{settings.api_host}:{settings.api_port}"
    urls = {"api": api_url}
    if stack is not None:
        others = {name: url for name, url in stack.addresses.metrics_urls.items() if name != "api"}
        urls = {"api": stack.addresses.api_url or api_url, **others}
        urls |= {"web-ui": ui} if (ui := stack.addresses.temporal_ui_url) else {}
    async with httpx.AsyncClient(timeout=_ANSWER_SECONDS) as client:
        return await asyncio.gather(*(_process(client, name, url) for name, url in urls.items()))


async def _process(client: httpx.AsyncClient, part: str, address: str) -> Part:
    path = "/" if part == "web-ui" else "/readyz"
    try:
        answer = await client.get(address.removesuffix("/metrics") + path)
    except httpx.TransportError:
        return Part(part, State.AWAY, address, "it does not answer")
    if answer.is_success:
        return Part(part, State.READY, address)
    reasons = answer.json().get("reasons", {}) if answer.status_code == codes.SERVICE_UNAVAILABLE else {}
    waits = "; ".join(f"waits for {name}: {reason}" for name, reason in reasons.items())
    return Part(part, State.WAITING, address, waits or "it is not ready")


async def _lag(settings: Settings) -> dict[str, int] | None:
    with suppress(ServerUnusableError), reaching_kafka(settings):  # it may not let us look at the group
        return await asyncio.to_thread(consumer_lag, settings)
    return None


async def _work(settings: Settings, *, asks_temporal: bool) -> Work:
    client = await connect(settings, lazy=True) if asks_temporal else None
    async with connected(settings, "status") as database:
        found = await look(database, client, settings, utc_now())
        async with database.connection() as connection:
            return Work(
                await oldest_waiting(connection),
                await pool_counts(settings),
                await RefundCaseRepository(connection).counts(),
                await QuarantineRepository(connection).counts(),
                await KnownViolationRepository(connection).stuck(utc_now() - STUCK_LASTS),
                found.overdue,
                _standstill(await StreamComparisonRepository(connection).state()),
            )


def _standstill(state: StreamState) -> str | None:
    if state.standstill is None:
        return None
    return f"{state.standstill} since {_minute(state.standstill_since)}: {state.detail}"


def _data(
    stack: RunningStack | None, parts: Sequence[Part], lag: dict[str, int] | None, work: Work | None
) -> dict[str, Any]:
    return {
        "ready": all(one.state is State.READY for one in parts),
        "processId": stack.process_id if stack else None,
        "since": stamp(stack.since) if stack else None,
        "parts": [payload_of(one) for one in parts],
        "lag": lag,
        "standstill": work.standstill if work else None,
        "unpublishedSince": stamp(work.unpublished_since) if work else None,
        "pool": [payload_of(one) for one in work.pool] if work else None,
        "openRefunds": [payload_of(one) for one in work.open_refunds] if work else None,
        "quarantine": [payload_of(one) for one in work.quarantine] if work else None,
        "stuckWorkflows": list(work.stuck) if work else None,
        "overdue": [payload_of(one) for one in work.overdue] if work else None,
    }


def _text(
    stack: RunningStack | None, parts: Sequence[Part], lag: dict[str, int] | None, work: Work | None
) -> str:
    rows = [
        (
            one.part,
            one.state.value,
            str(one.process_id or ""),
            ": ".join(filter(None, (one.address, one.says))),
        )
        for one in parts
    ]
    head = [f"running since {_minute(stack.since)}, process {stack.process_id}"] if stack else []
    return "\n\n".join(
        [*head, table(("part", "state", "process", "address"), rows), fields(_lines(lag, work))]
    )


def _lines(lag: dict[str, int] | None, work: Work | None) -> Iterator[tuple[str, str]]:
    if lag is None:
        yield "lag", "not known: Kafka does not say"
    else:
        behind = [f"{counted(count, 'record')} of {topic}" for topic, count in lag.items() if count]
        yield "lag", ", ".join(behind) or "none: every record is read"
    if work is None:
        yield "work", "not known: PostgreSQL does not say"
        return
    if work.standstill:
        yield "standstill", f"NOTHING IS DECIDED before `giftcert recover`: {work.standstill}"
    since = work.unpublished_since
    yield "stream", f"events wait since {_minute(since)}" if since else "every event is published"
    yield from zip(
        chain(["pool"], repeat("")),
        [f"{one.product} {stock(one)}" for one in work.pool] or ["empty"],
        strict=False,
    )
    refunds = [
        f"{counted(one.count, 'case')} waiting {_WAITS[one.state]}{_since(one)}" for one in work.open_refunds
    ]
    yield "refunds", "; ".join(refunds) or "none open"
    records = [f"{counted(one.count, 'record')} with {one.reason}{_since(one)}" for one in work.quarantine]
    yield "quarantine", "; ".join(records) or "empty"
    if work.stuck:
        named = ", ".join(work.stuck[:_NAMED]) + (", …" if len(work.stuck) > _NAMED else "")
        yield "stuck", f"{counted(len(work.stuck), 'workflow')} ({named}): see `giftcert deploy status`"
    overdue = [f"{_overdue(one)} since {_minute(one.since)}" for one in work.overdue]
    yield from zip(chain(["overdue"], repeat("")), overdue or ["nothing"], strict=False)


def _overdue(one: Waiting) -> str:
    if one.reason is OverdueWorkReason.QUEUE_WITHOUT_WORKER:
        return f"no worker polls {one.subject}: {counted(one.count or 0, 'task')} waiting"
    return _OVERDUE[one.reason]


def _since(counts: OpenCases | OpenRecords) -> str:
    return f", since {_minute(counts.since)}" if counts.since else ""


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "an unknown time"
