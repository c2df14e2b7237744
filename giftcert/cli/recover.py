"""``giftcert recover``: brings database and stream together again after either was restored or lost."""

from dataclasses import asdict

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
from giftcert.embedded.addresses import refuse_embedded_keys, with_running_stack
from giftcert.recovery.recover import Recovered, Recovery, RecoveryError
from giftcert.security.keys import keyring_of
from giftcert.settings import load_settings
from giftcert.temporal.client import connect
from giftcert.temporal.runs import CertificateRuns
from giftcert.verification.repair import Repair, repair, until_effective
from giftcert.verification.verify import Sources, verify
from giftcert.verification.violations import MOST_REPAIRED, Findings

app = typer.Typer()
SHOWN = 20  # violations; `giftcert verify` has more


@app.command()
@to_its_end
async def recover(by: By = None, as_json: AsJson = False) -> int:
    """Bring database, stream and workflows together again after one was restored or lost; may be repeated."""
    progress = lambda what, done, total: say_progress(f"{what}: ", done, total, as_json=as_json)  # noqa: E731
    settings = with_running_stack(load_settings())
    refuse_embedded_keys(settings)
    async with connected(settings, "recover") as database:
        with reaching_temporal(settings):
            client = await connect(settings)
        await check_kafka(settings)
        sources = Sources(
            database=database, settings=settings, keyring=keyring_of(settings), runs=CertificateRuns(client)
        )
        lifecycle = await lifecycle_of(settings, database)
        with reaching_kafka(settings):
            try:
                recovered = await Recovery(sources, client, lifecycle, progress, operator(by)).run()
            except RecoveryError as error:
                raise CommandError(str(error)) from error
            say_step("\n".join(recovered.done) or "database and stream belong together")
            findings = await verify(sources, progress, named=MOST_REPAIRED)
            if not findings.hold:
                repaired = Repair()
                await repair(sources, client, lifecycle, findings, progress, repaired)
                recovered.done += repaired.lines
                await until_effective(database, findings, progress)
                findings = await verify(sources, progress)
    say(_data(recovered, findings), "\n".join(_lines(recovered, findings)), as_json=as_json)
    return 0 if findings.hold else 1


def _data(recovered: Recovered, findings: Findings) -> dict[str, object]:
    return {
        "done": recovered.done,
        "forPeople": recovered.for_people,
        "holds": findings.hold,
        "violations": [asdict(one) for one in findings.violations],
    }


def _lines(recovered: Recovered, findings: Findings) -> list[str]:
    lines = [*recovered.done] or ["Database and stream belong together: nothing had to be recovered."]
    lines += [f"for people: {one}" for one in recovered.for_people]
    lines += [f"{one.invariant} {one.rule}: {one}" for one in findings.violations[:SHOWN]]
    if findings.hold:
        return [*lines, "All invariants hold: the service goes on."]
    return [*lines, "Not all invariants hold: `giftcert verify` names what is left."]
