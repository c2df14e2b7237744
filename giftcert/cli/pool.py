"""``giftcert pool``: what there is to sell."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer
from uuid_utils.compat import uuid7

from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import run_to_end
from giftcert.cli.operators import By, operator, words
from giftcert.cli.output import AsJson, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from giftcert.storage.operations import Operation

app = typer.Typer(help="What there is to sell.", no_args_is_help=True)


@app.command()
def generate(
    product: Annotated[str, typer.Option(help="Of which product")],
    count: Annotated[int, typer.Option(min=1, max=5_000_000, help="How many")],
    as_json: AsJson = False,
) -> None:
    """Make certificates with numbers and sealed CVCs from a secure source."""
    from giftcert.cli import pool_contents
    from giftcert.cli.server_errors import reaching_database
    from giftcert.embedded.addresses import with_database
    from giftcert.settings import load_settings

    def progress(made: int) -> None:
        if not as_json:
            typer.echo(f"\r{made:,} of {count:,}", nl=made == count, err=True)

    async def work() -> None:
        settings, url = with_database(load_settings())
        with reaching_database(url):
            batch = await pool_contents.generate(settings, product, count, progress)
        data = {"batchId": str(batch), "product": product, "count": count}
        say(data, f"{count:,} certificates of {product} made: batch {batch}", as_json=as_json)

    run_to_end(work)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Count the certificates of each product by status."""
    from giftcert.cli import pool_contents
    from giftcert.cli.server_errors import reaching_database
    from giftcert.embedded.addresses import with_database
    from giftcert.settings import load_settings

    async def work() -> None:
        settings, url = with_database(load_settings())
        with reaching_database(url):
            found = await pool_contents.counts(settings)
        data = [{"product": c.product, "statuses": c.statuses, "cooling": c.cooling} for c in found]
        lines = [f"{c.product:<16} {_counts(c.statuses)}, cooling {c.cooling}" for c in found]
        say(data, "\n".join(lines) or "the pool is empty", as_json=as_json)

    run_to_end(work)


@app.command()
def retire(
    reason: Annotated[str, typer.Option(help="Why; told on the stream, so nothing personal")],
    batch: Annotated[UUID | None, typer.Option(help="Its batchId")] = None,
    certificate: Annotated[UUID | None, typer.Option(help="Its certificateId")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Withdraw a batch or one certificate: retire what is not sold, block what is."""
    from giftcert.clock import utc_now
    from giftcert.storage.operations import Operation

    if (batch is None) == (certificate is None):
        raise CommandError("name either --batch or --certificate")
    operation = Operation(
        operation_id=uuid7(),
        batch_id=batch,
        certificate_id=certificate,
        reason=words(reason, "--reason"),
        requested_by=operator(by),
        requested_at=utc_now(),
    )

    def progress(done: int, total: int) -> None:
        if not as_json:
            typer.echo(f"\r{done:,} of {total:,}", nl=done >= total, err=True)

    async def work() -> None:
        done = await _retire(operation, progress)
        data = {
            "operationId": str(done.operation_id),
            "total": done.total,
            "retired": done.retired,
            "blocked": done.blocked,
        }
        say(data, f"{done.retired:,} retired, {done.blocked:,} blocked of {done.total:,}", as_json=as_json)

    run_to_end(work)


async def _retire(operation: "Operation", progress: "Callable[[int, int], None]") -> "Operation":
    """Carry an operation out here; were this command to end, a schedule goes on with it."""
    from giftcert.cli.lifecycle import opened_lifecycle
    from giftcert.clock import utc_now
    from giftcert.lifecycle.retirement import retire_next
    from giftcert.storage.certificates import UnknownCertificateError
    from giftcert.storage.operations import OperationRepository, UnknownBatchError

    async with opened_lifecycle("giftcert-pool") as opened:
        try:
            async with opened.engine.begin() as connection:
                await OperationRepository(connection).start(operation)
        except UnknownCertificateError:
            raise CommandError(f"there is no certificate {operation.certificate_id}") from None
        except UnknownBatchError:
            raise CommandError(f"there is no batch {operation.batch_id}") from None
        while True:
            step = await retire_next(opened.lifecycle, opened.engine, operation.operation_id, utc_now())
            await opened.send(step.wakes)
            async with opened.engine.connect() as connection:
                stored = await OperationRepository(connection).find(operation.operation_id)
            assert stored is not None  # noqa: S101 - operations are never deleted
            progress(stored.done, stored.total)
            if step.finished:
                return stored


def _counts(statuses: dict[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in sorted(statuses.items()))
