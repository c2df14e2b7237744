"""Import of a million certificates, its memory, and the pool counted afterwards: ``python -m benchmarks.pool_import``.

The time of ``GET /pool`` is that of the whole call; beside it stands what counting the certificates themselves takes.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import asyncpg
import httpx

from benchmarks.stack import GIFTCERT, Stack, running_stack, token_of
from giftcert.domain.numbers import number_from_digits

CALLS = 100
_COUNT = "SELECT product_id, status, blocked, count(*) FROM certificates GROUP BY 1, 2, 3"


def _write(path: Path, rows: int) -> None:
    with path.open("w", encoding="ascii") as file:
        file.write("number,cvc\n")
        for nth in range(rows):
            file.write(f"{number_from_digits(f'4000{nth:011d}')},{nth % 1_000_000:06d}\n")


def _import(stack: Stack, file: Path) -> dict[str, Any]:
    """Import the file by the command, and return how long it took and the most memory that it had."""
    command = [*GIFTCERT, "pool", "import", str(file), "--product", "GC-5000", "--json"]
    began = time.monotonic()
    process = subprocess.Popen(command, env=stack.environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    answer = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    took = time.monotonic() - began
    return {
        "certificates": json.loads(answer)["count"],
        "seconds": round(took, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": round(used.ru_maxrss / 1024),
    }


async def _times(call: Callable[[], Awaitable[object]], calls: int) -> dict[str, float]:
    taken = []
    for _ in range(calls):
        began = time.perf_counter()
        await call()
        taken.append(1000 * (time.perf_counter() - began))
    return {"p50_ms": round(median(taken), 2), "p99_ms": round(quantiles(taken, n=100)[-1], 2)}


async def _counting(stack: Stack) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token_of(stack.environment, 'ops')}"}
    async with httpx.AsyncClient(base_url=stack.api_url, headers=headers, timeout=60) as client:
        (await client.get("/pool")).raise_for_status()
        kept = await _times(lambda: client.get("/pool"), CALLS)
    connection = await asyncpg.connect(stack.database_url)
    await connection.execute("SET statement_timeout = 0")
    counted = await _times(lambda: connection.fetch(_COUNT), 5)
    await connection.close()
    return {"get_pool": kept, "counting_certificates": counted}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with running_stack(pool=0, settings={"GIFTCERT_EMBEDDED_POOL": "0"}) as stack:
        file = stack.folder / "certificates.csv"
        _write(file, rows)
        print(f"{rows:,} rows written", file=sys.stderr, flush=True)
        figures = {"import": _import(stack, file), **asyncio.run(_counting(stack))}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
