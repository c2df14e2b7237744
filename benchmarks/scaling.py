"""What a load takes, from measured times: ``python -m benchmarks.scaling`` writes the tables of ``docs/scaling.md``.

Times come from ``docs/performance.md``, bytes and transactions from ``footprint.json``; constants say what is assumed.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.queueing import Station, quantile, response_times
from giftcert.plurals import counted
from giftcert.settings import Settings

HERE = Path(__file__).parent
FOOTPRINT = HERE / "footprint.json"
PERFORMANCE = HERE.parent / "docs" / "performance.md"
PAGE = HERE.parent / "docs" / "scaling.md"
BUSY = 0.6
"""Share of a processor that may be used at the peak; the rest is for bursts and for what has just died."""
SLO_SECONDS = 5.0
DAY = 86_400
Row = Sequence[str]


@dataclass(frozen=True)
class Load:
    """What comes; rates are of the busiest second."""

    certificates: int = 10_000_000
    """Sold in a year, and live for a year."""
    payments: float = 1_000
    sales: float = 50
    spent: float = 1.5
    """How often a certificate is spent."""

    @property
    def redemptions(self) -> float:
        """Purchases paid by certificate a second."""
        return self.sales * self.spent

    @property
    def goods(self) -> float:
        """Messages that concern no certificate: payments, and one order for two of these."""
        return (self.payments - 2 * self.sales - self.redemptions) * 1.5

    def times(self, factor: float) -> "Load":
        """Return the same mix, so many times as fast."""
        return replace(self, payments=self.payments * factor, sales=self.sales * factor)

    @property
    def rates(self) -> dict[str, float]:
        """Pieces of each kind of work a second."""
        return {"sale": self.sales, "redemption": self.redemptions, "goods": self.goods}


@dataclass(frozen=True)
class Footprint:
    """What a sale leaves behind and writes, and a certificate of the pool takes, by `benchmarks.footprint`."""

    pool_bytes: int
    kept_bytes: int
    passing_bytes: int
    wal_bytes: int
    commits: float
    history_bytes: int


@dataclass(frozen=True)
class Measured:
    """Processor milliseconds of a sale by part, rates a second, milliseconds from capture to announcement."""

    cpu: Mapping[str, float]
    redemptions: float
    goods: float
    dispatch: float
    announced: tuple[float, float]
    history_events: int
    actions: int
    footprint: Footprint | None
    """None until it was measured: then nothing is said of bytes."""

    @classmethod
    def read(cls) -> "Measured":
        """Read what the benchmarks wrote."""
        page = PERFORMANCE.read_text("utf-8")
        others = dict(re.findall(r"(api|kafka|postgres) ([\d.]+)", _row(page, "all, with")[0]))
        cpu = {
            "worker": _number(_row(page, "CPU of a sale: worker")[2]),
            "temporal": _number(_row(page, "Temporal")[2]),
            "ingest": _number(_row(page, "ingest and dispatch")[2]),
            **{part: float(milliseconds) for part, milliseconds in others.items()},
        }
        p50, p99 = re.findall(r"(\d+) ms", _row(page, "capture announced")[2])
        events, actions = map(int, _row(page, "history events")[2].split(" / "))
        return cls(
            cpu=cpu,
            redemptions=_number(_row(page, "redemptions")[2]),
            goods=_number(_row(page, "goods-only ingest")[2]),
            dispatch=_number(_row(page, "dispatch of a backlog")[2]),
            announced=(float(p50), float(p99)),
            history_events=events,
            actions=actions,
            footprint=Footprint(**json.loads(FOOTPRINT.read_text("utf-8"))) if FOOTPRINT.exists() else None,
        )


def _row(page: str, what: str) -> list[str]:
    line = next(line for line in page.splitlines() if line.startswith(f"| {what}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def _number(cell: str) -> float:
    found = re.search(r"[\d,.]+", cell)
    assert found, cell
    return float(found[0].replace(",", ""))


HOLD_CORES = 2
"""That the measurement of redemptions had, for API, PostgreSQL and clients together."""
SHARE_OF_WAKES, SHARE_OF_MESSAGES = 1 / 2, 1 / 3
"""Of a sale, that a redemption takes: it wakes its workflow once instead of twice, by one message instead of three."""
SHARD_SECONDS, SHARD_BUSY = 0.005, 0.1
"""A write keeps its history shard for so long, until it is replicated; a shard is to be busy for so small a share."""
SHARDS = 512
LARGEST_CORES, WAL_MB = 32, 500
"""Of a large server: processors, and WAL a second."""
ACTIONS_OF_REDEMPTION, ACTIONS_OF_END = 3, 2
"""Signal, task and timer; the look when the validity ends, and what it shows."""
PRICES = ((5, 50), (10, 45), (20, 40), (50, 35), (100, 30), (200, 25))
"""Temporal Cloud, pay as you go, in 2026: up to so many million actions a month, dollars for each million."""
ACTIVE_GB_HOUR, HOURS = 0.042, 744


def milliseconds(measured: Measured) -> dict[str, dict[str, float]]:
    """Return what each kind of work takes of the processors of each part."""
    cpu, hold = measured.cpu, 1000 * HOLD_CORES / measured.redemptions / 2
    return {
        "api": {"sale": cpu["api"], "redemption": hold},
        "ingest": {
            "sale": cpu["ingest"],
            "redemption": cpu["ingest"] * SHARE_OF_MESSAGES,
            "goods": 1000 / measured.goods,
        },
        "worker": {"sale": cpu["worker"], "redemption": cpu["worker"] * SHARE_OF_WAKES},
        "temporal": {"sale": cpu["temporal"], "redemption": cpu["temporal"] * SHARE_OF_WAKES},
        "postgres": {"sale": cpu["postgres"], "redemption": cpu["postgres"] * SHARE_OF_WAKES + hold},
        "kafka": {"sale": cpu["kafka"], "redemption": cpu["kafka"] * SHARE_OF_MESSAGES},
    }


def cores(measured: Measured, load: Load) -> dict[str, float]:
    """Return how many processors each part keeps busy at the peak."""
    return {
        part: sum(load.rates[kind] * taken / 1000 for kind, taken in kinds.items())
        for part, kinds in milliseconds(measured).items()
    }


def instances(busy: float) -> int:
    """Return how many processes of one thread that takes; two at least, so that one may go."""
    return max(2, math.ceil(busy / BUSY))


def shard_writes(measured: Measured, load: Load) -> float:
    """Return writes of Temporal's history a second: a signal, a task begun and a task ended for every three events."""
    return measured.history_events * (load.sales + load.redemptions * SHARE_OF_WAKES)


def shards(measured: Measured, load: Load) -> int:
    """Return how many history shards keep writes from waiting for each other, as a power of two."""
    return int(2 ** math.ceil(math.log2(shard_writes(measured, load) * SHARD_SECONDS / SHARD_BUSY)))


def price(actions: float) -> float:
    """Return dollars for so many actions of a month."""
    found, below = 0.0, 0.0
    for limit, dollars in PRICES:
        found += max(0.0, min(actions / 1e6, limit) - below) * dollars
        below = limit
    return found + max(0.0, actions / 1e6 - below) * PRICES[-1][1]


def actions_of_certificate(measured: Measured, load: Load) -> float:
    """Return the billable actions of a certificate's whole life."""
    return measured.actions + load.spent * ACTIONS_OF_REDEMPTION + ACTIONS_OF_END


# The tables ----------------------------------------------------------------------------------------------


def processes(measured: Measured, load: Load) -> Iterator[Row]:
    """How many of each process, and the connections that they may open."""
    yield "part", "busy processors", "processes", "unit that it is shared by"
    units = {
        "api": "connections",
        "ingest": "partitions of the input topics",
        "worker": "tasks of a channel's queue",
    }
    busy = cores(measured, load)
    for part, unit in units.items():
        count = instances(busy[part])
        per = " for each of 2 channels" if part == "worker" else ""
        count = max(2, math.ceil(count / 2)) if part == "worker" else count
        yield part, f"{busy[part]:.2f}", f"{count}{per}", unit
    yield "dispatch", "in ingest's", "2", "shards of the outbox"
    for part in ("temporal", "postgres", "kafka"):
        yield (
            part,
            f"{busy[part]:.2f}",
            counted(math.ceil(busy[part] / BUSY), "processor"),
            "servers of their own",
        )


def stores(measured: Measured, load: Load) -> Iterator[Row]:
    """What is written and kept."""
    pool_size = Settings.model_fields["database_pool_size"].default
    count = sum(instances(cores(measured, load)[part]) for part in ("api", "ingest", "worker")) + 2
    yield "what", "takes"
    if measured.footprint:
        yield from _bytes(measured.footprint, load)
    yield "PostgreSQL, connections", f"{count * pool_size} at most, {pool_size} for each process"
    yield "Kafka, partitions of each input topic", f"{partitions(measured, load)}"
    yield "Temporal, open workflows", f"{load.certificates:,}"
    yield "Temporal, writes of histories at the peak", f"{shard_writes(measured, load):,.0f}/s"
    yield (
        "Temporal, history shards",
        f"{shards(measured, load)} at least; {SHARDS}, as their number is for ever",
    )


def _bytes(footprint: Footprint, load: Load) -> Iterator[Row]:
    spent = 1 + load.spent * SHARE_OF_WAKES
    retention = Settings.model_fields["inbox_retention"].default.days
    kept = load.certificates * (footprint.pool_bytes + footprint.kept_bytes * spent)
    passing = load.certificates / 365 * retention * footprint.passing_bytes * spent
    writes = load.sales * spent
    yield "PostgreSQL, certificates, orders and events of a year", f"{kept / 1e9:,.0f} GB"
    yield f"PostgreSQL, originals and keys of {retention} days", f"{passing / 1e9:,.0f} GB"
    yield "PostgreSQL, transactions at the peak", f"{writes * footprint.commits:,.0f}/s"
    yield "PostgreSQL, WAL at the peak", f"{writes * footprint.wal_bytes / 1e6:,.1f} MB/s"
    yield "Temporal, histories", f"{load.certificates * footprint.history_bytes / 1e9:,.0f} GB"


def partitions(measured: Measured, load: Load) -> int:
    """Return the partitions of an input topic: twice the processes, so that shares stay even; 8 at least."""
    return int(max(8, 2 ** math.ceil(math.log2(2 * instances(cores(measured, load)["ingest"])))))


def prices(measured: Measured, load: Load) -> Iterator[Row]:
    """What Temporal Cloud would charge."""
    each = actions_of_certificate(measured, load)
    month = each * load.certificates / 12
    yield "Temporal Cloud, a month", "takes", "costs"
    yield "actions", f"{each:.1f} for each certificate, {month / 1e6:,.1f} M", f"${price(month):,.0f}"
    if measured.footprint:
        stored = load.certificates * measured.footprint.history_bytes / 1e9
        yield "histories of open workflows", f"{stored:,.0f} GB", f"${stored * HOURS * ACTIVE_GB_HOUR:,.0f}"


def walls(measured: Measured, load: Load) -> list[tuple[float, str, str]]:
    """Return by what factor the load may grow until each thing that cannot simply be had twice is full; least first."""
    busy, eight = cores(measured, load), 8
    events = 4 * load.sales + 2 * load.redemptions
    found = [
        (eight * BUSY / busy["ingest"], f"ingest on {eight} partitions", "more partitions, once and early"),
        (LARGEST_CORES * BUSY / busy["postgres"], f"PostgreSQL, {LARGEST_CORES} processors", "shards"),
        (
            SHARDS * SHARD_BUSY / SHARD_SECONDS / shard_writes(measured, load),
            f"Temporal, {SHARDS} history shards",
            "more shards, in a new cluster",
        ),
        (measured.dispatch * BUSY / events, "dispatch, one process", "a second takes half of the shards"),
    ]
    if measured.footprint:
        wal = (load.sales + load.redemptions * SHARE_OF_WAKES) * measured.footprint.wal_bytes / 1e6
        found.append((WAL_MB / wal, f"PostgreSQL, {WAL_MB} MB of WAL a second", "shards"))
    return sorted(found)


def wall_table(measured: Measured, load: Load) -> Iterator[Row]:
    """The same as a table."""
    yield "full first", "at", "moved by"
    for factor, what, how in walls(measured, load):
        yield what, f"{factor:,.0f} times: {factor * load.sales:,.0f} sales/s", how


def stations(measured: Measured, planned: Load) -> list[Station]:
    """Return what a message passes until what it did is announced, with the processes that a load takes.

    Goods are left out: they take less than a hundredth of ingest.
    """
    taken, busy = milliseconds(measured), cores(measured, planned)
    return [
        Station(
            part,
            instances(busy[part]),
            {kind: taken[part][kind] / 1000 / wakes for kind, wakes in WAKES.items()},
        )
        for part in ("ingest", "temporal", "worker", "postgres")
    ]


WAKES = {"sale": 2, "redemption": 1}
"""Messages that wake a certificate's workflow: of a sale the order and the capture."""


def message_rates(load: Load) -> dict[str, float]:
    """Return how many messages that wake a workflow come in a second."""
    return {kind: load.rates[kind] * wakes for kind, wakes in WAKES.items()}


def simulated_milliseconds(measured: Measured, load: Load, planned: Load) -> list[float]:
    """Return how long captures of sales take, beside what passes that no processor works."""
    found = response_times(stations(measured, planned), message_rates(load), "sale", count=15_000)
    return [1000 * seconds for seconds in found]


def waits(measured: Measured, planned: Load) -> float:
    """Return the milliseconds of the measured median in which no processor works: network, commits, looks."""
    slow = planned.times(5 / planned.sales)
    return max(0.0, measured.announced[0] - quantile(simulated_milliseconds(measured, slow, planned), 0.5))


def simulated(measured: Measured, load: Load) -> Iterator[Row]:
    """How long a capture takes until it is announced, with what is planned for the load."""
    yield "sales/s", "payments/s", "p50", "p99", "busiest"
    delay, row = waits(measured, load), stations(measured, load)
    for factor in FACTORS:
        now = load.times(factor)
        rates = message_rates(now)
        busiest = max(row, key=lambda station: station.utilization(rates))
        used = busiest.utilization(rates)
        times = simulated_milliseconds(measured, now, load)
        shown = [f"{quantile(times, part) + delay:,.0f} ms" for part in (0.5, 0.99)]
        if used >= 1:
            shown = ["grows"] * 2
        yield f"{now.sales:g}", f"{now.payments:,.0f}", *shown, f"{busiest.name}, {used:.0%}"


FACTORS = (0.1, 0.5, 1.0, 1.5, 2.0, 3.0)
TABLES = {
    "processes": processes,
    "stores": stores,
    "prices": prices,
    "walls": wall_table,
    "simulated": simulated,
}


def as_table(rows: Iterator[Row]) -> str:
    """Return rows in Markdown; the first is the head."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def filled(page: str, measured: Measured, load: Load) -> str:
    """Return a page with its tables made anew: each stands between two comments that name it."""
    for name, make in TABLES.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
        before, found, rest = page.partition(begin)
        assert found, f"{name} has no place in the page"
        page = before + begin + as_table(make(measured, load)) + end + rest.partition(end)[2]
    return page


def main() -> None:
    """Write the tables."""
    PAGE.write_text(filled(PAGE.read_text("utf-8"), Measured.read(), Load()), encoding="utf-8")


if __name__ == "__main__":
    main()
