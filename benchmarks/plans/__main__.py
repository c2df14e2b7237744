"""``python -m benchmarks.plans fill|record|explain``: what ``specs/plans`` holds, made anew.

``fill`` fills a database with a year of the service and stores its statistics: after a change of tables or indexes.
``record`` adds what the tests, all or those that are named, have the product send, and drops what no source says any
more: after a change of statements. Both end with ``explain``, which stores the plan of each statement.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from benchmarks.measurement import new_folder, servers
from benchmarks.plans import explain, sources, statistics
from benchmarks.year import fill_year, new_keyring, scatter
from giftcert.storage.migrate import migrate


@contextmanager
def _postgres(folder: Path) -> Iterator[dict[str, str]]:
    with servers(folder, "postgres", "--throw-away") as addresses:
        migrate(addresses["database_owner_url"])
        yield addresses


async def _fill(addresses: dict[str, str], folder: Path, pool: int, sold: int) -> None:
    owner_url = addresses["database_owner_url"]
    keyring = new_keyring(folder)
    await fill_year(addresses["database_url"], owner_url, keyring, pool, sold, live=sold // 10, sealed=100)
    owner = await asyncpg.connect(owner_url)
    await scatter(owner)
    statistics.write(await statistics.export(owner))
    await owner.close()


def _record(tests: list[str], folder: Path) -> explain.Plans:
    """Return the statements that the tests have the product send, and, if not all are run, those stored."""
    recorded = folder / "recorded"
    recorded.touch()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "benchmarks.plans.statements", "-n", "2"]
    environment = os.environ | {"RECORD_STATEMENTS": str(recorded)}
    subprocess.run(
        [*command, "--dist", "loadfile", *(tests or ["tests/integration"])], env=environment, check=False
    )
    found = explain.stored() if tests else {}
    for line in recorded.read_text(encoding="utf-8").splitlines():
        module, statement = json.loads(line)
        found.setdefault(module, {}).setdefault(statement, "")
    return found


async def _explain(addresses: dict[str, str], folder: Path, plans: explain.Plans) -> None:
    owner = await asyncpg.connect(addresses["database_owner_url"])
    await statistics.impersonate(owner, statistics.read(), folder / "state" / "postgres" / "data")
    await owner.close()
    wanted = {
        module: sources.needed(filter(sources.is_said, statements)) for module, statements in plans.items()
    }
    known = set().union(*wanted.values())
    for module in sources.modules():
        wanted.setdefault(module, set()).update(sources.whole_statements(module) - known)
    made = await explain.plans_of(addresses["database_owner_url"], wanted)
    for file in explain.FOLDER.glob("*.txt"):
        file.unlink()
    for module, said in made.items():
        if said:
            explain.file_of(module).write_text(explain.written(said), encoding="utf-8")


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plans", description=__doc__)
    parser.add_argument("what", choices=("fill", "record", "explain"))
    parser.add_argument("tests", nargs="*", help="for record")
    parser.add_argument("--pool", type=int, default=1_000_000)
    parser.add_argument("--sold", type=int, default=100_000)
    chosen = parser.parse_args()
    with new_folder() as folder:
        if chosen.what == "fill":
            with _postgres(folder / "filled") as addresses:
                asyncio.run(_fill(addresses, folder, chosen.pool, chosen.sold))
        plans = _record(chosen.tests, folder) if chosen.what == "record" else explain.stored()
        with _postgres(folder / "empty") as addresses:
            asyncio.run(_explain(addresses, folder / "empty", plans))


if __name__ == "__main__":
    main()
