"""What a sale leaves behind and writes: ``python -m benchmarks.footprint`` prints ``benchmarks/footprint.json``.

Bytes, rows and transactions, which a busy machine changes little; `benchmarks.scaling` computes with them.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from temporalio.client import Client

from benchmarks.sales import Shop, open_shop
from benchmarks.stack import Stack, running_stack

SALES = 600
WARM_UP = 200
"""Until every table and index has more than its first page."""
AT_ONCE = 20
COUNTED_SECONDS = 11
"""Until idle connections have handed in what they counted."""
PASSING = ("inbox", "idempotency_keys", "outbox", "pending")
"""Tables whose rows leave: after the time that a setting names, or once they are dealt with."""
_STATE = """
    SELECT (SELECT count(*) FROM certificates) AS certificates,
        (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()) AS commits,
        pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS wal
"""
_TABLES = """
    SELECT c.relname, pg_total_relation_size(c.oid) AS bytes FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind IN ('r', 'm')
"""


@dataclass(frozen=True)
class Look:
    """PostgreSQL at one instant."""

    certificates: int
    commits: int
    wal: int
    tables: Mapping[str, int]

    @classmethod
    async def at(cls, url: str) -> "Look":
        """Look."""
        connection = await asyncpg.connect(url)
        try:
            await asyncio.sleep(COUNTED_SECONDS)
            state = await connection.fetchrow(_STATE)
            tables = {row["relname"]: row["bytes"] for row in await connection.fetch(_TABLES)}
            assert state is not None
            return cls(int(state["certificates"]), int(state["commits"]), int(state["wal"]), tables)
        finally:
            await connection.close()


async def sell(shop: Shop, count: int) -> list[str]:
    """Sell so many, some at once."""
    waiting = iter(range(count))

    async def one_after_another() -> list[str]:
        return [await shop.sell() for _ in waiting]

    return [
        one for some in await asyncio.gather(*(one_after_another() for _ in range(AT_ONCE))) for one in some
    ]


async def measure(stack: Stack) -> dict[str, float]:
    """Return bytes, transactions and events of a sale."""
    async with open_shop(stack) as shop:
        await sell(shop, WARM_UP)
        before = await Look.at(stack.database_url)
        sold = await sell(shop, SALES)
        after = await Look.at(stack.database_url)
        handle = (await Client.connect(stack.temporal)).get_workflow_handle(f"certificate-{sold[0]}")
        history = (await handle.describe()).raw_description.workflow_execution_info.history_size_bytes
    grown = {name: after.tables[name] - before.tables.get(name, 0) for name in after.tables}
    passing = sum(size for name, size in grown.items() if name.startswith(PASSING))
    pool = sum(before.tables[name] for name in ("certificates", "certificate_secrets"))
    return {
        "pool_bytes": round(pool / before.certificates),
        "commits": round((after.commits - before.commits) / SALES, 1),
        "wal_bytes": round((after.wal - before.wal) / SALES),
        "kept_bytes": round((sum(grown.values()) - passing) / SALES),
        "passing_bytes": round(passing / SALES),
        "history_bytes": history,
    }


def main() -> None:
    """Measure and keep the figures."""
    with running_stack(pool=2_000) as stack:
        found = asyncio.run(measure(stack))
    printed = json.dumps(found, indent=1)
    Path(__file__).with_name("footprint.json").write_text(f"{printed}\n", encoding="utf-8")
    print(printed)


if __name__ == "__main__":
    main()
