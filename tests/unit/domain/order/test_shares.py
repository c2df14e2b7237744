"""A refund that names no line and must be certificate money: what persons say of it, and what cases have counted."""

from dataclasses import replace

from giftcert.domain.order import messages as m
from giftcert.domain.order.line_standings import line_standings
from giftcert.domain.order.standing import CountedMoney, LineRefund, LineStanding
from tests.unit.domain.order import orders as o

LATER = o.NOON + o.HOUR


def in_doubt(*messages: m.OrderMessage, amount: int = 500) -> dict[int, LineRefund | None]:
    """The refund r-1 of three certificates, paid, as each line sees it after these messages."""
    lines = o.stated(o.A, o.B, o.gift("4"))
    order = o.fold(lines, o.captured(1_500), o.refunded(amount, "r-1"), *messages)
    found = line_standings(order, {})
    return {key: next((one for one in line.refunds), None) for key, line in found.items()}


def possible(found: dict[int, LineRefund | None]) -> list[int]:
    return [one.possible if one else 0 for one in found.values()]


def certain(found: dict[int, LineRefund | None]) -> list[int]:
    return [one.certain if one else 0 for one in found.values()]


def test_nobody_has_spoken() -> None:
    found = in_doubt()
    assert (possible(found), certain(found)) == ([500, 500, 500], [0, 0, 0])
    assert all(one and one.decided is None and not one.last_candidate for one in found.values())


def test_what_a_person_gives_to_a_line_is_certain_and_the_rest_may_mean_the_others() -> None:
    found = in_doubt(o.share(1, 300))
    assert (possible(found), certain(found)) == ([0, 200, 200], [300, 0, 0])
    assert found[1]
    assert found[1].decided == 300


def test_a_person_who_gives_all_of_it_leaves_nothing_to_the_others() -> None:
    found = in_doubt(o.share(2, 500))
    assert (possible(found), certain(found)) == ([0, 0, 0], [0, 500, 0])
    assert (found[1], found[3]) == (None, None)


def test_not_this_line_leaves_the_others() -> None:
    found = in_doubt(o.share(1, 0))
    assert (possible(found), certain(found)) == ([0, 500, 500], [0, 0, 0])
    assert found[1]
    assert found[1].decided == 0
    found = in_doubt(o.share(1, 0), o.share(3, 0))
    assert possible(found) == [0, 500, 0]
    assert found[2]
    assert found[2].last_candidate


def test_what_no_line_took_is_left_to_the_one_of_which_was_spoken_last() -> None:
    found = in_doubt(o.share(1, 0), o.share(3, 100), o.share(2, 200))
    assert (possible(found), certain(found)) == ([0, 200, 0], [0, 200, 100])
    assert found[2]
    assert (found[2].decided, found[2].last_candidate) == (200, True)
    found = in_doubt(o.share(1, 0), o.share(3, 100), o.share(2, 200), o.share(2, 400))
    assert (possible(found), certain(found)) == ([0, 0, 0], [0, 400, 100])


def test_what_no_line_took_is_left_to_the_last_though_another_line_has_all_its_money_back() -> None:
    back = o.refunded(500, "r-0", to={"3": 500}), o.refunded(400, "r-1")
    found = o.standings(o.stated(o.A, o.B), o.captured(1_000), *back, o.share(1, 0))
    assert [(o.back(one), o.possible(one)) for one in found.values()] == [(0, 400), (500, 0)]


def test_what_a_person_gives_to_a_line_is_beside_what_is_allocated_to_it() -> None:
    paid = o.stated(o.A, o.B), o.captured(1_000), o.refunded(300, "r-1", to={"2": 100})
    found = o.standings(*paid, o.share(1, 50))
    assert [(o.back(one), o.possible(one)) for one in found.values()] == [(150, 0), (0, 150)]


def test_persons_never_give_more_than_the_refund() -> None:
    found = in_doubt(o.share(1, 400), o.share(2, 400))
    assert (sum(certain(found)), certain(found)[0]) == (500, 400)


def test_what_a_person_said_stands_when_the_line_is_returned_afterwards() -> None:
    found = in_doubt(o.share(1, 0), o.returned("2", at=LATER))
    assert (possible(found), certain(found)) == ([0, 500, 500], [0, 0, 0])


def test_a_later_part_of_the_refund_is_in_doubt_too() -> None:
    more = o.refunded(100, "r-1", payment_id="P-2")
    found = in_doubt(o.share(1, 500), more)
    assert (possible(found), certain(found)) == ([0, 100, 100], [500, 0, 0])


def test_a_share_of_an_unknown_refund_changes_nothing() -> None:
    assert possible(in_doubt(o.share(1, 500, "r-9"))) == [500, 500, 500]


def test_each_of_several_refunds_has_its_own_last_line() -> None:
    messages = (
        o.stated(o.A, o.B),
        o.captured(1_000),
        o.refunded(200, "r-1"),
        o.share(1, 0),
        o.refunded(100, "r-2"),
    )
    found = o.standings(*messages)["3"]
    assert [(one.refund_id, one.last_candidate) for one in found.refunds] == [("r-1", True), ("r-2", False)]


# Counted ------------------------------------------------------------------------------------------

PAID = (o.stated(o.TELEVISION, o.A, o.B), o.captured(1_250))


def test_what_was_counted_stays_with_its_line_though_a_line_with_a_lower_number_is_returned_later() -> None:
    returned = (*PAID, o.returned("3", at=LATER), o.refunded(500, "r-1", at=LATER))
    counted = {3: o.counted_whole(o.standings(*returned)["3"])}
    both = (*returned, o.returned("2", version=3, at=o.NOON))  # occurred before, known later
    assert [o.back(one) for one in o.standings(*both).values()] == [500, 0]
    found = o.standings(*both, counted=counted)
    assert [o.back(one) for one in found.values()] == [0, 500]


def test_what_was_counted_when_all_was_back_stays_when_more_is_captured() -> None:
    all_back = (o.stated(o.A, o.B), o.captured(1_000), o.refunded(1_000, "r-1"))
    counted = {key: o.counted_whole(one) for key, one in line_standings(o.fold(*all_back), {}).items()}
    found = o.standings(*all_back, o.captured(500, "P-2", to={"3": 500}), counted=counted)
    assert [(one.captured, o.back(one), one.is_paid) for one in found.values()] == [
        (500, 500, False),
        (1_000, 500, True),
    ]


def test_counting_by_itself_changes_no_standing() -> None:
    messages = (
        *PAID,
        o.returned("3", "1", at=LATER),
        o.refunded(700, "r-1", at=LATER),
        o.refunded(60, "r-2"),
    )
    order = o.fold(*messages)
    before = line_standings(order, {})
    for keys in ((2,), (3,), (2, 3)):
        counted = {key: o.counted_whole(before[key]) for key in keys}
        assert line_standings(order, counted) == before


def test_counting_when_all_is_back_changes_no_standing() -> None:
    back = (o.refunded(700, "r-1", to={"2": 700}), o.refunded(550, "r-2"))
    order = o.fold(*PAID, *back)
    before = line_standings(order, {})
    assert [o.back(one) for one in before.values()] == [500, 500]
    for keys in ((2,), (3,), (2, 3)):
        assert line_standings(order, {key: o.counted_whole(before[key]) for key in keys}) == before


def test_what_was_counted_of_a_part_stays_when_all_is_back_and_the_rest_goes_where_it_was_said() -> None:
    messages = (o.stated(o.A, o.B), o.captured(1_000))
    back = (o.refunded(400, "r-1", to={"2": 100, "3": 300}), o.refunded(600, "r-2"))
    counted = {1: CountedMoney(captured=100, refunds=(("r-1", "RUB", 100),))}
    found = o.standings(*messages, *back, counted=counted)
    assert [[(one.refund_id, one.certain) for one in line.refunds] for line in found.values()] == [
        [("r-1", 100), ("r-2", 400)],
        [("r-1", 300), ("r-2", 200)],
    ]


def test_what_several_cases_counted_of_one_refund_stays_with_the_line_together() -> None:
    counted = {2: CountedMoney(captured=100, refunds=(("r-1", "RUB", 60), ("r-1", "RUB", 40)))}
    found = o.standings(*PAID, o.refunded(300, "r-1"), counted=counted)
    assert [o.back(one) for one in found.values()] == [100, 0]


def test_what_was_counted_of_a_refund_that_is_not_known_changes_nothing() -> None:
    order = o.fold(*PAID, o.refunded(300, "r-1"))
    counted = {2: CountedMoney(captured=500, refunds=(("r-9", "RUB", 500),))}
    assert line_standings(order, counted) == line_standings(order, {})


def test_more_counted_than_a_refund_has_is_kept_and_takes_from_nobody_twice() -> None:
    counted = {2: CountedMoney(captured=500, refunds=(("r-1", "RUB", 500),))}
    found = o.standings(*PAID, o.refunded(300, "r-1"), counted=counted)
    assert [o.back(one) for one in found.values()] == [500, 0]


def test_what_was_counted_is_taken_from_the_first_who_are_said_to_have_it() -> None:
    counted = {1: CountedMoney(captured=300, refunds=(("r-1", "RUB", 300),))}
    said = o.share(2, 350), o.share(3, 150)
    paid = o.stated(o.A, o.B, o.gift("4")), o.captured(1_500), o.refunded(500, "r-1")
    assert [o.back(one) for one in o.standings(*paid, *said).values()] == [0, 350, 150]
    found = o.standings(*paid, *said, counted=counted)
    assert [o.back(one) for one in found.values()] == [300, 50, 150]
    found = o.standings(*paid, o.share(2, 200), o.share(3, 300), counted=counted)
    assert [o.back(one) for one in found.values()] == [300, 0, 200]


def test_a_refund_of_which_all_that_a_line_was_given_is_another_s_gives_it_nothing_back() -> None:
    counted = {3: CountedMoney(captured=300, refunds=(("r-1", "RUB", 300),))}
    paid = o.stated(o.A, o.B, o.gift("4")), o.captured(1_500)
    found = o.standings(*paid, o.refunded(500, "r-1", to={"2": 200, "3": 300}), counted=counted)
    assert found["2"].refunds == ()
    assert [o.back(one) for one in found.values()] == [0, 200, 300]


def test_a_refund_of_which_a_part_was_counted_fits_the_goods_only_as_a_whole() -> None:
    counted = {2: CountedMoney(captured=200, refunds=(("r-1", "RUB", 200),))}
    refund = o.refunded(300, "r-1", at=o.NOON - o.MINUTE)
    found = o.standings(*PAID, refund, o.returned("3", at=LATER), counted=counted)
    assert [o.back(one) for one in found.values()] == [200, 100]


# Other currencies ---------------------------------------------------------------------------------


def euros(line: LineStanding) -> list[tuple[int, int, int | None, bool]]:
    return [
        (one.certain, one.possible, one.decided, one.last_candidate)
        for one in line.refunds
        if one.currency == "EUR"
    ]


def test_a_refund_in_another_currency_may_mean_every_certificate_line() -> None:
    found = o.standings(*PAID, o.refunded(60, "r-1", currency="EUR"))
    assert [euros(one) for one in found.values()] == [[(0, 60, None, False)], [(0, 60, None, False)]]
    assert all(one.is_paid and one.other_lines_money for one in found.values())


def test_one_that_can_mean_no_other_line_is_certain() -> None:
    found = o.standings(o.stated(o.A), o.captured(), o.refunded(60, "r-1", currency="EUR"))["2"]
    assert (euros(found), found.other_lines_money) == ([(60, 0, None, False)], False)
    found = o.standings(*PAID, o.refunded(60, "r-1", currency="EUR", to={"2": 60}))["2"]
    assert euros(found) == [(60, 0, None, False)]


def test_a_person_says_of_which_line_money_in_another_currency_is() -> None:
    messages = (*PAID, o.refunded(60, "r-1", currency="EUR"))
    found = o.standings(*messages, o.share(2, 60, currency="EUR"))
    assert [euros(one) for one in found.values()] == [[(60, 0, 60, False)], []]
    found = o.standings(*messages, o.share(2, 0, currency="EUR"))
    assert [euros(one) for one in found.values()] == [[(0, 0, 0, False)], [(0, 60, None, True)]]


def test_what_no_certificate_took_in_another_currency_is_left_to_the_one_of_which_was_spoken_last() -> None:
    three = (o.A, o.B, o.gift("4"))
    refund = o.refunded(60, "r-1", currency="EUR")
    spoken = [o.share(key, 0, currency="EUR") for key in (2, 3, 1)]
    found = o.standings(o.stated(*three), o.captured(1_500), refund, *spoken)
    assert [euros(one) for one in found.values()] == [
        [(0, 60, 0, True)],
        [(0, 0, 0, False)],
        [(0, 0, 0, False)],
    ]
    beside = [o.share(key, 0, currency="EUR") for key in (3, 4, 2)]
    found = o.standings(o.stated(o.TELEVISION, *three), o.captured(1_750), refund, *beside)
    assert all(euros(one) == [(0, 0, 0, False)] for one in found.values())


def test_parts_of_one_refund_in_two_currencies_are_kept_apart() -> None:
    found = o.standings(
        *PAID,
        o.refunded(100, "r-1", to={"2": 100}),
        o.refunded(6, "r-1", to={"2": 6}, payment_id="P-2", currency="EUR"),
    )["2"]
    assert [(one.currency, one.certain) for one in found.refunds] == [("RUB", 100), ("EUR", 6)]


def test_money_captured_in_another_currency_pays_nothing_and_stands_on_one_line() -> None:
    foreign = o.captured(80, "P-9", currency="EUR", capture_id="K-9")
    found = o.standings(o.stated(o.TELEVISION, o.A, o.B), foreign)
    assert [len(one.foreign_captures) for one in found.values()] == [1, 0]
    (capture,) = found["2"].foreign_captures
    assert (capture.payment_id, capture.amount, capture.currency) == ("P-9", 80, "EUR")
    assert (capture.refunded, capture.cause) == (0, foreign.cause)
    assert (found["2"].captured, found["2"].is_paid) == (0, False)
    allocated = o.captured(80, "P-9", currency="EUR", to={"3": 80})
    found = o.standings(o.stated(o.TELEVISION, o.A, o.B), allocated)
    assert [len(one.foreign_captures) for one in found.values()] == [0, 1]
    of_goods = o.captured(80, "P-9", currency="EUR", to={"1": 80})
    found = o.standings(o.stated(o.TELEVISION, o.A, o.B), of_goods)
    assert [len(one.foreign_captures) for one in found.values()] == [0, 0]


def test_a_foreign_capture_is_known_by_its_capture_id() -> None:
    twice = [o.captured(80, "P-9", currency="EUR", capture_id=name) for name in ("K-1", "K-2")]
    found = o.standings(o.stated(o.A), *twice)["2"].foreign_captures
    assert [capture.identity for capture in found] == ["P-9 K-1", "P-9 K-2"]


def test_a_foreign_capture_without_a_capture_id_is_known_by_its_amount_and_time() -> None:
    one, other = (replace(o.captured(amount, "P-9", currency="EUR"), capture_id=None) for amount in (80, 90))
    found = o.standings(o.stated(o.A), one, other)["2"].foreign_captures
    at = o.NOON.isoformat()
    assert [capture.identity for capture in found] == [f"P-9 80 {at}", f"P-9 90 {at}"]


def test_a_foreign_capture_stays_on_its_line_when_that_is_cancelled() -> None:
    found = o.standings(o.stated(o.A, o.B), o.captured(80, currency="EUR"), o.cancelled("2"))
    assert [len(one.foreign_captures) for one in found.values()] == [1, 0]


def test_what_gives_back_a_foreign_capture_of_the_same_payment_settles_it() -> None:
    messages = (*PAID, o.captured(80, "P-9", currency="EUR"))
    found = o.standings(*messages, o.refunded(50, "r-1", payment_id="P-9", currency="EUR"))
    assert found["2"].foreign_captures[0].refunded == 50
    assert [euros(one) for one in found.values()] == [[], []]
    found = o.standings(*messages, o.refunded(100, "r-1", payment_id="P-9", currency="EUR"))
    assert found["2"].foreign_captures[0].refunded == 80
    assert [euros(one) for one in found.values()] == [[(0, 20, None, False)], [(0, 20, None, False)]]
    found = o.standings(*messages, o.refunded(50, "r-1", payment_id="P-1", currency="EUR"))
    assert found["2"].foreign_captures[0].refunded == 0
    assert euros(found["2"]) == [(0, 50, None, False)]


def test_all_refunds_of_a_payment_together_settle_its_foreign_captures_in_turn() -> None:
    captures = [o.captured(80, "P-9", currency="EUR") for _ in range(2)]
    refunds = [o.refunded(amount, payment_id="P-9", currency="EUR") for amount in (60, 40)]
    found = o.standings(*PAID, *captures, *refunds)["2"]
    assert [one.refunded for one in found.foreign_captures] == [80, 20]


def test_no_money_is_foreign_to_an_order_whose_currency_is_not_known_yet() -> None:
    first = o.cancelled("2", certificates={"2": "certificate-2"})
    found = o.standings(first, o.captured(500), o.refunded(200, "r-1"))["2"]
    assert (found.captured, found.foreign_captures, o.refund(found).certain) == (500, (), 200)


def test_what_a_foreign_capture_does_not_settle_of_refunds_in_its_currency_is_back_of_the_line() -> None:
    """Of r-1 all is settled, of r-2 all but 1, of r-3 nothing."""
    back = [o.refunded(40, f"r-{nth}", payment_id="P-9", currency="EUR") for nth in (1, 2, 3)]
    found = o.standings(o.stated(o.A), o.captured(79, "P-9", currency="EUR"), *back)["2"]
    assert [(one.refund_id, one.certain) for one in found.refunds] == [("r-2", 1), ("r-3", 40)]


def test_counting_money_in_another_currency_changes_no_standing() -> None:
    for refund in (
        o.refunded(60, "r-1", currency="EUR", to={"2": 60}),
        o.refunded(60, "r-1", currency="EUR"),
    ):
        order = o.fold(*PAID, refund, o.captured(700, "P-2"))
        before = line_standings(order, {})
        eur = sum(one.certain for one in before[2].refunds)
        counted = {2: CountedMoney(captured=500, refunds=(("r-1", "EUR", eur),))}
        assert line_standings(order, counted) == before
