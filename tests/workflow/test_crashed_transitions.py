"""A crash between any two steps of a transition: the certificate ends as if nothing had happened."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from test_requests import both_issued
from workflow_support import PRICE, Sale

from activities.certificates import CertificateActivities
from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.deliveries import DeliveryRepository
from giftcert.storage.events import EventRepository
from giftcert.storage.redemptions import RedemptionRepository
from giftcert.storage.refund_shares import RefundShareRepository
from tests.crashes import CrashError, Step, around_each, crash

AROUND_EACH_STEP = around_each(
    (CertificateRepository, "load"),
    (CertificateRepository, "lock"),
    (CertificateRepository, "change"),
    (EventRepository, "append"),
    (CertificateActivities, "_apply"),  # leaving it, all but the commit is done
)


@AROUND_EACH_STEP
async def test_a_crash_around_a_step_leaves_no_trace(
    sale: Sale, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    happened = crash(monkeypatch, step, moment)
    await sale.tell(sale.ordered(), sale.authorized(), sale.captured())
    await sale.skip(timedelta(seconds=5))  # past the wait before the next attempt
    await sale.until_status("issued")
    assert happened.is_set()
    assert await sale.event_types() == ["issue.ordered", "issue.completed", "notification.requested"]
    assert [event.sequence for event in await sale.events()] == [1, 2, 3]


@around_each(
    (CertificateRepository, "lock"),
    (CertificateRepository, "change"),
    (RedemptionRepository, "store"),
    (EventRepository, "append"),
    (CertificateActivities, "_apply"),
)
async def test_a_crash_while_a_hold_is_made_holds_once(
    sale: Sale, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    await sale.tell(sale.ordered(), sale.captured())
    await sale.until_status("issued")
    happened = crash(monkeypatch, step, moment)
    asked = asyncio.create_task(sale.ask(sale.hold(200_000)))
    await sale.skip(timedelta(seconds=5))
    answer = await asked
    assert happened.is_set()
    assert (answer.refusal, answer.balance, answer.held) == (None, 300_000, 200_000)
    assert (await sale.event_types()).count("redemption.authorized") == 1


@around_each(
    (CertificateRepository, "is_caught_up"),
    (CertificateRepository, "change"),
    (EventRepository, "append"),
    (CertificateActivities, "_apply"),
)
async def test_a_crash_while_an_unpaid_certificate_is_released_releases_it_once(
    sale: Sale,
    monkeypatch: pytest.MonkeyPatch,
    caught_up: None,  # noqa: ARG001
    step: Step,
    moment: str,
) -> None:
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    happened = crash(monkeypatch, step, moment)
    await sale.skip(timedelta(hours=72, minutes=1))
    assert "available" in await sale.until_ended()
    assert happened.is_set()
    assert await sale.event_types() == ["issue.ordered", "alert.unpaid", "issue.released"]


@around_each((RefundShareRepository, "agree"), (DeliveryRepository, "add"))
async def test_a_crash_while_a_share_of_a_refund_is_agreed_gives_it_once(
    sale: Sale, other_sale: Sale, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    await both_issued(sale, other_sale)
    happened = crash(monkeypatch, step, moment)
    asked = asyncio.create_task(sale.resolve("approve"))
    await happened.wait()
    await sale.skip(timedelta(seconds=5))
    assert (await asked).status == "refunded"
    shares = text("SELECT amount FROM refund_shares WHERE order_id = :order_id")
    told = text("SELECT count(*) FROM deliveries WHERE certificate_id = CAST(:id AS uuid)")
    async with sale.engine.connect() as connection:
        given = await connection.execute(shares, {"order_id": sale.order_id})
        assert [row.amount for row in given] == [PRICE]
        assert (await connection.execute(told, {"id": other_sale.certificate_id})).scalar_one() == 1


@around_each((CertificateRepository, "line_holder"))
async def test_a_crash_while_it_is_asked_who_holds_the_line_changes_nothing(
    sale: Sale, other_sale: Sale, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    happened = crash(monkeypatch, step, moment)
    await other_sale.tell(other_sale.ordered(version=2))
    await happened.wait()
    await sale.tell(sale.ordered(version=2, own=False))
    await sale.until_status("available")
    await sale.skip(timedelta(minutes=5))
    await other_sale.until_status("ordered")
    assert await other_sale.event_types() == ["issue.ordered"]


@around_each((CertificateActivities, "_load"))
async def test_a_crash_while_a_stale_decision_is_made_again_changes_nothing(
    sale: Sale, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    await sale.change_elsewhere()  # somebody else came first
    happened = crash(monkeypatch, step, moment)
    await sale.tell(sale.captured())
    await happened.wait()
    await sale.skip(timedelta(seconds=5))
    await sale.until_status("issued")
    assert await sale.event_types() == ["issue.ordered", "issue.completed", "notification.requested"]


def lose_an_answer(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the next transition crash right after its commit; return whose it was, once it did."""
    applied, lost = CertificateActivities._apply, []

    async def losing(self: CertificateActivities, connection: Any, transition: Any) -> Any:
        answer = await applied(self, connection, transition)
        if not lost:
            await connection.commit()
            lost.append(transition.certificate_id)
            raise CrashError("after the commit")
        return answer

    monkeypatch.setattr(CertificateActivities, "_apply", losing)
    return lost


async def test_an_answer_lost_after_the_commit_is_found_already_applied(
    sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = lose_an_answer(monkeypatch)
    await sale.tell(sale.ordered(), sale.captured())
    await sale.skip(timedelta(seconds=5))
    await sale.until_status("issued")
    assert lost
    assert len(await sale.events()) == 3


async def test_a_hold_whose_answer_was_lost_after_the_commit_is_held_once(
    sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sale.tell(sale.ordered(), sale.captured())
    await sale.until_status("issued")
    lost = lose_an_answer(monkeypatch)
    asked = asyncio.create_task(sale.ask(sale.hold(200_000)))
    await sale.skip(timedelta(seconds=5))
    answer = await asked
    assert lost
    assert (answer.refusal, answer.balance, answer.held) == (None, 300_000, 200_000)
    assert (await sale.event_types()).count("redemption.authorized") == 1


async def test_a_release_whose_answer_was_lost_after_the_commit_is_told_once(
    sale: Sale,
    monkeypatch: pytest.MonkeyPatch,
    caught_up: None,  # noqa: ARG001
) -> None:
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    lost = lose_an_answer(monkeypatch)
    await sale.skip(timedelta(hours=72, minutes=1))
    assert "available" in await sale.until_ended()
    assert lost
    assert await sale.event_types() == ["issue.ordered", "alert.unpaid", "issue.released"]
