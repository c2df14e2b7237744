"""The report: one page of HTML that needs nothing else, each figure with its definition, chart, table and SQL."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from importlib.resources import files
from itertools import groupby
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from giftcert.bi.charts import draw
from giftcert.bi.figures import Column, Figure, all_figures, column, counted_by, words
from giftcert.bi.warehouse import Warehouse
from giftcert.bi.wording import number_text, value_text
from giftcert.texts import Language, MissingTextError, texts_in

_LEFT_OUT = {"counted_by", "currency"}
_LEFT = {"key", "figure", "latest", "earliest", "as_of"}  # columns of texts and instants
_COMPARED = {"counted", "snapshot", "difference"}
_MONEY = Column({}, "money")


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as it is read; ``is_number``: right in its column."""

    text: str
    is_number: bool
    stands_out: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of a table that are counted by the same; what is counted in all needs no heading."""

    heading: str | None
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class Part:
    """A figure's rows in one currency, as chart and table."""

    currency: str | None
    chart: Markup | None
    headings: Sequence[Cell]
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Section:
    """A figure as the page shows it."""

    name: str
    title: str
    definition: str
    sql: str
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class Period:
    """The days of a report, both included; ``None``: without an end."""

    first: date | None = None
    last: date | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The page, and how many figures differ from what the service counts."""

    page: str
    differences: int


def render(
    warehouse: Warehouse,
    language: Language,
    period: Period,
    verification: Mapping[str, Any] | None,
    made_at: datetime,
) -> Report:
    """Make the page; ``verification`` is what `giftcert verify --json` printed."""
    warehouse.set_variable("first_day", period.first)
    warehouse.set_variable("last_day", period.last)
    found = {figure.name: figure.rows(warehouse).as_dicts for figure in all_figures()}
    sections = [_section(figure, found[figure.name], language) for figure in all_figures()]
    differences = sum(1 for row in found["reconciliation"] if row["difference"])
    page = _template(language).render(
        language=language,
        words=words(language),
        sections=sections,
        period=period,
        state=_state(warehouse, made_at),
        totals=list(_totals(found, language)),
        differences=differences,
        snapshots=bool(found["reconciliation"]),
        verification=verification and _verification(warehouse, verification, language),
    )
    return Report(page, differences)


def _template(language: Language) -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["count"] = lambda count: number_text(Decimal(count), 0, language)
    environment.filters["instant"] = lambda at: texts_in(language).moment(at) if at else "-"
    return environment.from_string((files("giftcert.bi") / "templates" / "report.html").read_text("utf-8"))


def _section(figure: Figure, rows: Sequence[dict[str, Any]], language: Language) -> Section:
    """A figure that is counted per currency has a part for each; the reconciliation names it in its rows."""
    if figure.name == "reconciliation":
        parts = [_part(figure, rows, None, language)] if rows else []
    else:
        by_currency = groupby(rows, key=lambda row: row.get("currency"))
        parts = [_part(figure, list(some), currency, language) for currency, some in by_currency]
    return Section(figure.name, figure.titles[language], figure.definitions[language], figure.sql, parts)


def _part(figure: Figure, rows: Sequence[dict[str, Any]], currency: str | None, language: Language) -> Part:
    names = [name for name in rows[0] if name not in _LEFT_OUT]
    chart = figure.chart and draw(figure.chart, rows, figure.titles[language], language)
    by = groupby(rows, key=lambda row: row.get("counted_by", "product"))
    blocks = [
        Block(
            None if name == "all" else counted_by(name, language),
            [[_cell(row, name, language) for name in names] for row in some],
        )
        for name, some in by
    ]
    headings = [Cell(column(name).texts[language], name not in _LEFT) for name in names]
    return Part(currency, Markup(chart) if chart else None, headings, blocks)  # noqa: S704 - drawn by us


def _cell(row: dict[str, Any], name: str, language: Language) -> Cell:
    if "figure" in row:
        return _compared(row, name, language)
    if name == "key" and row["counted_by"] == "all":
        return Cell(counted_by("all", language), is_number=False)
    if name == "key" and row["counted_by"] == "reason":
        reason = row["key"]
        return Cell(f"{reason}: {_explained(f'reason-{reason}', '', language)}", is_number=False)
    return Cell(value_text(row[name], column(name), row.get("currency"), language), name not in _LEFT)


def _compared(row: dict[str, Any], name: str, language: Language) -> Cell:
    """A cell of the reconciliation, where a row has a currency if its figure is one of money."""
    value = row[name]
    if name == "figure":
        what, _, status = value.partition(" ")
        text = column("nominal_issued" if what == "issued" else what).texts[language]
        return Cell(f"{text} {_explained(f'status-{status}', status, language)}".strip(), is_number=False)
    kind = _MONEY if row["currency"] and name in _COMPARED else column(name)
    text = value_text(value, kind, row["currency"], language)
    return Cell(text, name not in _LEFT, stands_out=name == "difference" and bool(value))


def _explained(key: str, otherwise: str, language: Language) -> str:
    """Return the words of support for a word of the contract; the stream may have newer ones than these."""
    try:
        return texts_in(language)(key)
    except MissingTextError:
        return otherwise


def _state(warehouse: Warehouse, made_at: datetime) -> dict[str, Any]:
    """How fresh the file is, and what of the topics it could not take."""
    facts = warehouse.query(
        """SELECT (SELECT time_zone FROM settings) AS time_zone, (SELECT max(read_until) FROM loads) AS read_until,
            (SELECT count(*) FROM stream) AS events, (SELECT count(*) FROM order_records) AS orders,
            (SELECT count(*) FROM payment_records) AS payments, (SELECT count(*) FROM unread) AS unread,
            (SELECT max(day) FROM days WHERE is_closed) AS closed_until,
            (SELECT coalesce(sum(events_after_close), 0)::BIGINT FROM days) AS after_close,
            (SELECT count(*) FROM certificates WHERE events <> sequence) AS gaps"""
    ).as_dicts[0]
    return {**facts, "made_at": made_at}


def _totals(found: Mapping[str, Sequence[dict[str, Any]]], language: Language) -> Iterator[tuple[str, str]]:
    """The figures to be seen first: of each currency, over all days chosen."""
    for figure, names in (
        ("sales", ("issued", "revenue")),
        ("liability_by_age", ("liability",)),
        ("spending", ("redeemed",)),
        ("breakage", ("breakage",)),
        ("refunds", ("open",)),
    ):
        for row in (one for one in found[figure] if one["counted_by"] == "all"):
            for name in names:
                what = column(name)
                text = value_text(row[name], what, row.get("currency"), language)
                label = words(language)["open_refunds"] if name == "open" else what.texts[language]
                yield label, f"{text} {row['currency']}" if what.kind == "money" else text


def _verification(warehouse: Warehouse, said: Mapping[str, Any], language: Language) -> dict[str, Any]:
    """What `verify` checked beside what is here: certificates that were made, and events of the stream."""
    checked = {one["invariant"]: one["checked"] for one in said["invariants"]}
    made, events = warehouse.query(
        """SELECT coalesce(sum(amount_of(payload, '$.count')) FILTER (event_type = 'audit.imported'), 0), count(*)
        FROM stream"""
    ).rows[0]
    counts = [
        {"what": what, "here": here, "there": there, "difference": here - there}
        for what, here, there in (
            (column("certificates").texts[language], int(made), checked[5]),
            (words(language)["events"], events, checked[6]),
        )
    ]
    return {**said, "counts": counts}
