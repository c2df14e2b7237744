"""``giftcert pool``: what there is to sell."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from giftcert.cli.errors import CommandError
from giftcert.cli.operators import By, operator, words
from giftcert.cli.output import AsJson, say
from giftcert.cli.running import run_to_end

if TYPE_CHECKING:
    from giftcert.people.retiring import Retirement, Retiring

app = typer.Typer(help="What there is to sell.", no_args_is_help=True)


@app.command()
def generate(
    product: Annotated[str, typer.Option(help="Of which product")],
    count: Annotated[int, typer.Option(min=1, max=5_000_000, help="How many")],
    as_json: AsJson = False,
) -> None:
    """Make certificates with numbers and sealed CVCs from a secure source."""
    from giftcert.cli import filling
    from giftcert.cli.reaching import reaching_database
    from giftcert.embedded.addresses import with_database
    from giftcert.settings import load_settings

    def progress(made: int) -> None:
        if not as_json:
            typer.echo(f"\r{made:,} of {count:,}", nl=made == count, err=True)

    async def work() -> None:
        settings, url = with_database(load_settings())
        with reaching_database(url):
            batch = await filling.generate(settings, product, count, progress)
        data = {"batchId": str(batch), "product": product, "count": count}
        say(data, f"{count:,} certificates of {product} made: batch {batch}", as_json=as_json)

    run_to_end(work)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Count the certificates of each product by status."""
    from giftcert.cli import filling
    from giftcert.cli.reaching import reaching_database
    from giftcert.embedded.addresses import with_database
    from giftcert.settings import load_settings

    async def work() -> None:
        settings, url = with_database(load_settings())
        with reaching_database(url):
            found = await filling.counts(settings)
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
    from giftcert.cli.reaching import reaching_database
    from giftcert.cli.workflows import nudging
    from giftcert.embedded.addresses import with_database
    from giftcert.people.deciding import Act
    from giftcert.people.retiring import Retiring
    from giftcert.settings import load_settings
    from giftcert.storage.engine import make_engine

    if (batch is None) == (certificate is None):
        raise CommandError("name either --batch or --certificate")
    act = Act(words(reason, "--reason"), operator(by))

    def progress(done: int) -> None:
        if not as_json:
            typer.echo(f"\r{done:,} withdrawn", nl=False, err=True)

    async def work() -> None:
        settings, url = with_database(load_settings())
        engine = make_engine(settings, "giftcert-pool")
        try:
            with reaching_database(url):
                nudge = await nudging(settings)
                retiring = Retiring(engine, settings.policy, act, nudge, progress)
                done = await _retire(retiring, batch, certificate)
        finally:
            await engine.dispose()
        if not as_json:
            typer.echo(err=True)  # ends the line of the progress
        data = {"retired": done.retired, "blocked": done.blocked, "statuses": done.statuses}
        text = f"{done.retired:,} retired, {done.blocked:,} blocked; now {_counts(done.statuses)}"
        say(data, text, as_json=as_json)
        if nudge is not None and nudge.is_away:
            typer.echo("Temporal is away: workflows learn of it at their next step", err=True)

    run_to_end(work)


async def _retire(retiring: "Retiring", batch: UUID | None, certificate: UUID | None) -> "Retirement":
    from giftcert.people.retiring import UnknownBatchError
    from giftcert.storage.certificates import UnknownCertificateError

    try:
        if certificate is not None:
            return await retiring.certificate(certificate)
        return await retiring.batch(batch or UUID(int=0))
    except UnknownCertificateError:
        raise CommandError(f"there is no certificate {certificate}") from None
    except UnknownBatchError:
        raise CommandError(f"there is no batch {batch}") from None


def _counts(statuses: dict[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in sorted(statuses.items()))
