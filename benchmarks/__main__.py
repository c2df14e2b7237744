"""All measurements, written to ``docs/performance.md``: ``make bench``."""

import json
import platform
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from os import cpu_count
from pathlib import Path
from typing import Any

from benchmarks import scaling

PAGE = Path("docs/performance.md")
MEASUREMENTS = ("order_fold", "polling_pages", "reservations", "redemptions", "ingest", "dispatch", "sales")
HEAD = """# Performance

Written by `make bench` on {day}: {cores} cores, {system}, Python {python}. Each figure stands beside its floor, \
measured by turns in the same run; medians of five rounds. Compare the ratios: absolute rates are this machine's. \
**Reach** is what each release has to hold, **aim** what we work towards.

| what | floor | service | ratio | reach | aim |
|---|---|---|---|---|---|
"""
TAIL = """
- **Whole sales**: reserve over HTTP, order, authorise and capture on Kafka, `issue.completed` read from the stream, \
50 at a time, everything on this machine; the floor is a raw Temporal workflow with the same three signals and no \
activity on the same server. Announced: from a capture to `notification.requested` read from the stream, at 5 sales a \
second. `python -m benchmarks.sales`.
- **Reservations**: `GET /certificates/next` with token, Idempotency-Key and the event `issue.reserved`, 16 \
connections; the floor is FastAPI around one bare `SKIP LOCKED` claim a request. `python -m benchmarks.reservations`.
- **Redemptions**: `POST /redemptions` with token, number, CVC and Idempotency-Key, 16 connections; the floor is \
FastAPI around one bare guarded UPDATE and INSERT in one transaction. `python -m benchmarks.redemptions`.
- **Dispatch**: a backlog of events to the stream; the floor is a bare idempotent producer of the same bytes. \
`python -m benchmarks.dispatch`.
- **Goods-only ingest**: one ingest process, to the commit in PostgreSQL; the floor is bare aiokafka `getmany` of the \
same bytes. `python -m benchmarks.ingest`.
- **One more message**: folded into an order of 100 lines, 50 refunds and 1,500 captures, the slowest kind of message, \
CPU time. `python -m benchmarks.order_fold`.
- **A look for events**: pages that dispatch reads when nothing waits, on an empty table and after 400,000 events \
without vacuum. `python -m benchmarks.polling_pages`.
"""


def measured(module: str) -> Any:  # noqa: ANN401 - each prints its own JSON
    """Run one measurement and return what it printed."""
    print(f"measuring {module} ...", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", f"benchmarks.{module}"]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(answer[answer.index("{") :])


def rows(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the lines of the table: what, floor, service, ratio, reach, aim."""
    sales, claims, holds = found["sales"], found["reservations"], found["redemptions"]
    yield _rates("whole sales", sales, "0.65", "0.9")
    counts = f"{sales['history_events']:g} / {sales['actions']:g}"
    yield "history events / billable actions of a sale", "", counts, "", "12 / 6", ""
    announced = f"p50 {sales['announced_p50']:.0f} ms, p99 {sales['announced_p99']:.0f} ms"
    yield "capture announced, at 5 sales/s", "", announced, "", "p50 40 ms, p99 100 ms", ""
    yield _rates("reservations", claims, "1.0", "1.5")
    times = [f"{claims[side]['p99']} ms" for side in ("floor", "service")]
    yield "their p99", *times, f"**{claims['p99_ratio']:.2f}**", "at most 1.2", ""
    yield _rates("redemptions", holds, "0.35", "0.6")
    yield _rates("dispatch of a backlog", found["dispatch"], "0.4", "0.6")
    yield _rates("goods-only ingest", found["ingest"], "0.40", "0.6")
    slowest = f"{found['order_fold']['slowest_ms']:.0f} ms"
    yield "one more message of a large order", "", slowest, "", "50 ms", "10 ms"
    pages = [f"{found['polling_pages'][when]['look']} pages" for when in ("empty", "after")]
    yield "a look for events after 400,000", *pages, "", "the same few", ""
    cpu = sales["cpu_ms"]
    pair = cpu["ingest"] + cpu["dispatch"]
    yield "CPU of a sale: worker", "", f"{cpu['worker']:.1f} ms", "", "9 ms", ""
    yield "Temporal", f"{sales['floor_temporal_ms']} ms", f"{cpu['temporal']:.1f} ms", "", "12 ms", ""
    yield "ingest and dispatch", "", f"{pair:.1f} ms", "", "6 ms", ""
    others = ", ".join(f"{name} {cpu[name]:.1f}" for name in ("api", "kafka", "postgres"))
    yield f"all, with {others}", "", f"{sum(cpu.values()):.1f} ms", "", "", "35 ms"


def _rates(what: str, found: dict[str, Any], reach: str, aim: str) -> tuple[str, ...]:
    sides = [
        found[side]["rate"] if isinstance(found[side], dict) else found[side] for side in ("floor", "service")
    ]
    return what, *(f"{rate:,.0f}/s" for rate in sides), f"**{found['ratio']:.2f}**", reach, aim


def main() -> None:
    """Measure and write the page."""
    found = {module: measured(module) for module in MEASUREMENTS}
    page = HEAD.format(
        day=datetime.now(UTC).date(),
        cores=cpu_count(),
        system=platform.system(),
        python=platform.python_version(),
    )
    page += "".join(f"| {' | '.join(row)} |\n" for row in rows(found))
    PAGE.write_text(page + TAIL)
    scaling.main()  # computes with these figures
    print(page)


if __name__ == "__main__":
    main()
