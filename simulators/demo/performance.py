"""The whole demo, from the first connection to the last table."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

from rich.console import Console

from simulators.addresses import Addresses
from simulators.crm import serve
from simulators.demo import findings, report
from simulators.demo.accounts import judge_revenue, judge_spending
from simulators.demo.connections import Connections, connected
from simulators.demo.findings import Finding
from simulators.demo.journal import Journal
from simulators.demo.report import Result
from simulators.demo.scenarios import programme
from simulators.demo.schemas import judge_schemas
from simulators.demo.stage import Stage, sell_goods
from simulators.fold import Fold
from simulators.stream import Event


@dataclass(frozen=True, slots=True)
class Options:
    """How much is played: ``pace`` in stories a second, ``patience`` in seconds."""

    sales: int
    goods: int
    pace: float
    patience: float
    as_json: bool = False
    stack_ends: bool = False  # with the demo


async def perform(options: Options, console: Console) -> Result:
    """Run everything and return what came of it."""
    began = monotonic()
    async with connected(await Addresses.found()) as connections:
        await connections.begin()
        stage, goods_orders = await _play(connections, options, console)
        seconds = monotonic() - began
        with console.status("checking stream, database and books"):
            checks = await _judge(connections, stage, goods_orders)
    waiting = _waiting_refunds(connections.world.journal)
    return Result(
        scenarios=_judge_scenarios(stage),
        checks=checks,
        seconds=seconds,
        issued=_issued(connections.world.journal),
        goods_orders=len(goods_orders),
        figures=_figures(connections.world.journal.fold),
        latency=_times(connections),
        waiting_refunds=len(waiting),
        web_url=next((event.text("webUrl") for event in waiting), None),
    )


async def _play(connections: Connections, options: Options, console: Console) -> tuple[Stage, list[str]]:
    """Play the programme among the goods orders, and show how it goes."""
    plan = programme(options.sales)
    stories = sum(plan.values())
    stage = Stage(connections.world, options.pace)
    rate = max(1, options.goods) * options.pace / stories
    with report.progress_on(console) as progress:
        stories_shown = progress.add_task("scenarios played", total=stories)
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
            scenario.name,
            len(plays),
            [one for play in plays for one in play.expectations],
            [play.failure for play in plays if play.failure],
            stage.world.journal,
        )
        for scenario, plays in stage.plays.items()
    ]


def _figures(fold: Fold) -> dict[str, int]:
    """Return what BI reports of the whole stream; liability, and so all of it, counts earlier runs too."""
    return {
        "revenue": fold.figures.revenue,
        "liability": fold.liability,
        "discount": fold.figures.discount,
        "redeemed": fold.figures.redeemed,
        "uncovered": fold.figures.uncovered,
    }


def _issued(journal: Journal) -> Counter[str]:
    """Count the certificates that were sold in this run, by who sold them."""
    return Counter(event.sale_channel or "nobody" for event in journal.of_type("issue.completed"))


def _waiting_refunds(journal: Journal) -> list[Event]:
    """Return the last word of the stream about each certificate whose refund waits for a person, where one can look."""
    events = {event.certificate_id or "": event for event in journal.of_type("refund.pendingDetails")}
    return [
        event
        for certificate_id, event in events.items()
        if journal.fold.certificates[certificate_id].refund_state == "pendingDetails" and event.text("webUrl")
    ]


def _times(connections: Connections) -> dict[str, list[float]]:
    channels = connections.world.channels.values()
    return {
        "reservation": [seconds for channel in channels for seconds in channel.reservation_seconds],
        "capture → notification.requested": connections.world.times.seconds,
    }
