"""Up to which position of the outbox nothing can come any more, from looks that follow one another."""

from giftcert.storage.outbox import Look, Watermark


def look(last_position: int, oldest_running: int) -> Look:
    return Look(last_position, oldest_running, event_waits=False)


def test_a_position_is_safe_once_all_older_transactions_have_ended() -> None:
    watermark = Watermark()
    watermark.seek(7, fence=100)
    watermark.observe(look(7, 99))
    assert (watermark.position, watermark.is_sought) == (-1, True)
    watermark.observe(look(9, 100))
    assert (watermark.position, watermark.is_sought) == (7, False)


def test_without_anything_sought_nothing_moves() -> None:
    watermark = Watermark()
    watermark.observe(look(7, 100))
    assert watermark.position == -1
