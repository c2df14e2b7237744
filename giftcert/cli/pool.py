"""``giftcert pool``: what there is to sell."""

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

import typer
from uuid_utils.compat import uuid7

from giftcert.cli import pool_contents
from giftcert.cli.connections import database_settings
from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import to_its_end
from giftcert.cli.lifecycle import OpenedLifecycle, opened_lifecycle
from giftcert.cli.operators import By, free_text, operator
from giftcert.cli.output import AsJson, say, say_progress
from giftcert.clock import utc_now
from giftcert.embedded.addresses import refuse_embedded_keys
from giftcert.lifecycle.retirement import retire_next
from giftcert.storage.certificates import UnknownCertificateError
from giftcert.storage.operations import Operation, OperationRepository, UnknownBatchError

app = typer.Typer(name="pool", help="What there is to sell.", no_args_is_help=True)


@app.command()
@to_its_end
async def generate(
    product: Annotated[str, typer.Option(help="Of which product")],
    count: Annotated[int, typer.Option(min=1, max=5_000_000, help="How many")],
    as_json: AsJson = False,
) -> None:
    """Make certificates with numbers and sealed CVCs from a secure source."""
    settings = database_settings()
    refuse_embedded_keys(settings)
    batch = await pool_contents.generate(
        settings, product, count, lambda made: say_progress("", made, count, as_json=as_json)
    )
    data = {"batchId": str(batch), "product": product, "count": count}
    say(data, f"{count:,} certificates of {product} made: batch {batch}", as_json=as_json)


@app.command()
@to_its_end
async def status(as_json: AsJson = False) -> None:
    """Count the certificates of each product by status."""
    found = await pool_contents.counts(database_settings())
    lines = []
    for one in found:
        counts = ", ".join(f"{name} {number:,}" for name, number in sorted(one.statuses.items()))
        lines.append(f"{one.product:<16} {counts}, cooling {one.cooling}")
    data, text = [asdict(one) for one in found], "\n".join(lines) or "the pool is empty"
    say(data, text, as_json=as_json)


@app.command()
@to_its_end
async def retire(
    reason: Annotated[str, typer.Option(help="Why; told on the stream, so nothing personal")],
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
        reason=free_text(reason, "--reason"),
        requested_by=operator(by),
        requested_at=utc_now(),
    )
    async with opened_lifecycle("pool") as opened:
        await _start(opened, operation)
        done = await _carry_out(opened, operation.operation_id, as_json=as_json)
    data = {
        "operationId": str(done.operation_id),
        "total": done.total,
        "retired": done.retired,
        "blocked": done.blocked,
    }
    say(data, f"{done.retired:,} retired, {done.blocked:,} blocked of {done.total:,}", as_json=as_json)


async def _start(opened: OpenedLifecycle, operation: Operation) -> None:
    try:
        async with opened.database.transaction() as connection:
            await OperationRepository(connection).start(operation)
    except UnknownCertificateError:
        raise CommandError(f"there is no certificate {operation.certificate_id}") from None
    except UnknownBatchError:
        raise CommandError(f"there is no batch {operation.batch_id}") from None


async def _carry_out(opened: OpenedLifecycle, operation_id: UUID, *, as_json: bool) -> Operation:
    """Carry an operation out here; were this command to end, a schedule goes on with it."""
    while True:
        step = await retire_next(opened.lifecycle, operation_id, utc_now())
        await opened.send(step.wakes)
        async with opened.database.connection() as connection:
            stored = await OperationRepository(connection).find(operation_id)
        assert stored is not None  # noqa: S101 - operations are never deleted
        say_progress("", stored.done, stored.total, as_json=as_json)
        if step.finished:
            return stored
