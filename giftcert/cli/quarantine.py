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
from giftcert.cli.groups import Group
from giftcert.cli.operators import By, Why, operator
from giftcert.cli.output import AsJson, fields, say, stamp, table
from giftcert.contracts.payload import payload_of
from giftcert.embedded.addresses import refuse_embedded_keys
from giftcert.plurals import counted
from giftcert.redaction import printable
from giftcert.security.keys import keyring_of
from giftcert.settings import Settings
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
from giftcert.storage.service_policy import recorded_policy
from kafka_ingest.records import InputRecord, Topics
from kafka_ingest.replay import Replay, Replayed, opened, read_now
from kafka_ingest.transaction import IngestRules

app = typer.Typer(name="quarantine", help="Records that could not be applied.", cls=Group)
REPLAYED_AT_ONCE = 500
FAILS = "recordFails"
NAMED_BAD = 100  # more are counted
_COMES_TO = {
    "new": "would be applied",
    "read": "would be applied",
    "kept": "would be applied to the client",
    "unmatched": "would be kept until its order is known",
    "goods": "would change nothing: its order names no certificate",
    "repeat": "would change nothing: it has been applied before",
    "stale": "would change nothing: a later version of its order is known",
    "unknownType": "would be skipped: its type is not known",
}
"""What a replay would come to, by the outcome as ingest counts it."""
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
    _check_partition(topic, partition)
    wanted = Wanted(topic=topic, partition=partition, reason=reason, closed_too=closed_too)
    behind = _place_at(after) if after else BEGINNING
    settings = database_settings()
    _check_topic(topic, settings)
    async with connected(settings, "quarantine") as database, database.connection() as connection:
        repository = QuarantineRepository(connection)
        await _check_reason(repository, reason)
        if after and await repository.find(behind) is None:
            raise CommandError("--after: is not `next` of a page")
        page = await repository.page(wanted, behind, limit)
    more = _position(page[-1].place) if len(page) >= limit else None
    nothing = "nothing further of it" if after else "nothing"
    text = _listed(page) if page else f"{nothing} lies in quarantine"
    text += f"\nmore: --after {more}" if more else ""
    say({"records": [payload_of(one) for one in page], "next": more}, text, as_json=as_json)


@app.command()
@to_its_end
async def show(
    place: AtPlace,
    reveal: Annotated[bool, typer.Option("--reveal", help="Print the original, which is recorded")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Say how a record reads now and what a replay would come to; --reveal prints it, personal data and all."""
    if by is not None and not reveal:
        raise CommandError("--by: goes with --reveal, which is recorded")
    at = _place_at(place)
    async with _opened() as (database, rules):
        stored = await _find(database, at)
        async with database.connection() as connection:
            record = await opened(stored, DataKeyRepository(connection, rules.keyring))
            of_service = replace(rules, policy=await recorded_policy(connection) or rules.policy)
        foreseen = await Replay(database, of_service, "").foresee(at)
        data, text = _described(stored, record, rules, foreseen)
        if reveal:
            act = Replay(database, rules, operator(by))
            async with database.transaction() as connection:
                await act.record_act(connection, at, f"quarantine show --reveal {place}")
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
    if sum((place is not None, topic is not None or reason is not None, everything)) != 1:
        raise CommandError("say which: TOPIC/PARTITION/OFFSET, or --topic, --reason, or both, or --all")
    _check_partition(topic if place is None else place, partition)
    offset = None
    if place:
        topic, partition, offset = _place_at(place)
    else:
        _check_topic(topic, database_settings())
    wanted = Wanted(topic=topic, partition=partition, offset=offset, reason=reason)
    applied, bad = 0, []
    async with _opened() as (database, rules):
        if place:
            await _find(database, _place_at(place))
        async with database.connection() as connection:
            await _check_reason(QuarantineRepository(connection), reason)
        of_service = replace(rules, policy=await service_policy(database))
        async for outcome in _replay_all(database, Replay(database, of_service, operator(by)), wanted):
            if outcome.is_applied:
                applied += 1
            else:
                bad.append(outcome)
    data, text = _replayed(applied, bad)
    say(data, text, as_json=as_json)
    if bad:
        raise CommandError(f"{counted(len(bad), 'record')} still bad")


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
    async with connected(settings, "quarantine", decides=True) as database:
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


def _check_partition(topic: str | None, partition: int | None) -> None:
    if partition is not None and topic is None:
        raise CommandError("--partition: goes with --topic")


def _check_topic(topic: str | None, settings: Settings) -> None:
    topics = Topics.of(settings).names
    if topic is not None and topic not in topics:
        raise CommandError(f"--topic: is none of those that are read, {', '.join(topics)}")


async def _check_reason(repository: QuarantineRepository, reason: str | None) -> None:
    known = await repository.reasons() if reason is not None else []
    if known and reason not in known:
        raise CommandError(f"--reason: no record has it; there are {', '.join(known)}")


def _listed(page: Sequence[ListedRecord]) -> str:
    rows = []
    for one in page:
        closed = f"; {_closed(one)}" if one.closed_at else ""
        since = stamp(one.quarantined_at) or ""
        rows.append((_position(one.place), since, f"{_why(one.reason, one.detail)}{closed}"))
    return table(("position", "since", "what is wrong"), rows)


def _why(reason: str, detail: str) -> str:
    """Return what is wrong; of a fault of ours the detail is but the name of a class."""
    return f"{reason}: {'the service fails to apply it' if reason == FAILS else detail}"


def _closed(record: ListedRecord | StoredRecord) -> str:
    return f"{record.closed_how} {stamp(record.closed_at)}" if record.closed_at else ""


def _described(
    stored: StoredRecord, record: InputRecord, rules: IngestRules, foreseen: Sequence[Replayed]
) -> tuple[dict[str, Any], str]:
    """Return what is known of a record besides its content, for programs and for people."""
    now = read_now(record, rules)
    reads_as = now if isinstance(now, str) else f"{now.reason}: {now.detail}"
    data = {
        "position": _position(stored.place),
        "reason": stored.reason,
        "detail": stored.detail,
        "quarantinedAt": stamp(stored.quarantined_at),
        "closedAt": stamp(stored.closed_at),
        "closedHow": stored.closed_how,
        "writtenAt": stamp(stored.written_at),
        "readsNow": isinstance(now, str),
        "readsAs": reads_as,
        "replay": [payload_of(one) | {"isApplied": one.is_applied} for one in foreseen],
        "keyBytes": len(record.key or b""),
        "valueBytes": len(record.value or b""),
    }
    text = fields(
        [
            ("position", _position(stored.place)),
            ("reason", _why(stored.reason, stored.detail)),
            ("since", f"{data['quarantinedAt']}, {_closed(stored) or 'open'}"),
            ("reads now", reads_as if isinstance(now, str) else f"still bad: {reads_as}"),
            *(("replay", _foreseen(one, stored.place)) for one in foreseen),
            ("size", f"key {_size(record.key)}, value {_size(record.value)}"),
        ]
    )
    return data, text


def _size(content: bytes | None) -> str:
    return counted(len(content), "byte") if content else "empty"


def _foreseen(one: Replayed, place: Place) -> str:
    comes_to = (
        _COMES_TO[one.outcome]
        if one.reason is None
        else f"would be refused: {_why(one.reason, one.detail or '')}"
    )
    return comes_to if one.place == place else f"{_position(one.place)}, which waits for it, {comes_to}"


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
    lines = [
        printable(f"{_position(one.place)} is still bad: {_why(one.reason or '', one.detail or '')}", keep="")
        for one in bad[:NAMED_BAD]
    ]
    text = "\n".join([*lines, f"{counted(applied, 'record')} applied, {len(bad):,} still bad"])
    return {"applied": applied, "stillBad": len(bad), "reasons": named}, text
