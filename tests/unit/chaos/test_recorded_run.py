"""Each kind of violation is planted in a recorded run of ``python -m chaos``, and must be found; without one, nothing.

``recorded_run.json.gz`` was written by ``python -m chaos --sales 60 --record``.
"""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import pytest

from chaos.oracle import differences
from chaos.recording import Recording, load

RUN = load(Path(__file__).parent / "recorded_run.json.gz")
Seen = dict[str, Any]
"""An event of the stream, or an answer of the API."""


@pytest.fixture
def run() -> Recording:
    return deepcopy(RUN)


def stream(run: Recording) -> list[Seen]:
    return cast("list[Seen]", run.evidence.events)


def first(run: Recording, event_type: str, **payload: object) -> Seen:
    return next(
        one
        for one in stream(run)
        if one["eventType"] == event_type and payload.items() <= one["payload"].items()
    )


def answer(run: Recording, status: str) -> Seen:
    return cast("Seen", next(one for one in run.evidence.certificates.values() if one["status"] == status))


def repeat(run: Recording, event_type: str) -> None:
    """Have something happen once more, at the end of its certificate's life, as if it were new."""
    again = deepcopy(first(run, event_type))
    lives = [one for one in stream(run) if one["certificateId"] == again["certificateId"]]
    last = max(lives, key=lambda one: one["sequence"])
    standing = {name: last[name] for name in ("status", "refundState", "balance", "held")}
    stream(run).append(again | standing | {"eventId": "again", "sequence": last["sequence"] + 1})


def test_a_run_without_a_violation_is_as_the_book_says(run: Recording) -> None:
    assert len(run.book.lines) >= 50
    assert differences(run.book, run.evidence) == []


# What the stream must not do -----------------------------------------------------------------------


def loses_the_sale(run: Recording) -> None:
    stream(run).remove(first(run, "issue.completed"))


def loses_all_of_a_certificate(run: Recording) -> None:
    lost = first(run, "issue.completed")["certificateId"]
    run.evidence.events[:] = [one for one in stream(run) if one["certificateId"] != lost]  # type: ignore[index]


def publishes_out_of_order(run: Recording) -> None:
    events = stream(run)
    later = next(one for one in events if one["sequence"] == 3)
    events.remove(later)
    events.insert(0, later)


def contradicts_itself(run: Recording) -> None:
    stream(run).append(deepcopy(first(run, "issue.ordered")) | {"status": "issued"})


def sells_a_certificate_twice(run: Recording) -> None:
    repeat(run, "issue.completed")


def takes_the_money_of_a_basket_twice(run: Recording) -> None:
    repeat(run, "redemption.captured")


def holds_for_a_basket_twice(run: Recording) -> None:
    repeat(run, "redemption.authorized")


def gives_a_basket_up_twice(run: Recording) -> None:
    repeat(run, "redemption.voided")


def brings_goods_back_twice(run: Recording) -> None:
    repeat(run, "redemption.restored")


def refunds_twice(run: Recording) -> None:
    repeat(run, "refund.completed")


def writes_a_letter_too_many(run: Recording) -> None:
    repeat(run, "notification.requested")


def blocks_twice(run: Recording) -> None:
    repeat(run, "audit.blocked")


def refuses_a_basket_that_was_paid_for(run: Recording) -> None:
    repeat(run, "redemption.captured")
    stream(run)[-1]["eventType"] = "redemption.rejected"


def asks_another_price(run: Recording) -> None:
    first(run, "issue.completed")["payload"]["amount"]["amount"] -= 1


def takes_too_much_of_a_refund(run: Recording) -> None:
    first(run, "refund.completed")["payload"]["taken"]["amount"] += 1


def owes_what_it_took(run: Recording) -> None:
    first(run, "refund.completed")["payload"]["uncovered"]["amount"] += 1


def knows_a_stranger(run: Recording) -> None:
    stream(run).append(first(run, "issue.reserved") | {"certificateId": "stranger", "eventId": "stranger"})


def complains_of_an_order(run: Recording) -> None:
    repeat(run, "issue.ordered")
    stream(run)[-1] |= {"eventType": "error.orderConflict", "payload": {"reason": "alreadyIssued"}}


def complains_of_an_input(run: Recording) -> None:
    nobody = {
        "certificateId": None,
        "sequence": None,
        "eventId": "input",
        "eventType": "error.malformedEvent",
    }
    stream(run).append(first(run, "issue.reserved") | nobody)


def runs_out(run: Recording) -> None:
    nobody = {"certificateId": None, "sequence": None, "eventId": "none-left", "eventType": "issue.blocked"}
    stream(run).append(first(run, "issue.reserved") | nobody)


def expires_what_is_good(run: Recording) -> None:
    repeat(run, "notification.requested")
    stream(run)[-1]["eventType"] = "audit.expired"


# What the API must not say -------------------------------------------------------------------------


def answers_another_balance(run: Recording) -> None:
    answer(run, "partiallyRedeemed")["balance"]["amount"] += 1


def answers_another_hold(run: Recording) -> None:
    answer(run, "issued")["held"]["amount"] += 1


def answers_another_status(run: Recording) -> None:
    answer(run, "refunded")["status"] = "issued"


def lets_a_block_go(run: Recording) -> None:
    answer(run, "blocked")["status"] = "issued"


def forgets_a_refund(run: Recording) -> None:
    waiting = next(
        one for one in run.evidence.certificates.values() if one["refundState"] == "pendingDetails"
    )
    cast("Seen", waiting)["refundState"] = "none"


def forgets_a_certificate(run: Recording) -> None:
    cast("Seen", run.evidence.certificates)[run.book.lines[0].certificates[0]] = {}


def forgets_a_redemption(run: Recording) -> None:
    redemptions = cast("Seen", run.evidence.redemptions)
    redemptions[next(iter(redemptions))] = {}


def keeps_a_hold(run: Recording) -> None:
    voided = next(one for one in run.evidence.redemptions.values() if one["status"] == "voided")
    cast("Seen", voided)["status"] = "authorized"


def loses_an_import(run: Recording) -> None:
    cast("Seen", run.evidence.pool)["available"] -= 200


def counts_a_sale_as_available(run: Recording) -> None:
    pool = cast("Seen", run.evidence.pool)
    pool["available"] += 1
    pool["issued"] -= 1


# What a partner saw at once ------------------------------------------------------------------------


def hands_a_certificate_out_twice(run: Recording) -> None:
    run.book.hand_out(run.book.lines[0].certificates[0])


def leaves_a_customer_waiting(run: Recording) -> None:
    run.book.faults.append("customer 7, who returns: still waits 120 s after the last fault")


VIOLATIONS: tuple[tuple[Callable[[Recording], None], str], ...] = (
    (loses_the_sale, "without"),
    (loses_all_of_a_certificate, "nothing on the stream"),
    (publishes_out_of_order, "sequence 3 without 2 before it"),
    (contradicts_itself, "says something else"),
    (sells_a_certificate_twice, "issue.completed 2 times for"),
    (takes_the_money_of_a_basket_twice, "redemption.captured 2 times for"),
    (holds_for_a_basket_twice, "redemption.authorized 2 times for"),
    (gives_a_basket_up_twice, "redemption.voided 2 times for"),
    (brings_goods_back_twice, "spent is"),
    (refunds_twice, "refunded is"),
    (writes_a_letter_too_many, "letters is 2 on the stream, 1 by the book"),
    (blocks_twice, "blocks is 2 on the stream, 1 by the book"),
    (refuses_a_basket_that_was_paid_for, "refused is 1 on the stream, 0 by the book"),
    (asks_another_price, "sold is 499999 on the stream, 500000 by the book"),
    (takes_too_much_of_a_refund, "taken is"),
    (owes_what_it_took, "uncovered is"),
    (knows_a_stranger, "issue.reserved, though nobody got it"),
    (complains_of_an_order, "error.orderConflict"),
    (complains_of_an_input, "stream: error.malformedEvent"),
    (runs_out, "stream: issue.blocked"),
    (expires_what_is_good, "audit.expired"),
    (answers_another_balance, "balance is"),
    (answers_another_hold, "held is"),
    (answers_another_status, "status is issued over HTTP, refunded by the book"),
    (lets_a_block_go, "status is issued over HTTP, blocked by the book"),
    (forgets_a_refund, "refund_state is none over HTTP, pendingDetails by the book"),
    (forgets_a_certificate, "the API does not know it"),
    (forgets_a_redemption, "redemption"),
    (keeps_a_hold, "'authorized'"),
    (loses_an_import, "available over HTTP"),
    (counts_a_sale_as_available, "issued over HTTP"),
    (hands_a_certificate_out_twice, "handed out twice"),
    (leaves_a_customer_waiting, "still waits"),
)


@pytest.mark.parametrize(("violate", "difference"), VIOLATIONS)
def test_a_violation_is_found_in_a_service_that(
    run: Recording, violate: Callable[[Recording], None], difference: str
) -> None:
    violate(run)
    assert difference in "\n".join(differences(run.book, run.evidence))
