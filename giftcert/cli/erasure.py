"""``giftcert erasure``: what is stored of a client, and its erasure in all stores."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any, TypeAlias

import asyncpg
import typer

from giftcert.cli.connections import (
    database_settings,
    reaching_database,
    reaching_database_as_owner,
    reaching_temporal,
)
from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import to_its_end
from giftcert.cli.groups import Group
from giftcert.cli.operators import By, Why, operator
from giftcert.cli.output import AsJson, say, table
from giftcert.embedded.addresses import refuse_embedded_keys, with_running_stack
from giftcert.lifecycle.erasure import Erasure, ErasureReport
from giftcert.plurals import counted
from giftcert.security.keys import keyring_of
from giftcert.storage.database import Database
from giftcert.temporal.client import connect
from giftcert.temporal.runs import CertificateRuns

app = typer.Typer()
erasure = typer.Typer(help="Erase a client from all stores, or say what they hold.", cls=Group)
app.add_typer(erasure, name="erasure")
Client: TypeAlias = Annotated[str, typer.Option(help="The id of the client, as CRM and orders say it")]
_COLUMNS = ("store", "erased", "left", "what", "why it stays")


@erasure.command()
@to_its_end
async def run(client: Client, reason: Why, by: By = None, as_json: AsJson = False) -> int:
    """Erase a client and all who were merged into it, as the owner of the tables; may be repeated.

    Ends with 1 while something is left that has to go.
    """
    who = operator(by)
    try:
        async with _opened(as_owner=True) as opened:
            found = await opened.run(client, who, reason)
    except asyncpg.InsufficientPrivilegeError as error:
        raise CommandError(
            "the service may not erase what is on record: GIFTCERT_DATABASE_OWNER_URL names the owner of the tables"
        ) from error
    return _say(found, as_json=as_json)


@erasure.command()
@to_its_end
async def report(client: Client, as_json: AsJson = False) -> int:
    """Say what all stores hold of a client; ends with 1 if any of it would go by an erasure."""
    async with _opened(as_owner=False) as opened:
        found = await opened.report(client)
    return _say(found, as_json=as_json)


@asynccontextmanager
async def _opened(*, as_owner: bool) -> AsyncIterator[Erasure]:
    settings = with_running_stack(database_settings())
    refuse_embedded_keys(settings)
    keyring = keyring_of(settings)
    with reaching_temporal(settings):
        runs = CertificateRuns(await connect(settings))
        address = settings.database_owner_address if as_owner else settings.database_address
        with reaching_database_as_owner(settings) if as_owner else reaching_database(settings):
            async with Database(address, "giftcert-erasure") as database:
                yield Erasure(database, keyring, runs, settings.general_stream_key)


def _say(found: ErasureReport, *, as_json: bool) -> int:
    subject = found.subject
    whose = f"client {found.client_id}: {counted(len(subject.orders), 'order')}, "
    whose += counted(len(subject.certificates), "certificate")
    merged = [one for one in subject.clients if one != found.client_id]
    whose += f", also as {', '.join(merged)}" if merged else ""
    rows = [(one.store, f"{one.erased:,}", f"{one.remains:,}", one.holds, one.why) for one in found.findings]
    last = "Nothing is left that has to go." if found.is_done else "Not all is erased that has to go."
    say(_as_data(found), "\n".join([whose, "", table(_COLUMNS, rows), "", last]), as_json=as_json)
    return 0 if found.is_done else 1


def _as_data(found: ErasureReport) -> dict[str, Any]:
    return {
        "clientId": found.client_id,
        "clients": list(found.subject.clients),
        "orders": list(found.subject.orders),
        "certificates": list(found.subject.certificates),
        "done": found.is_done,
        "stores": [
            {"store": one["store"], "holds": one["holds"], "erased": one["erased"], "left": one["remains"]}
            | {"why": one["why"] or None, "done": one["is_done"]}
            for one in map(asdict, found.findings)
        ],
    }
