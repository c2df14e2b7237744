"""``giftcert up``: the whole stack until it is stopped."""

import asyncio
import json
from typing import Annotated, Literal

import typer

from giftcert.cli.event_loop import run_until_stopped
from giftcert.cli.output import AsJson
from giftcert.contracts.payload import payload_of
from giftcert.embedded.stack import ReadyStack, whole_stack
from giftcert.settings import load_settings

app = typer.Typer()


@app.command()
def up(
    ports: Annotated[
        Literal["fixed", "auto"], typer.Option(help="auto: take a free port where the usual one is taken")
    ] = "fixed",
    as_json: AsJson = False,
) -> None:
    """Start everything that has no address set, and the service on top; Ctrl-C ends it."""

    def report(part: str, line: str) -> None:
        typer.echo(f"{part:<10} {line}", err=as_json)

    async def work() -> None:
        async with whole_stack(load_settings(), report, any_free_port=ports == "auto") as ready:
            typer.echo(json.dumps(_described(ready)) if as_json else _summary(ready))
            await asyncio.Event().wait()

    run_until_stopped(work, insist=False)
    typer.echo("all ended", err=as_json)


def _described(ready: ReadyStack) -> dict[str, object]:
    """All addresses, the password of the database among them."""
    return {
        **payload_of(ready.addresses),
        "stateFolder": str(ready.state_folder),
        "seconds": round(ready.seconds, 1),
    }


def _summary(ready: ReadyStack) -> str:
    return (
        f"all ready in {ready.seconds:.1f} s; logs in {ready.state_folder / 'logs'}; Ctrl-C ends it\n"
        f"try:  giftcert token --role channel     then open {ready.addresses.api_url}/docs"
    )
