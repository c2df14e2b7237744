"""``giftcert verify``: the ten invariants over database, stream and workflows."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import run_to_end
from giftcert.cli.output import AsJson, say

if TYPE_CHECKING:
    from temporalio.client import Client

    from giftcert.settings import Settings
    from giftcert.verification.verify import Sources
    from giftcert.verification.violations import Findings

SHOWN = 20
"""Violations of one invariant that the table names; ``--json`` has more."""


def verify(
    sample: Annotated[int | None, typer.Option(min=1, help="Look at so many certificates only")] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Set off again what got lost on its way, and look once more")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Hold database, stream and workflows against the ten invariants; ends with 1 if one does not hold."""
    from giftcert.embedded.addresses import with_running_stack
    from giftcert.settings import load_settings

    if repair and sample is not None:
        raise CommandError("--repair looks at everything: leave --sample out")
    ended: list[int] = []

    async def work() -> None:
        settings = with_running_stack(load_settings())
        ended.append(await _verify(settings, sample, repair=repair, as_json=as_json))

    run_to_end(work)
    return ended[0]


async def _verify(settings: "Settings", sample: int | None, *, repair: bool, as_json: bool) -> int:
    from giftcert.cli.lifecycle import lifecycle_of
    from giftcert.cli.server_errors import reaching_kafka
    from giftcert.storage.engine import make_engine
    from giftcert.verification.repair import repair as set_off
    from giftcert.verification.repair import until_effective
    from giftcert.verification.verify import verify as look

    progress = _no_progress if as_json else _progress
    engine = make_engine(settings, "giftcert-verify")
    try:
        sources, client = await _sources(settings, engine)
        with reaching_kafka(settings.kafka_bootstrap_servers):
            found = findings = await look(sources, progress, sample)
            done = (
                await set_off(sources, client, await lifecycle_of(settings, engine), found) if repair else []
            )
            if done:
                await until_effective(engine, found)
                findings = await look(sources, progress)
    finally:
        await engine.dispose()
    data = _as_data(findings) | ({"repaired": done, "found": _violations(found)} if repair else {})
    say(data, "\n".join(_as_text(findings) + _about_repair(found, findings, done) * repair), as_json=as_json)
    return 0 if findings.hold else 1


async def _sources(settings: "Settings", engine: Any) -> "tuple[Sources, Client]":  # noqa: ANN401 - loaded when it runs
    from giftcert.cli.keyring_check import check_keyring
    from giftcert.cli.server_errors import reaching_database, reaching_temporal
    from giftcert.security import keyring_of
    from giftcert.temporal.client import connect
    from giftcert.temporal.runs import CertificateRuns
    from giftcert.verification.verify import Sources

    keyring = keyring_of(settings)
    with reaching_database(settings.database_url.get_secret_value() if settings.database_url else ""):
        async with engine.connect() as connection:
            await check_keyring(connection, keyring)
    with reaching_temporal(settings.temporal_address):
        client = await connect(settings)
    sources = Sources(engine=engine, settings=settings, keyring=keyring, runs=CertificateRuns(client))
    return sources, client


def _progress(what: str, done: int, total: int) -> None:
    typer.echo(f"\r{what}: {done:,} of {total:,}", nl=done >= total, err=True)


def _no_progress(_what: str, _done: int, _total: int) -> None:
    """Programs that read JSON are told when it is over."""


def _as_data(findings: "Findings") -> dict[str, Any]:
    from giftcert.verification.violations import INVARIANTS

    return {
        "holds": findings.hold,
        "invariants": [
            {
                "invariant": number,
                "says": says,
                "checked": findings.checked[number],
                "violations": findings.counts[number],
            }
            for number, says in INVARIANTS.items()
        ],
        "violations": _violations(findings),
        "unchecked": findings.unchecked,
    }


def _violations(findings: "Findings") -> list[dict[str, Any]]:
    from dataclasses import asdict

    return [asdict(one) for one in findings.violations]


def _as_text(findings: "Findings") -> list[str]:
    from giftcert.verification.violations import INVARIANTS, UNITS

    lines = []
    for number, says in INVARIANTS.items():
        checked = f"{findings.checked[number]:,} {UNITS[number]} checked"
        lines += [f"{number:>2}  {says}", f"    {checked}, {_count(findings.counts[number])}"]
    lines += _named(findings) + [f"not checked: {one}" for one in findings.unchecked]
    return [*lines, "All invariants hold." if findings.hold else "Not all invariants hold."]


def _about_repair(found: "Findings", now: "Findings", done: list[str]) -> list[str]:
    from giftcert.verification.repair import still_waits

    if found.hold:
        return ["Nothing to repair."]
    lines = [f"repaired: {one}" for one in done] or [
        "Nothing of it can be set off again: a person has to look."
    ]
    if done and not now.hold:
        waits = still_waits(now)
        lines.append(
            "Some of it has not come about yet: do worker, ingest and dispatch run?"
            if waits
            else "What is left is for a person to look at."
        )
    return lines


def _count(violations: int) -> str:
    return f"{violations:,} VIOLATION{'S' * (violations > 1)}" if violations else "no violation"


def _named(findings: "Findings") -> list[str]:
    lines = []
    for number, count in findings.counts.items():
        named = [one for one in findings.violations if one.invariant == number][:SHOWN]
        lines += [f"{number} {one.rule}: {one}" for one in named]
        lines += [f"{number} and {count - len(named):,} more"] * (count > len(named))
    return lines
