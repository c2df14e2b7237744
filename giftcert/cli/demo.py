"""``giftcert demo``: the simulators against a running stack, or against a fresh one of its own."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from giftcert.cli.connections import connected
from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import run_until_stopped, to_its_end
from giftcert.cli.output import AsJson, say_step
from giftcert.embedded.addresses import Addresses, running_addresses, with_running_stack
from giftcert.embedded.stack import whole_stack
from giftcert.product_file import read_products
from giftcert.settings import Settings, load_settings
from giftcert.storage.products import ProductRepository

app = typer.Typer()
_USAGE = 2  # what argparse ends with


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def demo(
    context: typer.Context,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running until Ctrl-C")] = False,
    as_json: AsJson = False,
) -> int:
    """Sell, cancel and refund in both channels and check the outcome.

    Further options go to the simulators: --sales 300, --goods 3000, --pace 15 stories a second, --patience 90 seconds.
    """
    arguments = [*context.args, *(["--json"] if as_json else [])]
    settings, wanted = load_settings(), _demo_settings(arguments)
    running = running_addresses(settings)
    if running.api_url is not None:
        if sells_for_demo(settings, Path(wanted["GIFTCERT_PRODUCTS_FILE"])):
            if keep:
                raise CommandError("--keep: the demo plays on the stack that runs here, which goes on anyway")
            return to_its_end(_play)(running, settings.state_dir, arguments)
        say_step("the stack that runs here does not have the demo's products: the demo starts one of its own")
    return _on_its_own(settings.state_dir / "demo", arguments, wanted, keep=keep, as_json=as_json)


@to_its_end
async def sells_for_demo(settings: Settings, products_file: Path) -> bool:
    """Return whether the running stack was started with the products of the demo, whose deadlines are short."""
    wanted = {line.id for line in read_products(settings.model_copy(update={"products_file": products_file}))}
    settings = with_running_stack(settings, ["database_url"])
    async with connected(settings, "demo") as database, database.connection() as connection:
        return wanted <= set(await ProductRepository(connection).all())


def _on_its_own(
    state_dir: Path, arguments: Sequence[str], chosen: Mapping[str, str], *, keep: bool, as_json: bool
) -> int:
    """Start a stack under the demo's own settings, on a state that earlier demos have not used up."""
    for name, value in chosen.items():
        os.environ.setdefault(name, value)  # for this process and for the parts that it starts
    os.environ["GIFTCERT_STATE_DIR"] = str(state_dir.resolve())
    shutil.rmtree(state_dir, ignore_errors=True)
    code = 1

    async def work() -> None:
        nonlocal code
        report = lambda part, line: typer.echo(f"{part:<10} {line}", err=as_json)  # noqa: E731
        async with whole_stack(Settings(), report, any_free_port=True) as ready:
            folder = ready.state_folder
            code = await _play(ready.addresses, folder, [*arguments, *([] if keep else ["--stack-ends"])])
            if keep:
                typer.echo(
                    f"all goes on until Ctrl-C; logs in {folder / 'logs'}; commands find it by", err=as_json
                )
                typer.echo(f"  export GIFTCERT_STATE_DIR={folder}", err=as_json)
                await asyncio.Event().wait()

    run_until_stopped(work, insist=False)
    return code


def _demo_settings(arguments: Sequence[str]) -> dict[str, str]:
    """Ask the simulators which settings their stories need, and whether they take these options."""
    command = [sys.executable, "-m", "simulators.demo_environment", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own module
    if answer.returncode == _USAGE:
        raise CommandError(answer.stderr.strip().rpartition("error: ")[2])
    if answer.returncode != 0:
        raise CommandError("the simulators are not installed: run the demo from a clone")
    settings: dict[str, str] = json.loads(answer.stdout)
    return settings


async def _play(addresses: Addresses, state_folder: Path, arguments: Sequence[str]) -> int:
    environment = {
        **os.environ,
        **addresses.environment(),
        "GIFTCERT_STATE_DIR": str(state_folder),
        "SIMULATORS_API_URL": addresses.api_url or "",
        "SIMULATORS_KAFKA_BOOTSTRAP_SERVERS": addresses.kafka_bootstrap_servers or "",
    }
    command = (sys.executable, "-m", "simulators.demo", *arguments)
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
