"""``giftcert pool``: what there is to sell."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from uuid_utils.compat import uuid7

from giftcert.cli.connections import connected, database_settings, opened_lifecycle, send_if_reachable
from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import to_its_end
from giftcert.cli.groups import Group
from giftcert.cli.operators import By, Why, operator
from giftcert.cli.output import AsJson, say, say_progress, table
from giftcert.clock import utc_now
from giftcert.contracts.payload import payload_of
from giftcert.domain.products import Product
from giftcert.embedded.addresses import refuse_embedded_keys
from giftcert.lifecycle.change import Lifecycle
from giftcert.lifecycle.pool_import import FileRefusedError, PoolLoader
from giftcert.lifecycle.retirement import retire_next
from giftcert.plurals import counted
from giftcert.pool_file import PoolFile
from giftcert.product_file import read_products
from giftcert.security.keys import keyring_of
from giftcert.settings import Settings
from giftcert.storage.certificates import UnknownCertificateError
from giftcert.storage.database import Connection, Database
from giftcert.storage.events import EventRepository
from giftcert.storage.operations import Operation, OperationRepository, UnknownBatchError
from giftcert.storage.pool import PoolCount, PoolRepository
from giftcert.storage.pool_imports import ImportTakenOverError
from giftcert.storage.products import ProductRepository

FAULTS_SHOWN = 20

app = typer.Typer(name="pool", help="What there is to sell.", cls=Group)


@app.command()
@to_its_end
async def generate(
    product: Annotated[str, typer.Option(help="Of which product")],
    count: Annotated[int, typer.Option(min=1, max=5_000_000, help="How many")],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Make certificates with numbers and sealed CVCs from a secure source."""
    settings = database_settings()
    refuse_embedded_keys(settings)
    progress = lambda made: say_progress("", made, count, as_json=as_json)  # noqa: E731
    batch = await _generate(settings, product, count, operator(by), progress)
    data = {"batchId": str(batch), "product": product, "count": count}
    say(data, f"{counted(count, 'certificate')} of {product} made: batch {batch}", as_json=as_json)


@app.command("import")
@to_its_end
async def import_(
    file: Annotated[
        Path, typer.Argument(help="CSV in UTF-8 with the columns number and cvc", metavar="FILE")
    ],
    product: Annotated[str, typer.Option(help="Of which product the certificates are")],
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Put certificates of a file into the pool, all or none; begun again, it goes on where it stopped."""
    settings = database_settings()
    refuse_embedded_keys(settings)
    source, who = PoolFile.open(file), operator(by)
    progress = lambda what, done, total: say_progress(what, done, total, as_json=as_json)  # noqa: E731
    async with connected(settings, "pool", decides=True) as database:
        async with database.connection() as connection:
            wanted = await _known_product(connection, product)
            await PoolRepository(connection).check_keyring(keyring_of(settings))
        loader = PoolLoader(
            database, keyring_of(settings), wanted, who, settings.general_stream_key, utc_now, progress
        )
        try:
            loaded = await loader.load(source)
        except FileRefusedError as refused:
            _say_faults(refused, as_json=as_json)
            lines = counted(refused.total, "line")
            raise CommandError(f"nothing was imported: {lines} of {file} cannot be used") from None
        except ImportTakenOverError:
            raise CommandError(f"another process is importing {file}; wait until it ends") from None
    data = {
        "batchId": str(loaded.batch_id),
        "product": product,
        "count": loaded.quantity,
        "repeated": loaded.finished,
    }
    when = "were imported before" if loaded.finished else "imported"
    text = f"{counted(loaded.quantity, 'certificate')} of {product} {when}: batch {loaded.batch_id}"
    say(data, text, as_json=as_json)


@app.command()
@to_its_end
async def status(as_json: AsJson = False) -> None:
    """Count the certificates of each product by status."""
    found = await pool_counts(database_settings())
    rows = [(one.product, stock(one)) for one in found]
    text = table(("product", "certificates"), rows) if rows else "the pool is empty"
    say([payload_of(one) for one in found], text, as_json=as_json)


def stock(count: PoolCount) -> str:
    """Return in words how many certificates of a product there are, and until when they last."""
    statuses = sorted(count.statuses.items())
    others = [f"{number:,} {name}" for name, number in statuses if name != "available"]
    resting = f" ({count.cooling:,} resting)" if count.cooling else ""
    lasts = [f"lasts until {count.empty_at:%Y-%m-%d %H:%M} UTC at this rate"] if count.empty_at else []
    return ", ".join([f"{count.available:,} available{resting}", *others, *lasts])


@app.command()
@to_its_end
async def retire(
    reason: Why,
    batch: Annotated[UUID | None, typer.Option(help="Its batchId")] = None,
    certificate: Annotated[UUID | None, typer.Option(help="Its certificateId")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Withdraw a batch or one certificate: retire what is not sold, block what is."""
    if (batch is None) == (certificate is None):
        raise CommandError("name either --batch or --certificate")
    operation = Operation(
        operation_id=uuid7(),
        batch_id=batch,
        certificate_id=certificate,
        reason=reason,
        requested_by=operator(by),
        requested_at=utc_now(),
    )
    async with opened_lifecycle("pool") as lifecycle:
        await _start(lifecycle.database, operation, database_settings().general_stream_key)
        done = await _carry_out(lifecycle, operation.operation_id, as_json=as_json)
    say(
        payload_of(done),
        f"{done.retired:,} retired, {done.blocked:,} blocked of {done.total:,}",
        as_json=as_json,
    )


async def fill_empty_pool(settings: Settings) -> list[str]:
    """Make certificates of every product that has none; return what was done, a line each."""
    filled = {count.product for count in await pool_counts(settings)}
    done = []
    for line in read_products(settings):
        quantity = settings.embedded_pool if line.pool is None else line.pool
        if quantity and line.id not in filled:
            await _generate(settings, line.id, quantity)
            done.append(f"{counted(quantity, 'certificate')} of {line.id} made")
    return done


async def _generate(
    settings: Settings,
    product_id: str,
    quantity: int,
    who: str | None = None,  # nobody fills the pool of an embedded stack
    progress: Callable[[int], None] = lambda _made: None,
) -> UUID:
    keyring, now = keyring_of(settings), utc_now()
    async with connected(settings, "pool") as database, database.transaction() as connection:
        product, pool = await _known_product(connection, product_id), PoolRepository(connection)
        await pool.check_keyring(keyring)
        batch = await pool.generate(product, quantity, keyring, now, progress)
        if who is not None:
            acted = f"made {counted(quantity, 'certificate')} of {product_id}: batch {batch}"
            await EventRepository(connection).append_act(settings.general_stream_key, who, acted, now)
        return batch


async def _known_product(connection: Connection, product_id: str) -> Product:
    products = await ProductRepository(connection).all()
    if product_id not in products:
        known = ", ".join(products) or "none; run `giftcert setup` first"
        raise CommandError(f"there is no product {product_id}; there are: {known}")
    return products[product_id]


def _say_faults(refused: FileRefusedError, *, as_json: bool) -> None:
    """Say what is wrong with which line; the lines that are not named are counted."""
    if as_json:
        faults = [asdict(fault) for fault in refused.faults]
        say({"count": 0, "faults": faults, "faultsTotal": refused.total}, "", as_json=True)
        return
    for fault in refused.faults[:FAULTS_SHOWN]:
        typer.echo(f"line {fault.line}: {fault.problem}", err=True)
    if refused.total > FAULTS_SHOWN:
        typer.echo(f"and {refused.total - FAULTS_SHOWN:,} more", err=True)


async def pool_counts(settings: Settings) -> list[PoolCount]:
    """Count the certificates of each product by status."""
    async with connected(settings, "pool") as database, database.connection() as connection:
        return await PoolRepository(connection).counts(
            utc_now(), settings.cooling_period, settings.pool_low_threshold
        )


async def _start(database: Database, operation: Operation, stream_key: str) -> None:
    try:
        async with database.transaction() as connection:
            await OperationRepository(connection).start(operation, stream_key)
    except UnknownCertificateError:
        raise CommandError(f"there is no certificate {operation.certificate_id}") from None
    except UnknownBatchError:
        raise CommandError(f"there is no batch {operation.batch_id}") from None


async def _carry_out(lifecycle: Lifecycle, operation_id: UUID, *, as_json: bool) -> Operation:
    """Carry an operation out here; were this command to end, a schedule goes on with it."""
    while True:
        step = await retire_next(lifecycle, operation_id, utc_now())
        await send_if_reachable(step.wakes)
        async with lifecycle.database.connection() as connection:
            stored = await OperationRepository(connection).find(operation_id)
        assert stored is not None  # noqa: S101 - operations are never deleted
        say_progress("", stored.done, stored.total, as_json=as_json)
        if step.finished:
            return stored
