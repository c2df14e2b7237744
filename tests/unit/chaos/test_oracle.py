"""The oracle of ``python -m chaos``: which outcome its book demands, and that it finds whatever differs."""

import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pytest

from chaos.__main__ import ended
from chaos.oracle import Book, Evidence, Line, Outcome, Purchase, allowed_outcomes, differences

FULL, C, D = 500_000, "certificate-c", "certificate-d"
ORDERED = {C, D}


def line(
    *certificates: str,
    captured: int = FULL,
    refunded: int = 0,
    withdrawn: bool = False,
    crossed: bool = False,
    decision: Literal["approve", "reject"] | None = None,
    purchases: tuple[Purchase, ...] = (),
    **counted: int,
) -> Line:
    named = list(certificates or (C,))
    paid = (captured, withdrawn, crossed, refunded, decision, list(purchases))
    return Line("IM-1", FULL, FULL, named, *paid, **counted)


SPENT = (Purchase(200_000, "r-1", captured=200_000),)
SALE = Outcome("issued", balance=FULL, sold=FULL, letters=1)
SOLD = replace(SALE, balance=0)
IN_PART = replace(SALE, status="partiallyRedeemed", balance=300_000, spent=200_000)


@pytest.mark.parametrize(
    ("written", "outcome"),
    [
        (line(captured=0), Outcome("ordered")),
        (line(captured=0, withdrawn=True), Outcome("available")),
        (line(), SALE),
        (line(purchases=SPENT), IN_PART),
        (
            line(purchases=(Purchase(FULL, "r-1", captured=FULL),)),
            replace(SOLD, status="redeemed", spent=FULL),
        ),
        (line(purchases=(Purchase(1, "r-1"),)), replace(SALE, balance=FULL - 1, held=1)),
        (line(purchases=(Purchase(1, "r-1", given_up=True),)), SALE),
        (line(purchases=(Purchase(9, "r-1", captured=5, restored=5),)), SALE),
        (
            line(refunded=FULL),
            replace(SOLD, status="refunded", refund_state="completed", refunded=FULL, taken=FULL),
        ),
        (line(withdrawn=True), replace(SALE, refund_state="requested")),
        (line(refunded=200_000), replace(SALE, refund_state="requested")),
        (
            line(refunded=200_000, decision="approve"),
            replace(SALE, refund_state="completed", balance=300_000, refunded=200_000, taken=200_000),
        ),
        (
            line(refunded=FULL, purchases=SPENT),
            replace(IN_PART, refund_state="pendingDetails"),
        ),
        (
            line(refunded=FULL, purchases=SPENT, decision="approve"),
            replace(
                IN_PART,
                status="refunded",
                refund_state="completed",
                balance=0,
                refunded=FULL,
                taken=300_000,
                uncovered=200_000,
            ),
        ),
        (
            line(refunded=FULL, purchases=SPENT, decision="reject"),
            replace(IN_PART, refund_state="rejected", refunded=FULL, uncovered=FULL),
        ),
        (line(is_blocked=True, blocks=1), replace(SALE, status="blocked", blocks=1)),
        (line(blocks=1), replace(SALE, blocks=1)),
        (line(letters=1), replace(SALE, letters=2)),
    ],
)
def test_the_book_demands_one_outcome(written: Line, outcome: Outcome) -> None:
    assert allowed_outcomes(written, ORDERED) == [{C: outcome}]


def test_a_replaced_certificate_is_back_in_the_pool_if_the_service_ever_took_it() -> None:
    assert allowed_outcomes(line(C, D), ORDERED) == [{C: Outcome("available"), D: SALE}]
    assert allowed_outcomes(line(C, D), {D}) == [{C: Outcome("reserved"), D: SALE}]


def test_where_change_and_money_crossed_one_of_the_two_is_sold() -> None:
    assert allowed_outcomes(line(C, D, crossed=True), ORDERED) == [
        {C: Outcome("available"), D: SALE},
        {C: SALE, D: Outcome("reserved")},
    ]


def test_where_cancellation_and_money_crossed_the_money_goes_back_either_way() -> None:
    crossed = line(withdrawn=True, crossed=True, refunded=FULL)
    issued_first, never_issued = allowed_outcomes(crossed, ORDERED)
    assert (issued_first[C].status, issued_first[C].refunded) == ("refunded", FULL)
    assert never_issued == {C: Outcome("available", refunded=FULL)}


# Tampering -----------------------------------------------------------------------------------------


@dataclass
class Shown:
    """What the service would show of one certificate of which 200,000 were spent; a test may tamper with it."""

    events: list[dict[str, Any]] = field(default_factory=list)
    certificate: dict[str, Any] = field(default_factory=dict)
    redemption: dict[str, Any] = field(default_factory=dict)
    pool: dict[str, int] = field(default_factory=dict)

    def evidence(self) -> Evidence:
        return Evidence(self.events, {C: self.certificate}, {"r-1": self.redemption}, self.pool)

    def event(self, event_type: str) -> dict[str, Any]:
        return next(one for one in self.events if one["eventType"] == event_type)

    def tell(
        self, event_type: str, status: str, balance: int = 0, held: int = 0, **payload: object
    ) -> dict[str, Any]:
        sequence = len(self.events) + 1
        published = {
            "eventId": f"e-{sequence}",
            "eventType": event_type,
            "certificateId": C,
            "sequence": sequence,
            "status": status,
            "refundState": "none",
            "balance": money(balance),
            "held": money(held),
            "payload": payload,
        }
        self.events.append(published)
        return published


def money(amount: int) -> dict[str, object]:
    return {"amount": amount, "currency": "RUB"}


def spent_in_part() -> tuple[Book, Shown]:
    shown = Shown()
    shown.tell("issue.reserved", "reserved")
    shown.tell("issue.ordered", "ordered", orderId="IM-1", amount=money(FULL))
    shown.tell("issue.completed", "issued", FULL, orderId="IM-1", amount=money(FULL))
    shown.tell("notification.requested", "issued", FULL, notificationId="n-1")
    spent = {"redemptionId": "r-1", "amount": money(200_000)}
    shown.tell("redemption.authorized", "issued", 300_000, 200_000, **spent)
    last = shown.tell("redemption.captured", "partiallyRedeemed", 300_000, **spent)
    shown.certificate = deepcopy(last)
    shown.redemption = {"status": "captured", "held": money(0), "spent": money(200_000), "restored": money(0)}
    shown.pool = {"available": 9, "partiallyRedeemed": 1}
    return Book(10, [line(purchases=SPENT)], handed_out={C}), shown


def test_nothing_differs_where_the_service_shows_what_the_book_says() -> None:
    book, shown = spent_in_part()
    shown.events.insert(3, deepcopy(shown.events[1]))  # delivered at least once
    assert differences(book, shown.evidence()) == []


def loses_an_event(shown: Shown) -> None:
    shown.events.pop(2)


def loses_the_last_event(shown: Shown) -> None:
    shown.events.pop()


def says_a_repeat_otherwise(shown: Shown) -> None:
    shown.events.append(deepcopy(shown.events[0]) | {"status": "available"})


def issues_twice(shown: Shown) -> None:
    shown.events[-1]["sequence"] = 7
    again = deepcopy(shown.event("issue.completed")) | {"eventId": "e-again", "sequence": 6}
    shown.events.insert(5, again)


def spends_twice(shown: Shown) -> None:
    shown.events.append(deepcopy(shown.events[-1]) | {"eventId": "e-again", "sequence": 7})


def keeps_money_to_itself(shown: Shown) -> None:
    shown.events[-1]["balance"] = shown.certificate["balance"] = money(299_999)


def answers_another_balance(shown: Shown) -> None:
    shown.certificate["balance"] = money(300_001)


def answers_another_status(shown: Shown) -> None:
    shown.certificate["status"] = "issued"


def answers_another_refund(shown: Shown) -> None:
    shown.certificate["refundState"] = "requested"


def forgets_the_certificate(shown: Shown) -> None:
    shown.certificate.clear()


def forgets_the_redemption(shown: Shown) -> None:
    shown.redemption["status"] = "authorized"


def sells_to_a_stranger(shown: Shown) -> None:
    shown.events.append(deepcopy(shown.events[0]) | {"certificateId": D, "eventId": "e-stranger"})


def loses_a_certificate_of_the_pool(shown: Shown) -> None:
    shown.pool["available"] -= 1


def complains(shown: Shown) -> None:
    shown.tell("redemption.rejected", "partiallyRedeemed", 300_000, reason="holdRequired")


def complains_of_an_order(shown: Shown) -> None:
    shown.tell("error.orderConflict", "partiallyRedeemed", 300_000, reason="alreadyIssued")


def complains_of_an_input(shown: Shown) -> None:
    nobody = {"certificateId": None, "sequence": None, "eventId": "e-nobody"}
    shown.events.append(deepcopy(shown.events[0]) | nobody | {"eventType": "error.malformedEvent"})


@pytest.mark.parametrize(
    ("tamper", "difference"),
    [
        (loses_an_event, "sequence 4 without 3 before it"),
        (loses_the_last_event, "spent is 0 on the stream, 200000 by the book"),
        (says_a_repeat_otherwise, "a repeat of e-1 says something else"),
        (issues_twice, "issue.completed 2 times for IM-1"),
        (spends_twice, "redemption.captured 2 times for r-1"),
        (keeps_money_to_itself, "balance is 299999 on the stream, 300000 by the book"),
        (answers_another_balance, "balance is 300001 over HTTP, 300000 by the book"),
        (answers_another_status, "status is issued over HTTP, partiallyRedeemed by the book"),
        (answers_another_refund, "refund_state is requested over HTTP, none by the book"),
        (forgets_the_certificate, "the API does not know it"),
        (forgets_the_redemption, "redemption r-1: ('authorized', 0, 200000, 0) over HTTP"),
        (sells_to_a_stranger, f"certificate {D}: issue.reserved, though nobody got it"),
        (loses_a_certificate_of_the_pool, "pool: 8 available over HTTP, 9 by the book"),
        (complains, "refused is 1 on the stream, 0 by the book"),
        (complains_of_an_order, "error.orderConflict {'reason': 'alreadyIssued'}"),
        (complains_of_an_input, "stream: error.malformedEvent"),
    ],
)
def test_the_oracle_finds_a_service_that(tamper: Callable[[Shown], None], difference: str) -> None:
    book, shown = spent_in_part()
    tamper(shown)
    assert difference in "\n".join(differences(book, shown.evidence()))


def test_a_certificate_that_is_handed_out_twice_is_a_fault_at_once() -> None:
    book = Book()
    book.hand_out(C)
    book.hand_out(C)
    assert book.faults == [f"certificate {C}: handed out twice"]


def test_a_difference_is_one_line_and_ends_non_zero(capsys: pytest.CaptureFixture[str]) -> None:
    book, shown = spent_in_part()
    assert ended(differences(book, shown.evidence()), "all is well") == 0
    answers_another_balance(shown)
    assert ended(differences(book, shown.evidence()), "all is well") == 1
    difference = f"certificate {C}: balance is 300001 over HTTP, 300000 by the book"
    assert capsys.readouterr().out == f"all is well\n{difference}\n"


# Independence --------------------------------------------------------------------------------------

_IMPORTED = """
import sys
before = set(sys.modules)
import {module}
print(*{{name.partition(".")[0] for name in sys.modules.keys() - before}})
"""


def imported_by(module: str) -> set[str]:
    command = [sys.executable, "-c", _IMPORTED.format(module=module)]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_chaos_loads_nothing_of_the_service() -> None:
    ours = {"giftcert", "workflows", "activities", "api", "kafka_ingest", "worker"}
    loaded = imported_by("chaos.__main__")
    assert "simulators" in loaded
    assert loaded & ours == set()


def test_the_oracle_loads_nothing_but_the_standard_library() -> None:
    assert imported_by("chaos.oracle") - sys.stdlib_module_names == {"chaos"}
