"""``giftcert verify``: the ten invariants over database, stream and workflows."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from giftcert.cli.connections import (
    check_kafka,
    connected,
    lifecycle_of,
    reaching_kafka,
    reaching_temporal,
)
from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import to_its_end
from giftcert.cli.operators import By, operator
from giftcert.cli.output import AsJson, say, say_progress, say_step
from giftcert.clock import utc_now
from giftcert.embedded.addresses import with_running_stack
from giftcert.plurals import counted
from giftcert.redaction import printable
from giftcert.security.keys import keyring_of
from giftcert.settings import load_settings
from giftcert.storage.database import Database
from giftcert.storage.events import EventRepository
from giftcert.temporal.client import connect
from giftcert.temporal.runs import CertificateRuns
from giftcert.verification import repair as repairs
from giftcert.verification.pace import BESIDE_SALES
from giftcert.verification.verify import Sources
from giftcert.verification.verify import verify as look
from giftcert.verification.violations import INVARIANTS, KEPT, MOST_REPAIRED, UNITS, Findings

app = typer.Typer()
SHOWN = 20  # violations of one invariant; ``--json`` has more


@app.command()
@to_its_end
async def verify(
    sample: Annotated[int | None, typer.Option(min=1, help="Look at so many certificates only")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Set off again what got lost on its way, and look once more")
    ] = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="Do not rest in between: twice as fast, and sales beside it slower")
    ] = False,
    by: By = None,
    as_json: AsJson = False,
) -> int:
    """Check database, stream and workflows by the ten invariants; ends with 1 if one does not hold."""
    if repair and sample is not None:
        raise CommandError("--repair looks at everything: leave --sample out")
    if by is not None and not repair:
        raise CommandError("--by: goes with --repair")

    progress = lambda what, done, total: say_progress(f"{what}: ", done, total, as_json=as_json)  # noqa: E731
    settings = with_running_stack(load_settings())
    async with connected(settings, "verify") as database:
        with reaching_temporal(settings):
            client = await connect(settings)
        sources = Sources(
            database=database,
            settings=settings,
            keyring=keyring_of(settings),
            runs=CertificateRuns(client),
            rest=0 if fast else BESIDE_SALES,
        )
        repaired = repairs.Repair()
        await check_kafka(settings)
        with reaching_kafka(settings):
            named = MOST_REPAIRED if repair else KEPT
            found = findings = await look(sources, progress, sample, named=named)
            if repair:
                lifecycle = await lifecycle_of(settings, database)
                try:
                    await repairs.repair(sources, client, lifecycle, found, progress, repaired)
                finally:  # also of one that is cut short, where the database still takes it
                    await _record(database, settings.general_stream_key, operator(by), repaired)
            if repaired.lines:
                await repairs.until_effective(database, found, progress)
                findings = await look(sources, progress, named=named)
    data, lines = _as_data(findings), _as_lines(findings)
    if repair:
        data |= {"repaired": repaired.lines, "left": repaired.left}
        data |= {"found": [asdict(one) for one in found.violations]}
        lines += _about_repair(found, findings, repaired)
    say(data, "\n".join(lines), as_json=as_json)
    return 0 if findings.hold else 1


async def _record(database: Database, stream_key: str, who: str, repaired: repairs.Repair) -> None:
    """Say on the stream, and at once to whoever looks, what was done."""
    if not repaired.lines:
        return
    say_step("\n".join(f"repaired: {one}" for one in repaired.lines))
    async with database.transaction() as connection:
        what = f"verify --repair: {'; '.join(repaired.lines)}"
        await EventRepository(connection).append_act(stream_key, who, what, utc_now())


def _as_data(findings: Findings) -> dict[str, Any]:
    checked, counts = findings.checked, findings.counts
    return {
        "holds": findings.hold,
        "invariants": [
            {"invariant": one, "says": says, "checked": checked[one], "violations": counts[one]}
            for one, says in INVARIANTS.items()
        ],
        "violations": [asdict(one) for one in findings.violations],
        "unchecked": findings.unchecked,
    }


def _as_lines(findings: Findings) -> list[str]:
    lines = []
    for number, says in INVARIANTS.items():
        count, checked = findings.counts[number], findings.checked[number]
        broken = counted(count, "VIOLATION", "VIOLATIONS") if count else "no violation"
        unit = UNITS.get(number, ("certificate", "certificates"))
        lines += [f"{number:>2}  {says}", f"    {counted(checked, *unit)} checked, {broken}"]
    for number, count in findings.counts.items():
        named = [one for one in findings.violations if one.invariant == number][:SHOWN]
        lines += [printable(f"{number} {one.rule}: {one}", keep="") for one in named]
        lines += [f"{number} and {count - len(named):,} more"] * (count > len(named))
    lines += [f"not checked: {one}" for one in findings.unchecked]
    return [*lines, "All invariants hold." if findings.hold else "Not all invariants hold."]


def _about_repair(found: Findings, now: Findings, repaired: repairs.Repair) -> list[str]:
    if found.hold:
        return ["Nothing to repair."]
    lines = [f"repaired: {one}" for one in repaired.lines]
    if repaired.left:
        signals = counted(repaired.left, "workflow")
        return [*lines, f"Temporal took no signal for {signals}: repair again when it answers."]
    if not lines:
        return ["Nothing of it can be set off again: a person has to look."]
    if repairs.still_waits(now):
        lines.append("Some of it has not come about yet: do worker, ingest and dispatch run?")
    elif not now.hold:
        lines.append("What is left is for a person to look at.")
    return lines
