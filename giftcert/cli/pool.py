"""``giftcert pool``: what there is to sell."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated
from uuid import UUID

import typer
from uuid_utils.compat import uuid7

from giftcert.cli.connections import connected, database_settings, opened_lifecycle, send_if_reachable
from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import to_its_end
from giftcert.cli.operators import By, Why, operator
from giftcert.cli.output import AsJson, say, say_progress
from giftcert.clock import utc_now
from giftcert.contracts.payload import payload_of
from giftcert.embedded.addresses import refuse_embedded_keys
from giftcert.lifecycle.change import Lifecycle
from giftcert.lifecycle.retirement import retire_next
from giftcert.product_file import read_products
from giftcert.security.keys import keyring_of
from giftcert.settings import Settings
from giftcert.storage.certificates import UnknownCertificateError
from giftcert.storage.database import Database
from giftcert.storage.events import EventRepository
from giftcert.storage.operations import Operation, OperationRepository, UnknownBatchError
from giftcert.storage.pool import PoolCount, PoolRepository
from giftcert.storage.products import ProductRepository

app = typer.Typer(name="pool", help="What there is to sell.", no_args_is_help=True)


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
    say(data, f"{count:,} certificates of {product} made: batch {batch}", as_json=as_json)


@app.command()
@to_its_end
async def status(as_json: AsJson = False) -> None:
    """Count the certificates of each product by status."""
    found = await _counts(database_settings())
    lines = []
    for one in found:
        counts = ", ".join(f"{name} {number:,}" for name, number in sorted(one.statuses.items()))
        lines.append(f"{one.product:<16} {counts}, cooling {one.cooling}")
    say([asdict(one) for one in found], "\n".join(lines) or "the pool is empty", as_json=as_json)


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
    filled = {count.product for count in await _counts(settings)}
    done = []
    for line in read_products(settings):
        quantity = settings.embedded_pool if line.pool is None else line.pool
        if quantity and line.id not in filled:
            await _generate(settings, line.id, quantity)
            done.append(f"{quantity:,} certificates of {line.id} made")
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
        products, pool = await ProductRepository(connection).all(), PoolRepository(connection)
        if product_id not in products:
            known = ", ".join(products) or "none; run `giftcert setup` first"
            raise CommandError(f"there is no product {product_id}; there are: {known}")
        await pool.check_keyring(keyring)
        batch = await pool.generate(products[product_id], quantity, keyring, now, progress)
        if who is not None:
            acted = f"made {quantity} certificates of {product_id}: batch {batch}"
            await EventRepository(connection).append_act(settings.general_stream_key, who, acted, now)
        return batch


async def _counts(settings: Settings) -> list[PoolCount]:
    async with connected(settings, "pool") as database, database.connection() as connection:
        return await PoolRepository(connection).counts(utc_now(), settings.cooling_period)


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
