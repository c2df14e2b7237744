"""``giftcert up``: the whole stack until it is stopped."""

import asyncio
import json
from enum import StrEnum
from typing import Annotated

import typer

from giftcert.cli.event_loop import run_until_stopped
from giftcert.cli.output import AsJson
from giftcert.contracts.payload import payload_of
from giftcert.embedded.whole import Ready, run_whole_stack
from giftcert.settings import load_settings

app = typer.Typer()


class Ports(StrEnum):
    """What to do about a port that is taken."""

    FIXED = "fixed"
    AUTO = "auto"


@app.command()
def up(
    ports: Annotated[
        Ports, typer.Option(help="auto: take a free port where the usual one is taken")
    ] = Ports.FIXED,
    as_json: AsJson = False,
) -> None:
    """Start everything that has no address set, and the service on top; Ctrl-C ends it."""

    def report(part: str, line: str) -> None:
        typer.echo(f"{part:<10} {line}", err=as_json)

    async def use(ready: Ready) -> None:
        typer.echo(json.dumps(_described(ready)) if as_json else _summary(ready))
        await asyncio.Event().wait()

    async def work() -> None:
        await run_whole_stack(load_settings(), report, use, any_free_port=ports is Ports.AUTO)

    run_until_stopped(work, insist=False)
    typer.echo("all ended", err=as_json)


def _described(ready: Ready) -> dict[str, object]:
    """All addresses, the password of the database among them."""
    return {
        **payload_of(ready.addresses),
        "metricsUrls": dict(ready.metrics_urls),
        "stateFolder": str(ready.state_folder),
        "seconds": round(ready.seconds, 1),
    }


def _summary(ready: Ready) -> str:
    return (
        f"all ready in {ready.seconds:.1f} s; logs in {ready.state_folder / 'logs'}; Ctrl-C ends it\n"
        f"try:  giftcert token --role channel     then open {ready.addresses.api_url}/docs"
    )
