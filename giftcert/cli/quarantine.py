"""``giftcert quarantine``: records that could not be applied are shown, replayed and dismissed in somebody's name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Annotated

import typer

from giftcert.cli import quarantine_report as report
from giftcert.cli.connections import connected, database_settings
from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import to_its_end
from giftcert.cli.lifecycle import service_policy
from giftcert.cli.operators import By, free_text, operator
from giftcert.cli.output import AsJson, say
from giftcert.contracts.payload import payload_of
from giftcert.embedded.addresses import refuse_embedded_keys
from giftcert.security.keys import keyring_of
from giftcert.storage.database import Database
from giftcert.storage.quarantine import BEGINNING, Place, QuarantineRepository, StoredRecord, Wanted
from kafka_ingest.replay import Replay, Replayed, opened
from kafka_ingest.transaction import IngestRules

app = typer.Typer(name="quarantine", help="Records that could not be applied.", no_args_is_help=True)
REPLAYED_AT_ONCE = 500
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
    behind = report.place_at(after) if after else BEGINNING
    async with connected(database_settings(), "quarantine") as database, database.connection() as connection:
        page = await QuarantineRepository(connection).page(wanted, behind, limit)
    more = report.position(page[-1].place) if len(page) >= limit else None
    text = report.listed(page) + (f"\nmore: --after {more}" if more else "")
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
    async with _opened() as (database, rules):
        stored = await _find(database, report.place_at(place))
        record = opened(stored, rules.keyring)
        data, text = report.described(stored, record, rules)
        if reveal:
            replay = Replay(database, rules, operator(by))
            async with database.transaction() as connection:
                await replay.record_act(
                    connection, report.place_at(place), f"quarantine show --reveal {place}"
                )
            data["original"], original = report.revealed(record)
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
        topic, partition, offset = report.place_at(place)
    wanted = Wanted(topic=topic, partition=partition, offset=offset, reason=reason)
    applied, bad = 0, []
    async with _opened() as (database, rules):
        if place:
            await _find(database, report.place_at(place))
        of_service = replace(rules, policy=await service_policy(database))
        async for outcome in _replay_all(database, Replay(database, of_service, operator(by)), wanted):
            if outcome.is_applied:
                applied += 1
            else:
                bad.append(outcome)
    data, text = report.replayed(applied, bad)
    say(data, text, as_json=as_json)
    if bad:
        raise CommandError(f"{len(bad)} records are still bad")


@app.command()
@to_its_end
async def dismiss(
    place: AtPlace,
    note: Annotated[str, typer.Option(help="Why; told on the stream, so nothing personal")],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Give a record up: it is never applied, and holds back no release any more."""
    why = free_text(note, "--note")
    async with _opened() as (database, rules):
        await _find(database, report.place_at(place))
        count = await Replay(database, rules, operator(by)).dismiss(report.place_at(place), why)
    if not count:
        raise CommandError(f"{place} is closed already")
    say({"position": place, "dismissed": count}, f"{place} dismissed", as_json=as_json)


@asynccontextmanager
async def _opened() -> AsyncIterator[tuple[Database, IngestRules]]:
    """Open the database, and the keyring that seals what lies there.

    Raises:
        CommandError: the database cannot be used.
        KeyFileError: the keyring cannot be read.
        StackError: there is no database, or it is no embedded one and the keyring is.
    """
    settings = database_settings()
    refuse_embedded_keys(settings)
    async with connected(settings, "quarantine") as database:
        yield database, IngestRules.of(settings, keyring_of(settings))


async def _find(database: Database, place: Place) -> StoredRecord:
    async with database.connection() as connection:
        stored = await QuarantineRepository(connection).find(place)
    if stored is None:
        raise CommandError(f"nothing of {report.position(place)} lies in quarantine")
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
