"""Up to which position of the outbox nothing can come any more, from looks that follow one another."""

from giftcert.storage.outbox import Look, Watermark


def look(last_position: int, oldest_running: int, next_transaction: int) -> Look:
    return Look(last_position, oldest_running, next_transaction, event_waits=False)


def test_a_position_is_safe_once_a_later_look_sees_nobody_run() -> None:
    watermark = Watermark()
    watermark.observe(look(7, 100, 100))
    assert watermark.position == -1
    watermark.observe(look(7, 100, 100))
    assert watermark.position == 7


def test_one_look_alone_shows_nothing_as_its_snapshot_is_older_than_the_position_that_it_reads() -> None:
    """Transaction 100 draws position 7 between the snapshot and the read of the sequence."""
    watermark = Watermark()
    watermark.observe(look(7, 100, 100))
    watermark.observe(look(7, 100, 101))
    assert watermark.position == -1
    watermark.observe(look(7, 101, 101))
    assert watermark.position == 7


def test_transactions_that_begin_later_hold_nothing_back() -> None:
    watermark = Watermark()
    watermark.observe(look(7, 90, 100))
    watermark.observe(look(9, 90, 105))
    watermark.observe(look(12, 105, 130))
    assert watermark.position == 7


def test_while_positions_are_drawn_all_the_time_the_mark_follows() -> None:
    watermark = Watermark()
    for nth in range(20):
        watermark.observe(look(nth, 100 + nth, 102 + nth))
    assert watermark.position >= 10
