"""What the one who watches sees: progress while it runs, then a summary, then the tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from simulators.demo.findings import Finding
from simulators.demo.latency import percentile
from simulators.demo.outcomes import SOLD_MEANS
from simulators.money import CURRENCY, money_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The outcome of a run: amounts in minor units, times in seconds, ``issued`` per channel."""

    scenarios: Sequence[Finding]
    checks: Sequence[Finding]
    seconds: float
    issued: Mapping[str, int]
    goods_orders: int
    figures: Mapping[str, int]
    latency: Mapping[str, Sequence[float]]
    waiting_refunds: int
    web_url: str | None  # of one of them

    @property
    def missed(self) -> list[Finding]:
        """What is not as expected."""
        return [one for one in (*self.scenarios, *self.checks) if not one.holds]

    @property
    def as_expected(self) -> bool:
        """Whether everything is, a refund that waits for a person included."""
        return not self.missed and self.web_url is not None


def progress_on(console: Console) -> Progress:
    """Return the live bars; where nobody watches a terminal, only their last state is shown."""
    return Progress(
        TextColumn("{task.description}", justify="left"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def show(console: Console, result: Result, *, stack_ends: bool) -> None:
    """Print the summary, then the outcome of each scenario and check.

    ``stack_ends``: no link into what is about to be stopped is shown.
    """
    verdict = (
        "[bold green]Everything is as expected.[/]"
        if result.as_expected
        else "[bold red]Not everything is as expected.[/]"
    )
    console.print(f"\n{verdict}")
    summary = Table.grid(padding=(0, 2))
    for name, text in _summary(result):
        summary.add_row(Text(name, style="bold"), Text(text))
    console.print(summary)
    console.print(_waiting(result, stack_ends=stack_ends), soft_wrap=True, markup=False, highlight=False)
    for one in result.missed:
        expected, seen = (text.replace("\n", f"\n{' ' * 11}") for text in (one.expected, one.seen))
        missed = f"\n{one.subject}\n  expected {expected}\n  seen     {seen}"
        console.print(missed, style="red", soft_wrap=True, markup=False)
    console.print(f"\n[bold]Scenarios[/]; {SOLD_MEANS}")
    console.print(_table(result.scenarios, ("", "scenario", "played", "outcome")))
    console.print("\n[bold]What is always true[/]")
    console.print(_table(result.checks, ("", "check", "outcome")))


def as_json(result: Result, *, stack_ends: bool) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "asExpected": result.as_expected,
        "seconds": round(result.seconds, 1),
        "issued": dict(result.issued),
        "goodsOrders": result.goods_orders,
        "scenarios": [asdict(one) for one in result.scenarios],
        "checks": [asdict(one) for one in result.checks],
        "figures": {
            name: {"amount": amount, "currency": CURRENCY} for name, amount in result.figures.items()
        },
        "latencySeconds": {name: _percentiles(times) for name, times in result.latency.items()},
        "waitingRefunds": result.waiting_refunds,
        "webUrl": None if stack_ends else result.web_url,
    }


def _summary(result: Result) -> Iterator[tuple[str, str]]:
    channels = ", ".join(f"{count:,} by {channel}" for channel, count in sorted(result.issued.items()))
    yield "certificates sold", f"{sum(result.issued.values()):,} ({channels}) in {result.seconds:.0f} s"
    yield "orders of goods", f"{result.goods_orders:,}"
    yield "refunds waiting", f"{result.waiting_refunds:,}"
    yield "scenarios", _share(result.scenarios)
    yield "checks", _share(result.checks)
    for name, amount in result.figures.items():
        yield f"BI: {name}", money_text(amount)
    for name, times in result.latency.items():
        found = (
            f"{part} {1_000 * time:,.0f} ms" for part, time in _percentiles(times).items() if time is not None
        )
        yield f"latency: {name}", f"{', '.join(found) or 'not measured'} of {len(times):,}"


def _share(findings: Sequence[Finding]) -> str:
    return f"{sum(one.holds for one in findings)} of {len(findings)} as expected"


def _waiting(result: Result, *, stack_ends: bool) -> str:
    if result.web_url is None:
        return "No refund waits for a person."
    if stack_ends:
        return "`make demo KEEP=1` leaves all running to look at the refunds that wait for a person."
    return f"A refund that waits for a person: {result.web_url}"


def _percentiles(seconds: Sequence[float]) -> dict[str, float | None]:
    return {f"p{at}": percentile(seconds, at) if seconds else None for at in (50, 99)}


def _table(findings: Sequence[Finding], columns: Sequence[str]) -> Table:
    """Return a row for each finding; what is not as expected is shown in full above, where nothing is cut."""
    table = Table(box=None, pad_edge=False, header_style="bold", row_styles=("", "on grey11"))
    for name in columns:
        table.add_column(name, justify="right" if name == "played" else "left")
    for one in findings:
        mark = "[green]✓[/]" if one.holds else "[bold red]✗[/]"
        played = (str(one.times),) if "played" in columns else ()
        table.add_row(mark, one.subject, *played, Text(one.outcome))
    return table
