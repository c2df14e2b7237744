"""``giftcert quarantine``: records that could not be applied."""

from typing import Annotated

import typer

from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import run_to_end
from giftcert.cli.operators import By, operator
from giftcert.cli.output import AsJson, say

app = typer.Typer(help="Records that could not be applied.", no_args_is_help=True)
SHOWN_BAD = 100

OfTopic = Annotated[str | None, typer.Option("--topic", help="Only of this topic")]
OfPartition = Annotated[int | None, typer.Option("--partition", min=0, help="Only of this partition")]
ForReason = Annotated[str | None, typer.Option("--reason", help="Only with this reason")]


@app.command(name="list")
def list_records(
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
    from giftcert.cli.quarantine_report import listed, place_at, position, table
    from giftcert.cli.quarantine_review import opened_quarantine
    from giftcert.storage.quarantine import BEGINNING, QuarantineRepository, Wanted

    wanted = Wanted(topic=topic, partition=partition, reason=reason, closed_too=closed_too)

    async def work() -> None:
        async with opened_quarantine() as opened, opened.engine.connect() as connection:
            behind = place_at(after) if after else BEGINNING
            page = await QuarantineRepository(connection).page(wanted, behind, limit)
        more = position(page[-1].place) if len(page) >= limit else None
        text = table(page) if page else "nothing lies in quarantine"
        text += f"\nmore: --after {more}" if more else ""
        say({"records": [listed(one) for one in page], "next": more}, text, as_json=as_json)

    run_to_end(work)


@app.command()
def show(
    place: Annotated[str, typer.Argument(metavar="TOPIC/PARTITION/OFFSET")],
    reveal: Annotated[bool, typer.Option("--reveal", help="Print the original, which is recorded")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Say how a record reads now; with --reveal print the original, which may hold personal data."""
    from giftcert.cli.quarantine_report import described, place_at, revealed
    from giftcert.cli.quarantine_review import opened_quarantine

    async def work() -> None:
        async with opened_quarantine() as opened:
            stored, record = await opened.open(place_at(place))
            data, text = described(stored, record, opened.rules)
            if reveal:
                await opened.record_act(place_at(place), operator(by), f"quarantine show --reveal {place}")
                data["original"], original = revealed(record)
                text += original
        say(data, text, as_json=as_json)

    run_to_end(work)


@app.command()
def replay(
    place: Annotated[str | None, typer.Argument(metavar="TOPIC/PARTITION/OFFSET")] = None,
    topic: OfTopic = None,
    partition: OfPartition = None,
    reason: ForReason = None,
    everything: Annotated[bool, typer.Option("--all", help="All that lie in quarantine")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Send records the way they would have gone, after a fix; what is still bad stays."""
    from giftcert.cli.quarantine_report import Tally, place_at
    from giftcert.cli.quarantine_review import opened_quarantine
    from giftcert.storage.quarantine import Wanted

    if not (place or topic or reason or everything):
        raise CommandError("say which: TOPIC/PARTITION/OFFSET, --topic, --reason or --all")
    if place:
        topic, partition, offset = place_at(place)
    wanted = Wanted(topic=topic, partition=partition, offset=offset if place else None, reason=reason)

    async def work() -> None:
        tally = Tally(SHOWN_BAD)
        async with opened_quarantine() as opened:
            if place:
                await opened.open(place_at(place))  # says so if there is none
            async for outcome in opened.replay(wanted, operator(by)):
                tally.add(outcome)
        say(tally.as_json(), tally.as_text(), as_json=as_json)
        if tally.still_bad:
            raise CommandError(f"{tally.still_bad} records are still bad")

    run_to_end(work)


@app.command()
def dismiss(
    place: Annotated[str, typer.Argument(metavar="TOPIC/PARTITION/OFFSET")],
    note: Annotated[str, typer.Option(help="Why; told on the stream, so nothing personal")],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Give a record up: it is never applied, and holds back no release any more."""
    from giftcert.cli.operators import words
    from giftcert.cli.quarantine_report import place_at
    from giftcert.cli.quarantine_review import opened_quarantine

    why = words(note, "--note")

    async def work() -> None:
        async with opened_quarantine() as opened:
            await opened.open(place_at(place))  # says so if there is none
            count = await opened.replaying(operator(by)).dismiss(place_at(place), why)
        if not count:
            raise CommandError(f"{place} is closed already")
        say({"position": place, "dismissed": count}, f"{place} dismissed", as_json=as_json)

    run_to_end(work)
