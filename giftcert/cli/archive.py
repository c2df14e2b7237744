"""``giftcert archive``: events of past months as Parquet, and the comparison of all that is said of them."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from giftcert.cli.connections import check_kafka, connected, database_settings, reaching_kafka
from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import to_its_end
from giftcert.cli.groups import Group
from giftcert.cli.output import AsJson, say, say_progress
from giftcert.embedded.addresses import with_running_stack
from giftcert.plurals import counted
from giftcert.security.keys import keyring_of

if TYPE_CHECKING:
    from giftcert.archive.archive import Archive, Checked

app = typer.Typer()
archive = typer.Typer(help="Events of past months as files of Parquet.", cls=Group)
app.add_typer(archive, name="archive")
Folder: TypeAlias = Annotated[Path, typer.Option(help="The folder of the archive", file_okay=False)]
_FOLDER = Path("giftcert-archive")


@archive.command()
@to_its_end
async def write(folder: Folder = _FOLDER, as_json: AsJson = False) -> None:
    """Write every month that is over and not there yet, once all its events are in the audit chain."""
    async with _opened(folder) as opened:
        months = await opened.write(_progress(as_json=as_json))
    text = (
        f"{', '.join(map(str, months))} written under {folder}"
        if months
        else "nothing to write: no month is new"
    )
    say({"folder": str(folder), "written": list(map(str, months))}, text, as_json=as_json)


@archive.command()
@to_its_end
async def check(folder: Folder = _FOLDER, as_json: AsJson = False) -> int:
    """Compare each archived event with audit chain, stream and database; fold all certificates from the stream alone.

    Ends with 1 if anything differs.
    """
    async with _opened(folder) as opened:
        await check_kafka(opened.settings)
        with reaching_kafka(opened.settings):
            found = await opened.check(_progress(as_json=as_json))
    say(_as_data(found), "\n".join(_as_lines(found)), as_json=as_json)
    return 0 if found.holds else 1


@asynccontextmanager
async def _opened(folder: Path) -> AsyncIterator["Archive"]:
    settings = with_running_stack(database_settings())
    with _duckdb():
        from giftcert.archive.archive import Archive  # noqa: PLC0415 - an extra of the package
        from giftcert.archive.months import ArchiveError  # noqa: PLC0415
    async with connected(settings, "archive") as database:
        try:
            yield Archive(folder, database, settings, keyring_of(settings))
        except ArchiveError as error:
            raise CommandError(str(error)) from error


@contextmanager
def _duckdb() -> Iterator[None]:
    """Say how to install what only these commands and reports need, where it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise CommandError(
            f"{error.name} is not installed: `pip install 'giftcert[bi]'` adds what the archive needs"
        ) from error


def _progress(*, as_json: bool) -> Any:  # noqa: ANN401 - a function
    return lambda what, done, total: say_progress(f"{what}: ", done, total, as_json=as_json)


def _as_data(found: "Checked") -> dict[str, Any]:
    return {
        "holds": found.holds,
        "months": found.months,
        "events": found.events,
        "differences": [
            {"from": one.source, "count": one.count, "first": list(one.first)} for one in found.differences
        ],
        "rebuilt": found.rebuilt,
        "underWay": found.under_way,
        "notRebuilt": found.not_rebuilt,
        "firstNotRebuilt": list(map(str, found.first_not_rebuilt)),
    }


def _as_lines(found: "Checked") -> list[str]:
    of = f"{counted(found.events, 'event')} of {counted(found.months, 'month')}"
    lines = [f"{of}: as in the audit chain, on the stream and in the database"]
    if found.differences:
        lines = [
            f"{counted(one.count, 'event')} not as in the {one.source}: {', '.join(one.first)}"
            for one in found.differences
        ]
    lines.append(
        f"{counted(found.rebuilt, 'certificate')} folded from the stream alone to what the database says"
    )
    lines += [f"{found.under_way:,} changed meanwhile, or wait for dispatch: not judged"] * bool(
        found.under_way
    )
    lines += [f"{counted(found.not_rebuilt, 'certificate')} not as the stream says"] * bool(found.not_rebuilt)
    return [*lines, *map(str, found.first_not_rebuilt)]
