"""``giftcert bi``: a file of DuckDB for analysts, Parquet by day, and the report."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, cast, get_args

import msgspec
import typer

from giftcert.cli.connections import check_kafka, reaching_kafka
from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import to_its_end
from giftcert.cli.groups import Group
from giftcert.cli.output import AsJson, say, say_progress, stamp
from giftcert.clock import utc_now
from giftcert.contracts.inputs import MalformedRecord, UnknownEventTypeError
from giftcert.contracts.payment_formats import payment_decoder
from giftcert.embedded.addresses import with_running_stack
from giftcert.kafka_connection import connection_options
from giftcert.plurals import counted
from giftcert.settings import Settings, load_settings
from giftcert.texts import Language

if TYPE_CHECKING:
    from giftcert.bi.topic_reader import Loaded
    from giftcert.bi.warehouse import Warehouse

app = typer.Typer(name="bi", help="Figures out of the topics.", cls=Group)
File: TypeAlias = Annotated[Path, typer.Option(help="The file of DuckDB", dir_okay=False)]
_FILE = Path("giftcert-bi.duckdb")
_DAY = ["%Y-%m-%d"]


@app.command()
@to_its_end
async def load(
    file: File = _FILE,
    parquet: Annotated[
        Path | None, typer.Option(help="Also write Parquet by day under this folder", file_okay=False)
    ] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Fill the file anew from the beginning")] = False,
    as_json: AsJson = False,
) -> None:
    """Fill the file from the stream, the orders and the payments: with all that came since it was filled last."""
    settings = with_running_stack(load_settings(), ["kafka_bootstrap_servers"])
    await check_kafka(settings)
    with _bi():
        from giftcert.bi.parquet_export import export  # noqa: PLC0415 - an extra of the package

        target = file.with_name(f"{file.name}.new") if rebuild else file
        if rebuild:
            target.unlink(missing_ok=True)
        warehouse, exported = _opened(target, settings), 0
        try:
            with reaching_kafka(settings):
                loaded = await _loaded(settings, warehouse, as_json=as_json)
            if parquet is not None:
                exported = export(warehouse, parquet)
        finally:
            warehouse.close()
        if rebuild:  # until here the old file serves
            target.replace(file)
    _say_loaded(file, loaded, parquet, exported, as_json=as_json)


@app.command()
def report(
    file: File = _FILE,
    output: Annotated[Path, typer.Option(help="The page to write", dir_okay=False)] = Path(
        "giftcert-bi.html"
    ),
    language: Annotated[
        str | None, typer.Option(help="en or ru; left out: as GIFTCERT_LANGUAGE says")
    ] = None,
    first: Annotated[datetime | None, typer.Option("--from", formats=_DAY, help="First day")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=_DAY, help="Last day")] = None,
    verification: Annotated[
        Path | None,
        typer.Option("--verify", help="What `giftcert verify --json` printed, to be shown beside"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write one page of figures, with their definitions and SQL, and compare them with what the service counts."""
    with _bi():
        from giftcert.bi.report import Period, render  # noqa: PLC0415
        from giftcert.bi.warehouse import Warehouse  # noqa: PLC0415

        warehouse = Warehouse.open_to_read(file)
        try:
            period = Period(first and first.date(), last and last.date())
            found = render(warehouse, _language(language), period, _verification(verification), utc_now())
        finally:
            warehouse.close()
    output.write_text(found.page, "utf-8")
    data = {"page": str(output), "differences": found.differences}
    differs = f", {counted(found.differences, 'difference')} from audit.snapshot" if found.differences else ""
    say(data, f"{output} written{differs}", as_json=as_json)


@contextmanager
def _bi() -> Iterator[None]:
    """Say how to install what only these commands need, where it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise CommandError(
            f"{error.name} is not installed: `pip install 'giftcert[bi]'` adds what reports need"
        ) from error


def _opened(path: Path, settings: Settings) -> "Warehouse":
    from giftcert.bi.warehouse import Warehouse  # noqa: PLC0415

    path.parent.mkdir(parents=True, exist_ok=True)
    return Warehouse.open(path, settings.bi_time_zone)


async def _loaded(settings: Settings, warehouse: "Warehouse", *, as_json: bool) -> "Loaded":
    from giftcert.bi import topic_reader  # noqa: PLC0415
    from giftcert.bi.warehouse import Source  # noqa: PLC0415

    sources = [
        Source(settings.topic_stream, "read_stream.sql"),
        Source(settings.topic_orders, "read_orders.sql"),
        Source(settings.topic_payments, "read_payments.sql", in_contract_format(settings)),
    ]
    progress = lambda done, total: say_progress("records: ", done, total, as_json=as_json)  # noqa: E731
    return await topic_reader.load(warehouse, connection_options(settings), sources, utc_now, progress)


def in_contract_format(settings: Settings) -> Callable[[bytes], bytes] | None:
    """Return what translates payments of another format that is set; what it cannot read it returns as it is."""
    if settings.payments_format == "contract":
        return None
    decode = payment_decoder(settings)

    def translated(value: bytes) -> bytes:
        try:
            return msgspec.json.encode(decode(value))
        except (MalformedRecord, UnknownEventTypeError):
            return value

    return translated


def _say_loaded(file: Path, loaded: "Loaded", parquet: Path | None, exported: int, *, as_json: bool) -> None:
    data = {
        "file": str(file),
        "records": loaded.records,
        "repeats": loaded.repeats,
        "gone": loaded.gone,
        "readUntil": stamp(loaded.read_until),
        "parquet": None if parquet is None else {"folder": str(parquet), "files": exported},
    }
    repeats = f", {counted(loaded.repeats, 'repeat')} left out" if loaded.repeats else ""
    lines = [f"{counted(loaded.records, 'record')} read into {file}{repeats}"]
    lines += [
        f"{counted(count, 'record')} of {topic} deleted by Kafka before they were read"
        for topic, count in loaded.gone.items()
    ]
    lines += [f"{counted(exported, 'file')} of Parquet written under {parquet}"] * (parquet is not None)
    say(data, "\n".join(lines), as_json=as_json)


def _language(given: str | None) -> Language:
    if given is None:
        return load_settings().language
    if given not in get_args(Language):
        raise CommandError(f"--language is en or ru, not {given}")
    return cast("Language", given)


def _verification(path: Path | None) -> Any:  # noqa: ANN401 - decoded JSON
    """Read what `verify` printed, and nothing else that JSON may be."""
    if path is None:
        return None
    try:
        found = json.loads(path.read_text("utf-8"))
        is_known = {"invariants", "holds"} <= found.keys()
    except (OSError, ValueError, AttributeError):
        is_known = False
    if not is_known:
        raise CommandError(f"{path} is not what `giftcert verify --json` printed")
    return found
