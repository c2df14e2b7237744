"""``giftcert quarantine``: records that could not be applied are shown, replayed and dismissed in somebody's name."""

import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Annotated, Any

import typer

from giftcert.cli.connections import connected, database_settings, service_policy
from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import to_its_end
from giftcert.cli.operators import By, Why, operator
from giftcert.cli.output import AsJson, say, stamp, table
from giftcert.contracts.payload import payload_of
from giftcert.embedded.addresses import refuse_embedded_keys
from giftcert.redaction import printable
from giftcert.security.keys import keyring_of
from giftcert.storage.data_keys import DataKeyRepository
from giftcert.storage.database import Database
from giftcert.storage.quarantine import (
    BEGINNING,
    ListedRecord,
    Place,
    QuarantineRepository,
    StoredRecord,
    Wanted,
)
from kafka_ingest.records import InputRecord
from kafka_ingest.replay import Replay, Replayed, opened, read_now
from kafka_ingest.transaction import IngestRules

app = typer.Typer(name="quarantine", help="Records that could not be applied.", no_args_is_help=True)
REPLAYED_AT_ONCE = 500
NAMED_BAD = 100  # more are counted
OfTopic = Annotated[str | None, typer.Option("--topic", help="Only of this topic")]
OfPartition = Annotated[int | None, typer.Option("--partition", min=0, help="Only of this partition")]
ForReason = Annotated[str | None, typer.Option("--reason", help="Only with this reason")]
AtPlace = Annotated[str, typer.Argument(metavar="TOPIC/PARTITION/OFFSET")]


@app.command(name="list")
@to_its_end
async def list_records(
    topic: OfTopic = None,
    partition: OfPartition = None,
    reason: ForReason = None,
    closed_too: Annotated[
        bool, typer.Option("--closed", help="Those that were replayed or dismissed too")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Length of a page")] = 50,
    after: Annotated[str | None, typer.Option(help="The page behind TOPIC/PARTITION/OFFSET")] = None,
    as_json: AsJson = False,
) -> None:
    """List a page of quarantined records, by topic, partition and offset."""
    wanted = Wanted(topic=topic, partition=partition, reason=reason, closed_too=closed_too)
    behind = _place_at(after) if after else BEGINNING
    async with connected(database_settings(), "quarantine") as database, database.connection() as connection:
        page = await QuarantineRepository(connection).page(wanted, behind, limit)
    more = _position(page[-1].place) if len(page) >= limit else None
    text = _listed(page) + (f"\nmore: --after {more}" if more else "")
    say({"records": [payload_of(one) for one in page], "next": more}, text, as_json=as_json)


@app.command()
@to_its_end
async def show(
    place: AtPlace,
    reveal: Annotated[bool, typer.Option("--reveal", help="Print the original, which is recorded")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Say how a record reads now; with --reveal print the original, which may hold personal data."""
    at = _place_at(place)
    async with _opened() as (database, rules):
        stored = await _find(database, at)
        async with database.connection() as connection:
            record = await opened(stored, DataKeyRepository(connection, rules.keyring))
        data, text = _described(stored, record, rules)
        if reveal:
            replay = Replay(database, rules, operator(by))
            async with database.transaction() as connection:
                await replay.record_act(connection, at, f"quarantine show --reveal {place}")
            data["original"], original = _revealed(record)
            text += original
    say(data, text, as_json=as_json)


@app.command()
@to_its_end
async def replay(
    place: Annotated[str | None, typer.Argument(metavar="TOPIC/PARTITION/OFFSET")] = None,
    topic: OfTopic = None,
    partition: OfPartition = None,
    reason: ForReason = None,
    everything: Annotated[bool, typer.Option("--all", help="All that lie in quarantine")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Send records the way they would have gone, after a fix; what is still bad stays."""
    if not (place or topic or reason or everything):
        raise CommandError("say which: TOPIC/PARTITION/OFFSET, --topic, --reason or --all")
    offset = None
    if place:
        topic, partition, offset = _place_at(place)
    wanted = Wanted(topic=topic, partition=partition, offset=offset, reason=reason)
    applied, bad = 0, []
    async with _opened() as (database, rules):
        if place:
            await _find(database, _place_at(place))
        of_service = replace(rules, policy=await service_policy(database))
        async for outcome in _replay_all(database, Replay(database, of_service, operator(by)), wanted):
            if outcome.is_applied:
                applied += 1
            else:
                bad.append(outcome)
    data, text = _replayed(applied, bad)
    say(data, text, as_json=as_json)
    if bad:
        raise CommandError(f"{len(bad)} records are still bad")


@app.command()
@to_its_end
async def dismiss(place: AtPlace, note: Why, by: By = None, as_json: AsJson = False) -> None:
    """Give a record up: it is never applied, and holds back no release any more."""
    at = _place_at(place)
    async with _opened() as (database, rules):
        await _find(database, at)
        count = await Replay(database, rules, operator(by)).dismiss(at, note)
    if not count:
        raise CommandError(f"{place} is closed already")
    say({"position": place, "dismissed": count}, f"{place} dismissed", as_json=as_json)


@asynccontextmanager
async def _opened() -> AsyncIterator[tuple[Database, IngestRules]]:
    """Open the database, and the keyring that seals what lies there."""
    settings = database_settings()
    refuse_embedded_keys(settings)
    async with connected(settings, "quarantine") as database:
        yield database, IngestRules.of(settings, keyring_of(settings))


async def _find(database: Database, place: Place) -> StoredRecord:
    async with database.connection() as connection:
        stored = await QuarantineRepository(connection).find(place)
    if stored is None:
        raise CommandError(f"nothing of {_position(place)} lies in quarantine")
    return stored


async def _replay_all(database: Database, replay: Replay, wanted: Wanted) -> AsyncIterator[Replayed]:
    """Replay all records that are meant, page by page, and yield what comes of each."""
    behind = BEGINNING
    while True:
        async with database.connection() as connection:
            page = await QuarantineRepository(connection).page(wanted, behind, REPLAYED_AT_ONCE)
        for place in dict.fromkeys(one.place for one in page):
            for outcome in await replay.replay(place):
                yield outcome
        if len(page) < REPLAYED_AT_ONCE:
            return
        behind = page[-1].place


def _position(place: Place) -> str:
    return "/".join(map(str, place))


def _place_at(text: str) -> Place:
    topic, _, rest = text.partition("/")
    partition, _, offset = rest.partition("/")
    if not (topic and partition.isdecimal() and offset.isdecimal()):
        raise CommandError(f"{text} is no position: write TOPIC/PARTITION/OFFSET")
    return topic, int(partition), int(offset)


def _listed(page: Sequence[ListedRecord]) -> str:
    if not page:
        return "nothing lies in quarantine"
    rows = []
    for one in page:
        closed = f"; {_closed(one)}" if one.closed_at else ""
        since = stamp(one.quarantined_at) or ""
        rows.append((_position(one.place), since, f"{one.reason}: {one.detail}{closed}"))
    return table(("position", "since", "what is wrong"), rows)


def _closed(record: ListedRecord | StoredRecord) -> str:
    return f"{record.closed_how} {stamp(record.closed_at)}" if record.closed_at else ""


def _described(stored: StoredRecord, record: InputRecord, rules: IngestRules) -> tuple[dict[str, Any], str]:
    """Return what is known of a record besides its content, for programs and for people."""
    now = read_now(record, rules)
    is_good = isinstance(now, str)
    reads_as = now if isinstance(now, str) else f"{now.reason}: {now.detail}"
    data = {
        "position": _position(stored.place),
        "reason": stored.reason,
        "detail": stored.detail,
        "quarantinedAt": stamp(stored.quarantined_at),
        "closedAt": stamp(stored.closed_at),
        "closedHow": stored.closed_how,
        "writtenAt": stamp(stored.written_at),
        "readsNow": is_good,
        "readsAs": reads_as,
        "keyBytes": len(record.key or b""),
        "valueBytes": len(record.value or b""),
    }
    text = (
        f"{data['position']}: {data['reason']}: {printable(stored.detail, keep='')}\n"
        f"  in quarantine since {data['quarantinedAt']}, {_closed(stored) or 'open'}\n"
        f"  now {'it reads well' if is_good else 'it is still bad'}: {printable(reads_as, keep='')}\n"
        f"  key {data['keyBytes']} bytes, value {data['valueBytes']} bytes"
    )
    return data, text


def _revealed(record: InputRecord) -> tuple[dict[str, Any], str]:
    """Return the original of a record, for programs and for people."""
    data = {
        name: None
        if content is None
        else {"text": _printable(content), "base64": base64.b64encode(content).decode()}
        for name, content in (("key", record.key), ("value", record.value))
    }
    text = (
        "\n  the original, which may hold personal data; that you saw it is recorded:"
        f"\n  key   {_printable(record.key)}\n  value {_printable(record.value)}"
    )
    return data, text


def _printable(content: bytes | None) -> str:
    """Text as it stands, but for what a terminal would obey instead of showing."""
    if content is None:
        return "none"
    return printable(content.decode(errors="backslashreplace"), keep="")


def _replayed(applied: int, bad: Sequence[Replayed]) -> tuple[dict[str, Any], str]:
    """Return what came of a replay, for programs and for people; of records that are still bad the first are named."""
    named = [{"position": _position(one.place), "reason": one.reason, "detail": one.detail} for one in bad]
    named = named[:NAMED_BAD]
    lines = [printable("{position} is still bad: {reason}: {detail}".format(**one), keep="") for one in named]
    text = "\n".join([*lines, f"{applied} applied, {len(bad)} still bad"])
    return {"applied": applied, "stillBad": len(bad), "reasons": named}, text
