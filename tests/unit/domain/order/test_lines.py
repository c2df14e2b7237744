"""Line identity: the certificate makes the line, then its number; what left for good does not come back."""

from dataclasses import replace

from giftcert.domain.order import messages as m
from giftcert.domain.order.line_standings import line_standings
from giftcert.domain.order.standing import LineStanding, Withdrawal
from tests.unit.domain.order import orders as o

MORNING, EVENING, NIGHT = o.NOON - 3 * o.HOUR, o.NOON + 6 * o.HOUR, o.NOON + 10 * o.HOUR


def by_key(*messages: m.OrderMessage) -> dict[int, LineStanding]:
    return line_standings(o.fold(*messages), {})


def names(*messages: m.OrderMessage) -> dict[int, tuple[str, str, bool]]:
    """LineId, newest certificate and whether the line is listed, by line key."""
    return {
        key: (one.line_id, one.naming.certificate_id, one.listed) for key, one in by_key(*messages).items()
    }


def how(standing: LineStanding) -> Withdrawal | None:
    return standing.withdrawal.how if standing.withdrawal else None


# Matching -----------------------------------------------------------------------------------------


def test_lines_are_numbered_as_they_come_and_goods_have_no_standing() -> None:
    assert list(by_key(o.stated(o.TELEVISION, o.A, o.B))) == [2, 3]


def test_lines_in_another_order_are_the_same_lines() -> None:
    messages = (o.stated(o.TELEVISION, o.A, o.B), o.stated(o.B, o.TELEVISION, o.A, version=2))
    assert names(*messages) == names(messages[0])


def test_a_renumbered_line_is_the_same_line() -> None:
    moved = o.gift("7", certificate="certificate-2")
    assert names(o.stated(o.A, o.B), o.stated(moved, o.B, version=2)) == {
        1: ("7", "certificate-2", True),
        2: ("3", "certificate-3", True),
    }


def test_two_swapped_certificates_keep_their_lines() -> None:
    swapped = o.gift("3", certificate="certificate-2"), o.gift("2", certificate="certificate-3")
    assert names(o.stated(o.A, o.B), o.stated(*swapped, version=2)) == {
        1: ("3", "certificate-2", True),
        2: ("2", "certificate-3", True),
    }


def test_another_certificate_on_a_number_replaces_the_line_s() -> None:
    found = by_key(o.stated(o.A), o.stated(o.gift("2", certificate="new"), version=2))
    assert found[1].naming.certificate_id == "new"
    assert found[1].naming.replaces == "certificate-2"
    assert (found[1].naming.began.version, found[1].naming.terms.version) == (2, 2)


def test_a_certificate_that_moves_away_leaves_its_number_to_a_new_line() -> None:
    moved, new = o.gift("3", certificate="certificate-2"), o.gift("2", certificate="new")
    assert names(o.stated(o.A), o.stated(moved, new, version=2)) == {
        1: ("3", "certificate-2", True),
        2: ("2", "new", True),
    }


def test_all_that_a_line_ever_named_is_known_newest_last() -> None:
    versions = [
        o.stated(o.gift("2", certificate=name), version=nth)
        for nth, name in enumerate(("a", "b", "c", "b"), start=1)
    ]
    order = o.fold(*versions)
    assert [line.certificates for line in order.lines] == [("a", "c", "b")]


def test_a_number_means_the_line_that_was_removed_last() -> None:
    """A certificate had it, then goods, then the certificate again: so it is the certificate's line."""
    goods, nothing = o.stated(o.goods("2"), version=2), o.stated(o.B, version=4)
    new = o.stated(o.B, o.gift("2", certificate="new"), version=5)
    assert names(o.stated(o.A), goods, o.stated(o.A, version=3), nothing, new) == {
        1: ("2", "new", True),
        3: ("3", "certificate-3", True),
    }


def test_a_line_that_becomes_goods_is_removed_and_the_goods_are_new() -> None:
    found = by_key(o.stated(o.A), o.stated(o.goods("2", 500), version=2))
    assert (how(found[1]), found[1].listed) == (Withdrawal.REMOVED, False)


# Naming -------------------------------------------------------------------------------------------


def test_naming_goes_on_over_versions_that_change_nothing_of_the_line() -> None:
    first = o.stated(o.A, at=MORNING)
    order = o.fold(first)
    order = o.fold(o.stated(o.A, o.B, version=2), order=order, now=o.NOON + o.DAY)
    naming = line_standings(order, {})[1].naming
    assert (naming.began.version, naming.terms.version) == (1, 1)
    assert (naming.began.cause, naming.began.applied_at) == (first.cause, o.NOON)


def test_what_changes_a_line_s_terms() -> None:
    changes = (
        o.gift("2", 400),
        o.gift("2", nominal=600),
        o.gift("2", reservation_id="R-other"),
        o.gift("2", reservation_id=None),
    )
    for line in changes:
        second = o.stated(line, version=2)
        naming = by_key(o.stated(o.A), second)[1].naming
        assert (naming.began.version, naming.terms.version, naming.terms.cause) == (1, 2, second.cause)
        assert (naming.began.reservation_id, naming.terms.reservation_id) == (
            "R-certificate-2",
            line.reservation_id,
        )
    naming = by_key(o.stated(o.A), o.stated(o.gift("7", certificate="certificate-2"), version=2))[1].naming
    assert naming.terms.version == 1


def test_a_discount_of_the_whole_order_changes_a_line_s_terms() -> None:
    found = by_key(o.stated(o.TELEVISION, o.A), o.stated(o.TELEVISION, o.A, total=675, version=2))[2]
    assert (found.amount, found.price, found.naming.terms.version) == (500, 450, 2)


def test_a_version_by_itself_changes_no_standing() -> None:
    order = o.fold(o.stated(o.TELEVISION, o.A), o.captured(750))
    later = o.fold(o.stated(o.A, o.TELEVISION, version=2), order=order)
    stood, stands = line_standings(order, {})[2], line_standings(later, {})[2]
    assert replace(stands, revision=stood.revision) == stood


def test_versions_that_say_the_same_do_not_make_the_order_larger() -> None:
    order = o.fold(o.stated(o.TELEVISION, o.A))
    later = o.fold(o.stated(o.TELEVISION, o.A, version=2), order=order)
    assert (later.lines, later.bearings) == (order.lines, order.bearings)


# Leaving and coming back --------------------------------------------------------------------------


def test_a_line_that_the_newest_version_lists_no_more_is_removed() -> None:
    second = o.stated(o.TELEVISION, version=2, at=EVENING)
    found = by_key(o.stated(o.TELEVISION, o.A), second)[2]
    assert found.withdrawal is not None
    assert (found.withdrawal.how, found.withdrawal.said_in) == (Withdrawal.REMOVED, 2)
    assert found.withdrawal.cause == second.cause
    assert (found.listed, found.naming.certificate_id) == (False, "certificate-2")


def test_a_removed_line_comes_back_and_is_named_anew() -> None:
    found = by_key(o.stated(o.TELEVISION, o.A), o.stated(o.TELEVISION, version=2), o.stated(o.A, version=3))[
        2
    ]
    assert (found.listed, found.withdrawal) == (True, None)
    assert (found.naming.began.version, found.naming.replaces) == (3, None)


def test_a_removed_line_s_number_may_come_back_with_another_certificate() -> None:
    new = o.gift("2", certificate="new")
    found = names(o.stated(o.TELEVISION, o.A), o.stated(o.TELEVISION, version=2), o.stated(new, version=3))
    assert found == {2: ("2", "new", True)}


def test_cancelled_or_returned_is_for_good() -> None:
    for left, kind in ((o.cancelled("2"), Withdrawal.CANCELLED), (o.returned("2"), Withdrawal.RETURNED)):
        found = by_key(o.stated(o.A), left, o.stated(o.A, version=3), o.stated(o.A, version=4))
        assert list(found) == [1]
        assert (how(found[1]), found[1].listed, found[1].listed_in) == (kind, True, 3)


def test_a_line_that_is_cancelled_again_by_the_version_that_lists_it_in_vain_is_listed_in_the_next() -> None:
    cancelled_twice = o.stated(o.A), o.cancelled("2"), o.stated(o.A, version=3), o.cancelled("2", version=3)
    found = by_key(*cancelled_twice, o.stated(o.A, version=4))[1]
    assert (how(found), found.withdrawal and found.withdrawal.said_in) == (Withdrawal.CANCELLED, 3)
    assert found.listed_in == 4


def test_a_new_certificate_on_a_cancelled_line_s_number_is_a_new_line() -> None:
    new = o.gift("2", certificate="new")
    found = by_key(o.stated(o.A), o.captured(), o.cancelled("2"), o.stated(new, version=3, at=EVENING))
    assert [(one.line_id, one.naming.certificate_id, how(one)) for one in found.values()] == [
        ("2", "certificate-2", Withdrawal.CANCELLED),
        ("2", "new", None),
    ]
    assert (found[1].captured, found[2].captured, found[2].naming.replaces) == (500, 0, None)


def test_the_cancelled_certificate_named_again_beside_its_successor_stays_cancelled() -> None:
    new = o.gift("2", certificate="new")
    found = by_key(
        o.stated(o.A), o.cancelled("2"), o.stated(new, version=3), o.stated(o.A, version=4, at=EVENING)
    )
    assert [(how(one), one.listed) for one in found.values()] == [
        (Withdrawal.CANCELLED, True),
        (Withdrawal.REMOVED, False),
    ]


def test_a_removed_line_that_is_cancelled_or_returned_does_not_come_back() -> None:
    for left in (o.cancelled("2", version=3), o.returned("2", version=3), o.cancelled(version=3)):
        messages = (o.stated(o.TELEVISION, o.A), o.stated(o.TELEVISION, version=2, at=MORNING), left)
        found = by_key(*messages)[2]
        assert found.withdrawal is not None
        assert found.withdrawal.how is not Withdrawal.REMOVED
        assert (found.withdrawal.cause.occurred_at, found.withdrawal.said_in) == (MORNING, 3)
        assert how(by_key(*messages, o.stated(o.A, version=4))[2]) is found.withdrawal.how


def test_how_a_line_first_left_for_good_stands_and_a_newer_version_that_says_so_again_is_known() -> None:
    found = by_key(o.stated(o.A), o.cancelled("2"), o.returned("2", version=5))[1]
    assert found.withdrawal is not None
    assert (found.withdrawal.how, found.withdrawal.said_in) == (Withdrawal.CANCELLED, 5)


def test_a_cancellation_names_the_line_that_bears_the_number_now() -> None:
    swapped = o.gift("3", certificate="certificate-2"), o.gift("2", certificate="certificate-3")
    found = by_key(o.stated(o.A, o.B), o.stated(*swapped, version=2), o.cancelled("3", version=3))
    assert (how(found[1]), how(found[2])) == (Withdrawal.CANCELLED, None)


def test_a_cancellation_names_a_listed_line_before_one_that_left_under_the_number() -> None:
    new = o.gift("2", certificate="new")
    found = by_key(o.stated(o.A), o.returned("2"), o.stated(new, version=3), o.cancelled("2", version=4))
    assert (how(found[1]), how(found[2])) == (Withdrawal.RETURNED, Withdrawal.CANCELLED)
    moved = o.gift("3", certificate="certificate-2")
    versions = o.stated(moved, o.gift("2", certificate="certificate-3")), o.stated(o.A, version=2)
    found = by_key(*versions, o.cancelled("2", version=3))
    assert [(one.line_id, how(one)) for one in found.values()] == [
        ("2", Withdrawal.CANCELLED),
        ("2", Withdrawal.REMOVED),
    ]


def test_a_cancellation_that_names_its_certificates_may_be_the_first_of_its_order() -> None:
    order = o.fold(o.cancelled("2", version=2, certificates={"2": "certificate-2"}))
    found = line_standings(order, {})[1]
    assert (found.naming.certificate_id, how(found)) == ("certificate-2", Withdrawal.CANCELLED)
    assert (found.listed, found.currency) == (False, "")
    order = o.fold(o.captured(), order=order)
    assert line_standings(order, {})[1].captured == 500
    order = o.fold(o.stated(o.TELEVISION, o.A, version=3), order=order)
    found = line_standings(order, {})[1]
    assert (how(found), found.amount, found.currency) == (Withdrawal.CANCELLED, 500, "RUB")


def test_a_cancellation_of_lines_that_nobody_knows_changes_no_line() -> None:
    assert names(o.stated(o.A), o.cancelled("9")) == names(o.stated(o.A))
    assert how(by_key(o.stated(o.A), o.cancelled("9"))[1]) is None


def test_a_cancellation_makes_a_line_only_of_a_number_and_a_certificate_that_nobody_knows() -> None:
    for known in ({"2": "other"}, {"9": "certificate-2"}):
        assert list(by_key(o.stated(o.A), o.cancelled("9", certificates=known))) == [1]


def test_what_a_cancellation_named_first_stays_cancelled_whatever_the_order_then_says() -> None:
    first = o.cancelled("2", certificates={"2": "certificate-2"})
    assert o.fold(first).channel == "im"
    moved = o.gift("7", certificate="certificate-2")
    for then in (o.stated(o.TELEVISION, version=3), o.stated(moved), o.stated(moved, version=3)):
        found = by_key(first, then)[1]
        assert (how(found), found.withdrawal and found.withdrawal.said_in) == (Withdrawal.CANCELLED, 2)


def test_a_pos_that_takes_a_line_back_does_not_become_the_order_s_channel() -> None:
    order = o.fold(
        o.stated(o.A),
        m.LinesReturned(
            cause=o.cause(channel="pos"), order_id=o.ORDER, version=2, channel="pos", line_ids=("2",)
        ),
    )
    assert order.channel == "im"


# Money follows the line ---------------------------------------------------------------------------


def captures(*messages: m.OrderMessage) -> dict[int, int]:
    return {key: one.captured for key, one in by_key(*messages).items()}


def test_what_was_allocated_to_the_old_number_stays_the_line_s_money() -> None:
    moved = o.stated(o.gift("7", certificate="certificate-2"), o.B, version=2, at=EVENING)
    old = o.captured(300, to={"2": 300}, at=o.NOON)
    assert captures(o.stated(o.A, o.B, at=MORNING), old, moved) == {1: 300, 2: 0}
    assert captures(old, o.stated(o.A, o.B, at=MORNING), moved) == {1: 300, 2: 0}
    late = o.captured(200, to={"7": 200}, at=NIGHT)
    assert captures(o.stated(o.A, o.B, at=MORNING), moved, old, late) == {1: 500, 2: 0}


def test_allocations_to_two_numbers_of_one_line_are_its_money_together() -> None:
    moved = o.stated(o.gift("7", certificate="certificate-2"), o.B, version=2, at=EVENING)
    both = o.captured(150, to={"2": 100, "7": 50}, at=o.NOON)
    assert captures(o.stated(o.A, o.B, at=MORNING), moved, both) == {1: 150, 2: 0}


def test_an_allocation_means_the_line_that_bore_the_number_when_the_payment_occurred() -> None:
    swapped = o.gift("3", certificate="certificate-2"), o.gift("2", certificate="certificate-3")
    versions = o.stated(o.A, o.B, at=MORNING), o.stated(*swapped, version=2, at=EVENING)
    before, after = o.captured(500, to={"2": 500}), o.captured(400, to={"2": 400}, at=NIGHT)
    for messages in ((*versions, before, after), (before, after, *versions), (before, *versions, after)):
        assert captures(*messages) == {1: 500, 2: 400}
    assert captures(*versions, o.captured(100, to={"2": 100}, at=EVENING)) == {1: 0, 2: 100}


def test_before_any_line_bore_the_number_the_first_that_does_is_meant() -> None:
    early = o.captured(500, to={"9": 500}, at=MORNING)
    versions = o.stated(o.A), o.stated(o.A, o.gift("9"), version=2, at=EVENING)
    for messages in ((early, *versions), (*versions, early)):
        assert captures(*messages) == {1: 0, 2: 500}


def test_a_withdrawn_line_is_still_meant_until_another_bears_its_number() -> None:
    new = o.stated(o.gift("2", certificate="new"), version=3, at=EVENING)
    versions = o.stated(o.A, at=MORNING), o.cancelled("2"), new
    assert captures(*versions, o.captured(500, to={"2": 500}, at=MORNING - o.HOUR)) == {1: 500, 2: 0}
    assert captures(*versions, o.captured(500, to={"2": 500}, at=o.NOON)) == {1: 500, 2: 0}
    assert captures(*versions, o.captured(500, to={"2": 500}, at=NIGHT)) == {1: 0, 2: 500}


def test_the_replacing_certificate_finds_the_money_of_the_line() -> None:
    found = by_key(o.stated(o.A), o.captured(), o.stated(o.gift("2", certificate="new"), version=2))[1]
    assert (found.captured, found.is_paid, found.paying) == (500, True, ("P-1",))


def test_a_line_was_first_paid_when_it_was_whatever_certificate_it_named_then() -> None:
    new = o.stated(o.gift("2", certificate="a"), version=2)
    found = by_key(o.stated(o.A), o.captured(), o.refunded(to={"2": 500}), o.captured(500, "P-2"), new)[1]
    assert (found.captured, found.is_paid, found.paying) == (1_000, True, ("P-1",))
