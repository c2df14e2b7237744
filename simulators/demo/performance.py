"""The whole demo, from the first connection to the last table."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rich.console import Console

from simulators.addresses import Addresses
from simulators.crm import serve
from simulators.demo import findings, report
from simulators.demo.accounts import judge_revenue, judge_spending
from simulators.demo.connections import Connections, connected
from simulators.demo.findings import Finding
from simulators.demo.outcomes import SOLD_MEANS
from simulators.demo.scenarios import programme
from simulators.demo.schemas import judge_schemas
from simulators.demo.stage import Stage, sell_goods
from simulators.fold import Fold


@dataclass(frozen=True, slots=True)
class Options:
    """How much is played: ``pace`` in stories a second, ``patience`` in seconds."""

    sales: int
    goods: int
    pace: float
    patience: float


async def perform(options: Options, console: Console) -> bool:
    """Run everything and return whether all of it came out."""
    async with connected(Addresses.from_environment()) as connections:
        await connections.begin()
        stage, goods_orders = await _play(connections, options, console)
        always = await _judge(connections, stage, goods_orders)
    told = _judge_scenarios(stage)
    waiting = _waiting_refund(connections)
    report.show_findings(console, "Scenarios", "scenario (times played)", told, SOLD_MEANS)
    report.show_findings(console, "Always true", "what was checked", always)
    report.show_latency(console, _times(connections))
    console.print(_figures(connections.world.journal.fold))
    console.print(f"A refund that waits for a person: {waiting or 'none has an address'}", soft_wrap=True)
    return waiting is not None and all(finding.holds for finding in (*told, *always))


async def _play(connections: Connections, options: Options, console: Console) -> tuple[Stage, list[str]]:
    """Play the programme among the goods orders, and show how it goes."""
    plan = programme(options.sales)
    stories = sum(plan.values())
    stage = Stage(connections.world, options.pace)
    rate = max(1, options.goods) * options.pace / stories
    with report.progress_on(console) as progress:
        stories_shown = progress.add_task("stories that came out", total=stories)
        goods_shown = progress.add_task("goods orders, paid", total=options.goods)
        stage.on_done = lambda: progress.advance(stories_shown)
        async with _reading(connections):
            selling = sell_goods(
                connections.world, options.goods, rate, lambda: progress.advance(goods_shown)
            )
            goods_orders, _ = await asyncio.gather(selling, stage.perform(plan, options.patience))
    return stage, goods_orders


@asynccontextmanager
async def _reading(connections: Connections) -> AsyncIterator[None]:
    """Let BI and CRM follow the stream meanwhile; if one of them breaks, so does the run."""
    async with asyncio.TaskGroup() as group:
        readers = (
            group.create_task(connections.world.journal.follow(connections.bi_reader)),
            group.create_task(serve(connections.world.crm, connections.crm_reader)),
        )
        yield
        for reader in readers:
            reader.cancel()


async def _judge(connections: Connections, stage: Stage, goods_orders: list[str]) -> list[Finding]:
    """Check what must always be true, once everything that was written has been applied."""
    verified = await findings.judge_by_verify()
    await connections.catch_up()
    world, plays = connections.world, [play for played in stage.plays.values() for play in played]
    journal, expectations = world.journal, [one for play in plays for one in play.expectations]
    orders = [order for play in plays for order in play.orders]
    return [
        *findings.judge_stream(journal, world.crm),
        judge_schemas(journal),
        findings.judge_goods(journal, frozenset(goods_orders)),
        findings.judge_errors(journal, expectations),
        judge_revenue(journal, orders, expectations, connections.before),
        *judge_spending(journal, world.books, connections.before),
        await findings.judge_database(world.support.service, journal),
        *([verified] if verified else []),
    ]


def _judge_scenarios(stage: Stage) -> list[Finding]:
    return [
        findings.judge_scenario(
            f"{scenario.name} ({len(plays)})",
            [one for play in plays for one in play.expectations],
            [play.failure for play in plays if play.failure],
            stage.world.journal,
        )
        for scenario, plays in stage.plays.items()
    ]


def _figures(fold: Fold) -> str:
    """Return what BI reports of the whole stream; liability, and so this line, counts earlier runs too."""
    amounts = {
        "revenue": fold.figures.revenue,
        "liability": fold.liability,
        "discount": fold.figures.discount,
        "redeemed": fold.figures.redeemed,
        "uncovered": fold.figures.uncovered,
    }
    told = ", ".join(f"{name} {amount / 100:,.2f}" for name, amount in amounts.items())
    return f"BI over the whole stream: {fold.figures.issued} issued, {told}, {fold.repeats} repeats dropped"


def _waiting_refund(connections: Connections) -> str | None:
    journal = connections.world.journal
    for event in journal.of_type("refund.pendingDetails"):
        certificate = journal.fold.certificates.get(event.certificate_id or "")
        if certificate and certificate.refund_state == "pendingDetails" and event.text("webUrl"):
            return event.text("webUrl")
    return None


def _times(connections: Connections) -> dict[str, list[float]]:
    channels = connections.world.channels.values()
    return {
        "reservation": [seconds for channel in channels for seconds in channel.reservation_seconds],
        "capture → notification.requested": connections.world.times.seconds,
    }
