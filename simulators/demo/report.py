"""What the one who watches sees: progress while it runs, then the tables."""

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from simulators.demo.findings import Finding
from simulators.demo.latency import percentile


def progress_on(console: Console) -> Progress:
    """Return the live bars; where nobody watches a terminal, only their last state is shown."""
    return Progress(
        TextColumn("{task.description}", justify="left"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def show_findings(
    console: Console, title: str, subject: str, findings: Iterable[Finding], caption: str | None = None
) -> None:
    """Print one table of what was expected and seen."""
    table = Table(title=title, title_justify="left", caption=caption, row_styles=("", "on grey11"))
    table.caption_justify = "left"
    table.add_column(subject, max_width=34)
    for heading in ("expected", "seen"):
        table.add_column(heading, overflow="fold")
    table.add_column("")
    for finding in findings:
        verdict = "[green]yes[/]" if finding.holds else "[bold red]NO[/]"
        table.add_row(finding.subject, finding.expected, _unless_same(finding), verdict)
    console.print(table)


def _unless_same(finding: Finding) -> str:
    return "as expected" if finding.seen == finding.expected else finding.seen


def show_latency(console: Console, rows: Mapping[str, Sequence[float]]) -> None:
    """Print how long things took; times in seconds come out in milliseconds."""
    table = Table(title="How long it took, ms", title_justify="left")
    for heading in ("what", "count", "p50", "p99"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for what, seconds in rows.items():
        figures = (f"{percentile(seconds, at) * 1000:.0f}" if seconds else "none" for at in (50, 99))
        table.add_row(what, str(len(seconds)), *figures)
    console.print(table)
