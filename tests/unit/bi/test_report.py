"""The page: it needs nothing else, says how each figure is counted, and shows what differs."""

import re
from datetime import timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest

from giftcert.bi.charts import draw
from giftcert.bi.figures import Chart, Column, all_figures
from giftcert.bi.report import Period, Report, render
from giftcert.bi.wording import duration_text, number_text, value_text
from giftcert.texts import Language
from tests.unit.bi.bi_records import NOON, Filled, order
from tests.unit.bi.test_figures import refund, snapshot

DAY = timedelta(days=1)


@pytest.fixture
def sold(filled: Filled) -> Filled:
    """Three days of sales, some of it refunded."""
    for certificate in range(1, 10):
        at = NOON + certificate % 3 * DAY
        filled.stream.issued(at, certificate=certificate, sale_channel=("im", "pos")[certificate % 2])
    filled.orders.write(order())
    refund(filled, 2, 450_000)
    filled.load(NOON + 4 * DAY)
    return filled


def rendered(
    filled: Filled,
    language: Language = "en",
    period: Period = Period(),  # noqa: B008 - it does not change
    verification: dict[str, Any] | None = None,
) -> Report:
    return render(filled.warehouse, language, period, verification, NOON + 4 * DAY)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(sold: Filled, language: Language) -> None:
    page = rendered(sold, language).page

    assert "<script" not in page
    assert re.findall(r'(?:src|href|xlink:href)="(?!#)[^"]*"|@import|url\((?!#)', page) == []
    assert f'<html lang="{language}">' in page


@pytest.mark.parametrize("language", ["en", "ru"])
def test_each_figure_has_its_title_definition_and_sql(sold: Filled, language: Language) -> None:
    page = unescape(rendered(sold, language).page)

    for figure in all_figures():
        assert figure.titles[language] in page
        assert figure.definitions[language] in page
        assert figure.sql in page


def test_a_chart_stands_beside_its_table_and_says_what_it_shows(sold: Filled) -> None:
    page = rendered(sold).page

    [sales] = re.findall(r'<section id="sales">.*?</section>', page, re.DOTALL)
    assert '<svg role="img" aria-label="Sales, discount and revenue"' in sales
    assert sales.index("<svg") < sales.index("<table")
    assert "40,500.00" in sales
    assert "36,000.00 RUB" in page.partition("<nav")[0]


def test_money_in_russian_has_its_comma_and_spaces(sold: Filled) -> None:
    assert "40\N{NO-BREAK SPACE}500,00" in rendered(sold, "ru").page


def test_only_the_days_chosen_are_shown(sold: Filled) -> None:
    period = Period((NOON + DAY).date(), (NOON + DAY).date())
    page = rendered(sold, period=period).page

    [sales] = re.findall(r'<section id="sales">.*?</section>', page, re.DOTALL)
    assert "2026-11-24" in sales
    assert "2026-11-23" not in sales
    assert "from 2026-11-24 to 2026-11-24" in " ".join(page.split())


def test_what_differs_from_the_snapshot_is_said_first_and_stands_out(sold: Filled) -> None:
    counted = {"available": -9, "issued": 4_500_000, "liability": 4_000_000, "refunded": 450_000}
    snapshot(sold, NOON + 3 * DAY, revenue=3_600_000, **counted)
    sold.load(NOON + 4 * DAY)
    same = rendered(sold)
    assert same.differences == 0
    assert "equals the service's own" in unescape(same.page)

    snapshot(sold, NOON + 3 * DAY + timedelta(hours=1), revenue=3_600_001, **counted)
    sold.load(NOON + 4 * DAY)
    other = rendered(sold)
    assert other.differences == 1
    assert "see the reconciliation: 1</p>" in other.page.partition("<nav")[0]
    assert re.search(r'class="number stands-out">\N{MINUS SIGN}0.01<', other.page)


def test_events_that_are_missing_or_late_are_said_first(sold: Filled) -> None:
    before = rendered(sold).page.partition("<nav")[0]
    assert "Events are missing" not in before
    assert "The stream was late" not in before

    sold.stream.event(
        "redemption.captured", sequence=4, certificate=2, amount={"amount": 1, "currency": "RUB"}
    )
    sold.load(NOON + 5 * DAY)
    page = rendered(sold).page.partition("<nav")[0]
    assert "certificates with a gap in their sequence: 1" in page
    assert "events that came into days closed before: 1" in page


def test_without_a_snapshot_nothing_is_said_to_be_reconciled(sold: Filled) -> None:
    assert "Not reconciled yet" in rendered(sold).page


def test_what_verify_found_stands_beside_what_is_counted_here(sold: Filled) -> None:
    sold.stream.event("audit.imported", certificate=None, batchId="b", count=20)
    sold.load(NOON + 4 * DAY)
    invariants = [
        {"invariant": number, "says": f"rule {number}", "checked": 20 if number == 5 else 11, "violations": 0}
        for number in range(1, 11)
    ]
    said: dict[str, Any] = {"holds": True, "invariants": invariants}
    page = rendered(sold, verification=said).page
    assert "All invariants hold." in page
    assert "stands-out" not in page.partition('id="verification"')[2]

    invariants[5]["checked"] = 12
    invariants[0]["violations"] = 3
    page = rendered(sold, verification=said | {"holds": False}).page
    assert page.partition('id="verification"')[2].count("stands-out") == 2
    assert "Not all invariants hold." in page.partition("<nav")[0]


def test_reasons_and_statuses_have_the_words_that_support_reads(sold: Filled) -> None:
    for sequence, reason in ((3, "certificateRedeemed"), (4, "ofALaterVersion")):
        case = {"refundCaseId": reason, "reason": reason}
        sold.stream.event("refund.pendingDetails", NOON + DAY, sequence=sequence, **case)
    snapshot(sold, NOON + 3 * DAY, {"issued": 9})
    sold.load(NOON + 4 * DAY)
    page = rendered(sold, "ru").page

    assert "certificateRedeemed: Сертификат уже потрачен" in page
    assert "ofALaterVersion: <" in page
    assert "статус выпущен (issued)" in page


def test_a_file_with_nothing_in_it_makes_a_page_too(filled: Filled) -> None:
    filled.load()
    assert rendered(filled).page.count("Nothing in these days.") == len(all_figures())


def test_what_partners_wrote_is_text_and_no_markup(filled: Filled) -> None:
    filled.stream.event("error.malformedEvent", certificate=None, reason="<b onclick=x>")
    filled.load()
    page = rendered(filled).page
    assert "<b onclick" not in page
    assert "&lt;b onclick=x&gt;" in page


def test_two_columns_are_drawn_in_two_shapes_and_dashes() -> None:
    rows = [
        {
            "counted_by": "day",
            "key": f"2026-11-{day}",
            "order_median_seconds": day,
            "order_p95_seconds": 2 * day,
        }
        for day in range(20, 24)
    ]
    svg = draw(Chart("lines", ["order_median_seconds", "order_p95_seconds"]), rows, "a < b", "ru")

    assert svg is not None
    assert 'aria-label="a &lt; b"' in svg
    assert "stroke-dasharray" in svg
    assert len(set(re.findall(r'stroke="(#[0-9A-Fa-f]{6})"', svg)) & {"#0072B2", "#E69F00"}) == 2
    assert "секунды" in svg


@pytest.mark.parametrize(
    ("seconds", "english", "russian"),
    [
        (0.3, "0.3 s", "0,3 с"),  # noqa: RUF001 - Russian
        (75, "1 min 15 s", "1 мин 15 с"),  # noqa: RUF001 - Russian
        (3_900, "1 h 5 min", "1 ч 5 мин"),
        (93_600, "1 d 2 h", "1 д 2 ч"),
        (-75, "\N{MINUS SIGN}1 min 15 s", "\N{MINUS SIGN}1 мин 15 с"),  # noqa: RUF001 - Russian
    ],
)
def test_durations_are_written_in_the_units_that_say_something(
    seconds: float, english: str, russian: str
) -> None:
    assert (duration_text(seconds, "en"), duration_text(seconds, "ru")) == (english, russian)


def test_amounts_have_the_digits_of_their_currency() -> None:
    money = Column({}, "money")
    said = [value_text(1_234_567, money, currency, "en") for currency in ("RUB", "JPY", "KWD")]
    assert said == ["12,345.67", "1,234,567", "1,234.567"]
    assert number_text(Decimal("-1234.5"), 1, "ru") == "\N{MINUS SIGN}1\N{NO-BREAK SPACE}234,5"
