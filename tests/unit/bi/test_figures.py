"""How BI counts: each figure by hand-made events whose sums are known."""

import json
from datetime import timedelta
from typing import Any

import pytest

from giftcert.bi.figures import Figure, all_figures, column, counted_by
from giftcert.bi.warehouse import SQL
from specs.generator.event_schemas import catalogue
from tests.event_schemas import example
from tests.unit.bi.bi_records import NOON, Filled, number, order, rub

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIGURES = {figure.name: figure for figure in all_figures()}


def rows_of(name: str, filled: Filled, counted_by: str = "all") -> list[dict[str, Any]]:
    filled.load(NOON + DAY)
    rows = FIGURES[name].rows(filled.warehouse).as_dicts
    return [row for row in rows if row["counted_by"] == counted_by]


def only(name: str, filled: Filled, *columns: str) -> tuple[Any, ...]:
    [row] = rows_of(name, filled)
    return tuple(row[one] for one in columns)


def refund(filled: Filled, sequence: int, amount: int, **said: Any) -> None:
    money = {"amount": rub(amount), "excess": rub(0), "taken": rub(0), "uncovered": rub(0)}
    payload = {"refundCaseId": "case", "beforeIssue": False, **money, **said}
    filled.stream.event("refund.completed", NOON + HOUR, sequence=sequence, status="refunded", **payload)


def test_revenue_is_the_prices_less_what_went_back_after_issue(filled: Filled) -> None:
    filled.stream.issued(price=450_000)
    filled.stream.issued(price=500_000, certificate=2)
    refund(filled, 2, 460_000, excess=rub(10_000), taken=rub(500_000))
    filled.stream.event(
        "refund.completed",
        certificate=3,
        status="available",
        amount=rub(100),
        excess=rub(0),
        beforeIssue=True,
    )
    said = only("sales", filled, "issued", "sold", "discount", "refunded", "revenue")

    assert said == (2, 950_000, 50_000, 450_000, 500_000)


def test_sales_are_counted_by_day_by_who_sold_and_by_product(filled: Filled) -> None:
    filled.stream.issued(price=100)
    filled.stream.issued(NOON + DAY, certificate=2, price=200, channel="im", sale_channel="pos")
    filled.stream.issued(certificate=3, price=400, product="GC-OPEN")

    for by, expected in (
        ("day", {"2026-11-23": 500, "2026-11-24": 200}),
        ("channel", {"im": 500, "pos": 200}),
        ("product", {"GC-5000": 300, "GC-OPEN": 400}),
    ):
        assert {row["key"]: row["sold"] for row in rows_of("sales", filled, by)} == expected


def test_only_the_days_chosen_are_counted(filled: Filled) -> None:
    filled.stream.issued(price=100)
    filled.stream.issued(NOON + DAY, certificate=2, price=200)
    filled.load()
    filled.warehouse.set_variable("first_day", (NOON + DAY).date())

    assert only("sales", filled, "sold") == (200,)


def test_spending_is_what_was_captured_less_what_came_back_where_it_was_spent(filled: Filled) -> None:
    filled.stream.issued(sale_channel="im")
    for sequence, (event_type, amount) in enumerate(
        (
            ("redemption.authorized", 300_000),  # a hold is no spending
            ("redemption.captured", 200_000),
            ("redemption.restored", 50_000),
            ("alert.redemptionUncovered", 7_000),
        ),
        2,
    ):
        filled.stream.event(event_type, sequence=sequence, channel="pos", balance=350_000, amount=rub(amount))

    said = only("spending", filled, "purchases", "spent", "restored", "redeemed", "goods_uncovered")
    assert said == (1, 200_000, 50_000, 150_000, 7_000)
    assert [row["key"] for row in rows_of("spending", filled, "channel")] == ["pos"]


def test_liability_is_what_may_be_spent_and_what_is_held_by_age(filled: Filled) -> None:
    for certificate, days in enumerate((0, 30, 31, 200, 400), 1):
        filled.stream.issued(NOON - days * DAY, certificate=certificate)
    filled.stream.event(
        "redemption.authorized", sequence=2, balance=100_000, held=400_000, amount=rub(400_000)
    )
    filled.stream.issued(certificate=6)
    filled.stream.event(
        "redemption.captured", certificate=6, sequence=2, status="redeemed", amount=rub(500_000)
    )
    filled.load(NOON + HOUR)
    rows = FIGURES["liability_by_age"].rows(filled.warehouse).as_dicts

    by_age = [(row["key"], row["certificates"]) for row in rows if row["counted_by"] == "age"]
    assert by_age == [("0-30", 2), ("31-90", 1), ("181-365", 1), ("366+", 1)]
    assert (rows[0]["balance"], rows[0]["held"], rows[0]["liability"]) == (2_100_000, 400_000, 2_500_000)


def test_liability_at_the_end_of_a_day_is_all_that_came_before(filled: Filled) -> None:
    filled.stream.issued()
    filled.stream.event("redemption.captured", NOON + DAY, sequence=2, balance=300_000, amount=rub(200_000))
    filled.stream.event(
        "audit.expired", NOON + 3 * DAY, sequence=3, status="expired", breakage=rub(300_000), reason="", by=""
    )
    rows = rows_of("liability_by_day", filled, "day")

    assert [(row["key"], row["change"], row["liability"]) for row in rows] == [
        ("2026-11-23", 500_000, 500_000),
        ("2026-11-24", -200_000, 300_000),
        ("2026-11-26", -300_000, 0),
    ]
    assert only("breakage", filled, "certificates", "breakage") == (1, 300_000)


def test_a_refund_case_is_closed_by_its_money_or_a_rejection_and_by_no_approval(filled: Filled) -> None:
    def case(name: str, sequence: int, event_type: str, after: timedelta, **said: Any) -> None:
        filled.stream.event(event_type, NOON + after, sequence=sequence, refundCaseId=name, **said)

    money = {"amount": rub(1), "excess": rub(0), "taken": rub(0), "uncovered": rub(0), "beforeIssue": False}
    case("money", 1, "refund.requested", 0 * HOUR)
    case("money", 2, "refund.completed", 1 * HOUR, **money)
    case("rejected", 3, "refund.pendingDetails", 0 * HOUR, reason="certificateRedeemed")
    case("rejected", 4, "refund.resolved", 3 * HOUR, decision="reject", resolvedBy="anna")
    case("approved", 5, "refund.requested", 0 * HOUR)
    case("approved", 6, "refund.pendingDetails", 1 * HOUR, reason="refundPaymentMissing")
    case("approved", 7, "refund.resolved", 2 * HOUR, decision="approve", resolvedBy="anna")
    names = ("cases", "closed", "open", "by_person", "rejected", "median_seconds", "median_person_seconds")

    assert only("refunds", filled, *names) == (3, 2, 1, 2, 1, 7_200, 10_800)
    assert [(row["key"], row["open"]) for row in rows_of("refund_reasons", filled, "reason")] == [
        ("certificateRedeemed", 0),
        ("refundPaymentMissing", 1),
    ]


def test_a_buyer_waits_from_the_first_message_of_the_order_and_from_the_payment(filled: Filled) -> None:
    filled.orders.write(order(at=NOON - 2 * HOUR))
    filled.orders.write(order(version=2, at=NOON - HOUR, eventType="order.changed"))
    filled.stream.issued(NOON, occurred_at=NOON - timedelta(seconds=2))

    names = ("issued", "order_median_seconds", "order_p95_seconds", "paid_median_seconds", "paid_p95_seconds")
    assert only("issue_time", filled, *names) == (1, 7_200, 7_200, 2, 2)


def test_the_pool_lasts_as_long_as_it_did_in_the_last_two_weeks(filled: Filled) -> None:
    filled.stream.event("audit.imported", NOON - 20 * DAY, certificate=None, batchId="b", count=100)
    for certificate in range(1, 21):
        filled.stream.issued(NOON - (certificate % 10) * DAY, certificate=certificate)
    filled.stream.event("issue.reserved", certificate=21, status="reserved")
    filled.stream.event("issue.released", certificate=22, status="available")
    filled.stream.event("issue.blocked", certificate=None, attempts=3)
    filled.load(NOON + HOUR)
    [row] = FIGURES["pool_forecast"].rows(filled.warehouse).as_dicts

    assert (row["imported"], row["available"], row["reserved"], row["refused_lately"]) == (100, 79, 1, 3)
    assert (row["issued_per_day"], row["days_left"]) == (2.0, 39.5)


def test_errors_and_alerts_are_counted_by_type_and_reason(filled: Filled) -> None:
    filled.stream.event("alert.unpaid", reason="underpaid")
    filled.stream.event("error.malformedEvent", certificate=None, reason="invalidJson")
    filled.stream.event("error.malformedEvent", certificate=None, reason="invalidJson")

    assert only("alerts", filled, "alerts", "errors") == (1, 2)
    assert [row["key"] for row in rows_of("alerts", filled, "type")] == [
        "alert.unpaid: underpaid",
        "error.malformedEvent: invalidJson",
    ]


def test_what_is_recorded_on_a_later_day_counts_on_that_day_and_is_shown(filled: Filled) -> None:
    filled.stream.issued(NOON, price=100, occurred_at=NOON - DAY)
    filled.stream.issued(NOON, price=200, certificate=2)

    assert [row["key"] for row in rows_of("sales", filled, "day")] == ["2026-11-23"]
    [row] = rows_of("late", filled, "day")
    assert (row["key"], str(row["earliest"]), row["revenue"]) == ("2026-11-23", "2026-11-22", 100)


def snapshot(filled: Filled, as_of: Any, statuses: dict[str, int] | None = None, **changed: int) -> None:
    money = dict.fromkeys(("held", "liability", "issued", "revenue", "redeemed", "refunded", "taken"), 0)
    money |= {"uncovered": 0, "breakage": 0} | {
        name: one for name, one in changed.items() if name != "available"
    }
    said = filled.stream.event("audit.snapshot", as_of + HOUR, certificate=None)
    said["payload"] = {
        "asOf": as_of.isoformat(),
        "statuses": statuses or {},
        "available": changed.get("available", 0),
        **{name: rub(amount) for name, amount in money.items()},
    }
    filled.stream.values[-1] = json.dumps(said)


def test_figures_are_held_against_the_newest_snapshot_up_to_its_instant(filled: Filled) -> None:
    filled.stream.event("audit.imported", NOON - DAY, certificate=None, batchId="b", count=10)
    filled.stream.issued(NOON)
    filled.stream.issued(NOON + HOUR, certificate=2)  # after the snapshot's instant
    snapshot(filled, NOON - HOUR, available=10)
    money = {"issued": 500_000, "revenue": 449_999, "liability": 500_000}
    snapshot(
        filled, NOON + HOUR, {"available": 9, "issued": 2, "reserved": 1, "retired": 0}, available=9, **money
    )
    filled.load(NOON + DAY)
    rows = FIGURES["reconciliation"].rows(filled.warehouse).as_dicts

    assert [(row["figure"], row["counted"], row["snapshot"], row["difference"]) for row in rows] == [
        ("revenue", 450_000, 449_999, 1),
        ("status issued", 1, 2, -1),
        ("status reserved", 0, 1, -1),
        ("available", 9, 9, 0),
        ("issued", 500_000, 500_000, 0),
        ("liability", 500_000, 500_000, 0),
    ]


@pytest.fixture
def filled_with_examples(filled: Filled) -> Filled:
    for nth, kind in enumerate(catalogue()):
        filled.stream.write(example(kind.event_type) | {"eventId": number(nth)})
    filled.orders.write(order())
    return filled


@pytest.mark.parametrize("figure", all_figures(), ids=lambda figure: figure.name)
def test_every_figure_reads_every_event_and_has_words_for_what_it_returns(
    filled_with_examples: Filled, figure: Figure
) -> None:
    filled_with_examples.load(NOON + DAY)
    assert filled_with_examples.query("SELECT count(*) FROM unread") == [(0,)]
    found = figure.rows(filled_with_examples.warehouse)

    for name in set(found.columns) - {"counted_by"}:
        assert set(column(name).texts) == {"en", "ru"}
    for row in found.as_dicts:
        assert counted_by(row.get("counted_by", "product"), "ru")


def test_every_file_of_sql_is_a_figure() -> None:
    assert {one.name.removesuffix(".sql") for one in (SQL / "figures").iterdir()} == set(FIGURES)
