"""``giftcert up``: the whole stack until it is told to end."""

import asyncio
import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from giftcert.cli.event_loop import run_until_told
from giftcert.cli.output import AsJson

if TYPE_CHECKING:
    from giftcert.embedded.whole import Ready


class Ports(StrEnum):
    """What to do about a port that is taken."""

    FIXED = "fixed"
    AUTO = "auto"


def up(
    ports: Annotated[
        Ports, typer.Option(help="auto: take a free port where the usual one is taken")
    ] = Ports.FIXED,
    as_json: AsJson = False,
) -> None:
    """Start everything that has no address set, and the service on top; Ctrl-C ends it."""
    from giftcert.embedded.whole import run_whole_stack
    from giftcert.settings import load_settings

    def report(part: str, line: str) -> None:
        typer.echo(f"{part:<10} {line}", err=as_json)

    async def use(ready: "Ready") -> None:
        typer.echo(json.dumps(described(ready)) if as_json else summary(ready))
        await asyncio.Event().wait()

    async def work() -> None:
        await run_whole_stack(load_settings(), report, use, any_free_port=ports is Ports.AUTO)

    run_until_told(work, insist=False)
    typer.echo("all ended", err=as_json)


def described(ready: "Ready") -> dict[str, object]:
    """Return all addresses, the password of the database among them, for programs."""
    addresses = ready.addresses
    return {
        "apiUrl": addresses.api_url,
        "databaseUrl": addresses.database_url,
        "temporalAddress": addresses.temporal_address,
        "temporalUiUrl": addresses.temporal_ui_url,
        "kafkaBootstrapServers": addresses.kafka_bootstrap_servers,
        "kafkaInMemory": addresses.kafka_in_memory,
        "metricsUrls": dict(ready.metrics_urls),
        "stateFolder": str(ready.state_folder),
        "seconds": round(ready.seconds, 1),
    }


def summary(ready: "Ready") -> str:
    """Return what a person wants to know when all is ready."""
    return (
        f"all ready in {ready.seconds:.1f} s; logs in {ready.state_folder / 'logs'}; Ctrl-C ends it\n"
        f"try:  giftcert token --role channel     then open {ready.addresses.api_url}/docs"
    )
