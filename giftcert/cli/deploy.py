"""``giftcert deploy``: which build leads the certificates, and which one shall."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeAlias

import typer
from temporalio.client import Client
from temporalio.service import RPCError

from giftcert.build import build_id
from giftcert.cli.connections import reaching_temporal
from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import to_its_end
from giftcert.cli.groups import Group
from giftcert.cli.output import AsJson, fields, say, say_step, stamp, table
from giftcert.embedded.addresses import with_running_stack
from giftcert.plurals import counted
from giftcert.settings import Settings, load_settings
from giftcert.temporal.client import connect
from giftcert.temporal.deployment import DEPLOYMENT, Build, builds, former, make_current, ramp, until_routed
from giftcert.temporal.replacement import replace_left_behind
from giftcert.temporal.runs import CertificateRuns, StuckRun
from giftcert.temporal.workflow_starts import MAINTENANCE_QUEUE, task_queue

app = typer.Typer(name="deploy", help="Builds of the workers: which one leads the certificates.", cls=Group)
Wait: TypeAlias = Annotated[int, typer.Option("--wait", min=0, help="Seconds to wait at most")]
_LOOK_SECONDS = 1.0
_NAMED = 3


@app.command()
@to_its_end
async def status(as_json: AsJson = False) -> int:
    """Show each build: whether it leads, its workers by task queue, the runs that it led last; what is stuck.

    Exits with 1 where no build leads, the leading one lacks workers, or workflows are stuck.
    """
    async with _temporal() as (settings, client):
        found = await builds(client, _queues(settings))
        stuck = await CertificateRuns(client).stuck()
    leading = next((one for one in found if one.state == "current"), None)
    lacking = [queue for queue in _queues(settings) if leading is None or not leading.pollers.get(queue)]
    data = {
        "current": leading.build_id if leading else None,
        "withoutWorkers": lacking,
        "builds": [_data(one) for one in found],
        "stuck": [one.workflow_id for one in stuck],
    }
    say(data, _text(settings, found, leading, lacking, stuck), as_json=as_json)
    return 1 if lacking or stuck else 0


@app.command()
@to_its_end
async def promote(
    build: Annotated[
        str | None, typer.Argument(help="The build; else the one that this command is of")
    ] = None,
    percent: Annotated[
        float | None, typer.Option(min=0, max=100, help="Lead so many of a hundred certificates for now")
    ] = None,
    wait: Wait = 60,
    as_json: AsJson = False,
) -> None:
    """Have a build lead the certificates once its workers poll every task queue; start anew what was stuck."""
    wanted, replaced = build or build_id(), 0
    async with _temporal() as (_, client):
        await _change(client, wanted, percent, wait)
        if percent is None:
            await until_routed(client)
            replaced = await replace_left_behind(client)
    share = "" if percent is None else f" {percent:g} % of"
    text = f"{wanted} leads{share} the certificates{_replaced(replaced)}"
    say({"build": wanted, "percent": percent, "replaced": replaced}, text, as_json=as_json)


@app.command()
@to_its_end
async def rollback(
    to: Annotated[str | None, typer.Option("--to", help="The build; else the one that led before")] = None,
    wait: Wait = 60,
    as_json: AsJson = False,
) -> None:
    """Have the former build lead again, and start anew every run that the withdrawn one has led, or left stuck.

    The former build's workers have to run. May be repeated; with --to it also goes on where it was interrupted.
    """
    async with _temporal() as (settings, client):
        found = await builds(client, _queues(settings))
        current = next((one for one in found if one.state == "current"), None)
        back = to or getattr(former(found), "build_id", None)
        if back is None or current is None:
            raise CommandError("no other build has led the certificates: see `giftcert deploy status`")
        withdrawn = current.build_id if current.build_id != back else getattr(former(found), "build_id", None)
        await _change(client, back, None, wait)
        await until_routed(client)
        version = f"{DEPLOYMENT}:{withdrawn}" if withdrawn else None
        replaced = await replace_left_behind(client, version, lambda done: _progress(done, as_json=as_json))
    text = f"{back} leads the certificates again, {withdrawn} is withdrawn{_replaced(replaced)}"
    say({"build": back, "withdrawn": withdrawn, "replaced": replaced}, text, as_json=as_json)


@app.command()
@to_its_end
async def drain(
    build: Annotated[str, typer.Argument(help="A build that leads no more")],
    wait: Wait = 600,
    as_json: AsJson = False,
) -> None:
    """Wait until no run needs a build any more, so that its workers may be stopped."""
    until = time.monotonic() + wait
    async with _temporal() as (settings, client):
        while True:
            found = {one.build_id: one for one in await builds(client, _queues(settings))}
            one = found.get(build)
            if one is None:
                raise CommandError(f"there is no build {build}; there are {', '.join(found) or 'none'}")
            if one.state in {"current", "ramping"}:
                raise CommandError(f"{build} leads certificates: promote another build, or roll back, first")
            if not one.pinned:
                break
            if time.monotonic() >= until:
                runs = counted(one.pinned, "run")
                raise CommandError(
                    f"{build} is still needed by {runs}: wait longer (--wait), see `deploy status`"
                )
            await asyncio.sleep(_LOOK_SECONDS)
    say(_data(one), f"{build} is not needed any more: its workers may be stopped", as_json=as_json)


@asynccontextmanager
async def _temporal() -> AsyncIterator[tuple[Settings, Client]]:
    settings = with_running_stack(load_settings(), ["temporal_address"])
    with reaching_temporal(settings):
        yield settings, await connect(settings)


def _queues(settings: Settings) -> list[str]:
    return [*map(task_queue, settings.channels), MAINTENANCE_QUEUE]


async def _change(client: Client, build: str, percent: float | None, wait: int) -> None:
    """Route to a build; while its workers do not poll all queues it is tried again."""
    until, said = time.monotonic() + wait, ""
    while True:
        try:
            await (make_current(client, build) if percent is None else ramp(client, build, percent))
        except RPCError as error:
            if time.monotonic() >= until:
                raise CommandError(
                    f"{build} cannot lead: {error.message}; see `giftcert deploy status`"
                ) from error
            if error.message != said:
                said = error.message
                say_step(f"{build} cannot lead yet: {said}")
            await asyncio.sleep(_LOOK_SECONDS)
        else:
            return


def _replaced(count: int) -> str:
    return f"; {counted(count, 'run')} started anew" if count else ""


def _progress(done: int, *, as_json: bool) -> None:
    if done and not as_json:
        typer.echo(f"\r{done:,} runs started anew", nl=False, err=True)


def _data(one: Build) -> dict[str, Any]:
    return {
        "build": one.build_id,
        "state": one.state,
        "since": stamp(one.since),
        "lastCurrent": stamp(one.last_current),
        "percent": one.percentage,
        "workers": dict(one.pollers),
        "led": one.led,
        "pinned": one.pinned,
    }


def _text(
    settings: Settings,
    found: Sequence[Build],
    leading: Build | None,
    lacking: Sequence[str],
    stuck: Sequence[StuckRun],
) -> str:
    rows = [
        (
            one.build_id,
            one.state if one.percentage is None else f"{one.state} {one.percentage:g} %",
            f"{one.last_current:%Y-%m-%d %H:%M}" if one.last_current else "never",
            f"{one.led:,}",
            f"{one.pinned:,}",
            ", ".join(f"{queue} {count}" for queue, count in one.pollers.items()) or "none",
        )
        for one in found
    ]
    columns = ("build", "state", "last led", "runs", "pinned", "workers")
    links = [settings.url_of_workflow(one.workflow_id) for one in stuck[:_NAMED]]
    said = [
        ("current", leading.build_id if leading else "none: no worker has ever polled every task queue"),
        *([("lacking", f"no worker of it polls {', '.join(lacking)}")] if leading and lacking else []),
        ("stuck", " ".join([f"{counted(len(stuck), 'workflow')}:", *links]) if stuck else "no workflow"),
    ]
    return "\n\n".join([*([table(columns, rows)] if rows else []), fields(said)])
