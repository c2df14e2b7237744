"""The statements of the deciding transaction, on the real tables."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from giftcert.domain.certificate.state import Holder, Redemption, RedemptionState, Status
from giftcert.domain.order.standing import CountedMoney
from giftcert.lifecycle.review import line_as_seen
from giftcert.storage.certificates import (
    AlreadyAnsweredError,
    ParkedWork,
    UnknownCertificateError,
    lock,
)
from giftcert.storage.decisions import Disclosure, write
from giftcert.storage.idempotency import Answer
from tests.integration.storage.decided_rows import A_SECOND, NOW, Rows, decision, loaded, request, transaction
from tests.integration.storage.pool_rows import Tables

pytestmark = pytest.mark.integration


async def test_what_waits_for_a_certificate_is_loaded_with_it(tables: Tables, rows: Rows) -> None:
    await rows.line(unpaid_until=NOW, named_certificates=[rows.certificate_id], speaker=rows.certificate_id)
    await rows.line("IM-0", 2)
    await rows.pending("IM-1", 1)
    await rows.pending("IM-0", 2)
    await rows.pending("", 0)
    await rows.spending("spent-2")
    await rows.spending("spent-1")
    await tables.run(
        """INSERT INTO clients (client_id, merged_into, occurred_at, event_id)
            VALUES ('C-1', 'C-2', now(), '1'), ('C-2', NULL, now(), '2'), ('C-3', NULL, now(), '3')"""
    )
    found = await loaded(tables, rows.certificate_id)
    assert [line.key for line in found.lines] == [("IM-0", 2), ("IM-1", 1)]
    assert found.lines[1].unpaid_until == NOW
    assert found.lines[1].named == (rows.certificate_id,)
    assert [one.key for one in found.pending] == [("IM-1", 1), ("IM-0", 2), ("", 0)]
    assert [identity for identity, _ in found.spendings] == ["spent-2", "spent-1"]
    assert {client.client_id for client in found.clients} == {"C-1", "C-2"}
    assert found.stored.state.status is Status.AVAILABLE


async def test_an_unknown_certificate_is_said_to_be(tables: Tables) -> None:
    with pytest.raises(UnknownCertificateError):
        await loaded(tables, "01890000-0000-7000-8000-000000000000")


async def test_a_line_that_becomes_known_during_the_wait_is_seen_but_not_locked(
    tables: Tables, rows: Rows
) -> None:
    await rows.line()
    async with transaction(tables) as first:
        await lock(first, request(rows.certificate_id))
        second = asyncio.create_task(loaded(tables, rows.certificate_id))
        await until_somebody_waits(tables)
        await rows.pending()
    found = await second
    assert [one.key for one in found.pending] == [("IM-1", 1)]
    assert found.lines == ()


async def until_somebody_waits(tables: Tables) -> None:
    async with asyncio.timeout(10):
        while not await tables.rows("SELECT 1 FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 - a condition in PostgreSQL
            await asyncio.sleep(0.01)


async def test_the_lines_to_lock_are_those_of_the_state_under_the_lock(tables: Tables, rows: Rows) -> None:
    await rows.line()
    async with transaction(tables) as first:
        await lock(first, request(rows.certificate_id))
        second = asyncio.create_task(loaded(tables, rows.certificate_id))
        await until_somebody_waits(tables)
        await first.execute("""UPDATE certificates SET known_lines = '[["IM-1", 1]]'""")
    assert [line.key for line in (await second).lines] == [("IM-1", 1)]


async def test_everything_that_a_decision_changes_is_written_at_once(tables: Tables, rows: Rows) -> None:
    await tables.reserve()
    await rows.line(waiters=["01890000-0000-7000-8000-000000000000"])
    await rows.pending()
    await rows.spending("spent-1")
    found = await loaded(tables, rows.certificate_id)
    before = found.stored.state
    assert before.reservation is not None
    state = replace(
        before, blocked=True, reservation=replace(before.reservation, ended=True), status=Status.AVAILABLE
    )
    line = replace(
        line_as_seen(found.lines[0]),
        holder=Holder(rows.certificate_id, Status.ORDERED),
        counted=CountedMoney(captured=5),
    )
    redemption = Redemption(
        redemption_id="R-1", state=RedemptionState.AUTHORIZED, order_id="POS-1", channel="pos", held=7
    )
    parked = ParkedWork(
        kind="line", key="IM-9", line_key=3, revision=4, build="b", error="KeyError", since=NOW
    )
    change = decision(
        found,
        state=state,
        next_instant=NOW + A_SECOND,
        timer_at=NOW,
        run_key=77,
        parked=(parked,),
        lines=[(line, found.lines[0].report)],
        pending=found.pending,
        spendings=["spent-1"],
        redemptions=[redemption],
        reservation_changed=True,
        resolution="channelReleased",
        disclosures=[
            Disclosure(disclosed_to="crm", purpose="notification", notification_id=None, sequence=2)
        ],
        answer=answer(),
    )
    async with transaction(tables) as connection:
        wanted = request(rows.certificate_id)
        await lock(connection, wanted)
        assert await write(connection, change)
    again = await loaded(tables, rows.certificate_id)
    assert again.stored.state == state
    stored = again.stored
    assert (stored.next_instant, stored.timer_at, stored.run_key) == (NOW + A_SECOND, NOW, 77)
    assert again.stored.parked == (parked,)
    assert (again.pending, again.spendings) == ((), ())
    [stored] = await tables.rows(
        "SELECT holder::text, holder_status, counted, open_case, reported FROM order_lines"
    )
    assert stored == {
        "holder": rows.certificate_id,
        "holder_status": "ordered",
        "counted": {"captured": 5, "refunds": []},
        "open_case": None,
        "reported": None,
    }
    assert await tables.rows("SELECT held, amount, state FROM redemptions") == [
        {"held": 7, "amount": 7, "state": "authorized"}
    ]
    assert await tables.rows("SELECT resolution, resolved_at FROM reservations") == [
        {"resolution": "channelReleased", "resolved_at": NOW}
    ]
    assert await tables.rows("SELECT sequence, disclosed_to FROM disclosures") == [
        {"sequence": 2, "disclosed_to": "crm"}
    ]
    [row] = await tables.rows("SELECT known_lines, decided_at, available_since FROM certificates")
    assert row == {"known_lines": [["IM-9", 3]], "decided_at": NOW, "available_since": NOW}


async def test_pending_work_that_was_written_anew_stays(tables: Tables, rows: Rows) -> None:
    await rows.line()
    await rows.pending()
    found = await loaded(tables, rows.certificate_id)
    await rows.pending()
    async with transaction(tables) as connection:
        assert await write(connection, decision(found, pending=found.pending))
    assert len((await loaded(tables, rows.certificate_id)).pending) == 1


def answer() -> Answer:
    return Answer(caller_key=b"key", parameters=b"", answer="{}", kept=False, answered_at=NOW)


async def test_a_key_that_was_answered_is_found_without_a_lock(tables: Tables, rows: Rows) -> None:
    found = await loaded(tables, rows.certificate_id)
    async with transaction(tables) as connection:
        assert await write(connection, decision(found, answer=answer()))
    async with transaction(tables) as holder, transaction(tables) as second:
        await lock(holder, request(rows.certificate_id))
        with pytest.raises(AlreadyAnsweredError):
            await lock(second, request(rows.certificate_id, caller_key=b"key"))


async def test_a_key_that_is_answered_during_the_wait_is_found_under_the_lock(
    tables: Tables, rows: Rows
) -> None:
    found = await loaded(tables, rows.certificate_id)
    async with transaction(tables) as first:
        await lock(first, request(rows.certificate_id))
        second = asyncio.create_task(loaded(tables, rows.certificate_id, caller_key=b"key"))
        await until_somebody_waits(tables)
        assert await write(first, decision(found, answer=answer()))
    with pytest.raises(AlreadyAnsweredError):
        await second


async def test_of_two_answers_under_one_key_one_is_written(tables: Tables, rows: Rows) -> None:
    found = await loaded(tables, rows.certificate_id)
    for is_first in (True, False):
        async with transaction(tables) as connection:
            assert await write(connection, decision(found, answer=answer())) is is_first


async def test_whoever_waits_too_long_for_a_lock_gives_up(tables: Tables, rows: Rows) -> None:
    async with transaction(tables) as holder, transaction(tables) as second:
        await lock(holder, request(rows.certificate_id))
        wanted = replace(request(rows.certificate_id), patience=timedelta(milliseconds=50))
        with pytest.raises(asyncpg.LockNotAvailableError):
            await lock(second, wanted)
