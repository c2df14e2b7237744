"""``giftcert pool``: what there is to sell."""

from typing import Annotated

import typer

from giftcert.cli.output import AsJson, say
from giftcert.cli.running import run_to_end

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


def _counts(statuses: dict[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in sorted(statuses.items()))
