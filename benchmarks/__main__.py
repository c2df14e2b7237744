"""All measurements, written to ``docs/performance.md``: ``make bench``."""

import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from os import cpu_count
from pathlib import Path
from typing import Any

PAGE = Path("docs/performance.md")
HEAD = """# Performance

Written by `make bench` on {day}: {cores} cores, {system}, Python {python}. Each figure stands beside its floor, \
measured by turns in the same run; medians of five rounds. Compare the ratios: absolute rates are this machine's.

| what | floor | service | ratio | target |
|---|---|---|---|---|
"""
TAIL = """
- **Reservations**: `GET /certificates/next` with token, Idempotency-Key and the event `issue.reserved`, 16 \
connections; the floor is FastAPI around one bare `SKIP LOCKED` claim. `python -m benchmarks.reservations`.
- **Whole sales**: reserve over HTTP, order, authorise and capture on Kafka, `issue.completed` read from the stream, \
50 at a time, everything on this machine; the floor is a raw Temporal workflow with the same three signals and no \
activity on the same server. `python -m benchmarks.sales`.
- **Goods orders and their payments**: one ingest process, to the commit in PostgreSQL; the floor is bare aiokafka \
`getmany` of the same bytes. `python -m benchmarks.ingest`.
"""


def measured(module: str) -> Any:  # noqa: ANN401 - each prints its own JSON
    """Run one measurement and return what it printed."""
    print(f"measuring {module} ...", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", f"benchmarks.{module}"]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(answer[answer.index("{") :])


def row(what: str, floor: float, service: float, ratio: float, target: float) -> str:
    """Return a line of the table."""
    return f"| {what} | {floor:,.0f}/s | {service:,.0f}/s | **{ratio:.2f}** | {target} |\n"


def main() -> None:
    """Measure and write the page."""
    reservations, sales, ingest = measured("reservations"), measured("sales"), measured("ingest")
    page = HEAD.format(
        day=datetime.now(UTC).date(),
        cores=cpu_count(),
        system=platform.system(),
        python=platform.python_version(),
    )
    page += row(
        "reservations",
        reservations["floor"]["rate"],
        reservations["service"]["rate"],
        reservations["ratio"],
        0.5,
    )
    page += row("whole sales", sales["floor_per_second"], sales["sales_per_second"], sales["ratio"], 0.3)
    page += row("goods orders and payments", ingest["floor"], ingest["service"], ingest["ratio"], 0.25)
    page += (
        f"\nA reservation takes p50 {reservations['service']['p50']} ms, p99 {reservations['service']['p99']} ms"
        f" under that load. At 5 sales a second a capture is announced (`notification.requested` read from the"
        f" stream) after p50 {sales['announced_p50']} ms (target 120), p99 {sales['announced_p99']} ms. A sale takes"
        f" {sales['history_events']:g} history events and {sales['actions']:g} billable Temporal actions.\n"
    )
    PAGE.write_text(page + TAIL)
    print(page)


if __name__ == "__main__":
    main()
