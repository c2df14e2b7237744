"""A crash between any two steps of a transition: the certificate ends as if nothing had happened."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from workflow_support import Sale

from activities.certificates import CertificateActivities
from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.events import EventRepository
from tests.crashes import CrashError, Step, around_each, crash

AROUND_EACH_STEP = around_each(
    (CertificateRepository, "load"),
    (CertificateRepository, "lock"),
    (CertificateRepository, "change"),
    (EventRepository, "append"),
    (CertificateActivities, "_apply"),  # leaving it commits
)


@AROUND_EACH_STEP
async def test_a_crash_around_a_step_leaves_no_trace(
    sale: Sale, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    crash(monkeypatch, step, moment)
    await sale.tell(sale.ordered(), sale.authorized(), sale.captured())
    await sale.skip(timedelta(seconds=5))  # past the wait before the next attempt
    await sale.until_status("issued")
    assert await sale.event_types() == ["issue.ordered", "issue.completed", "notification.requested"]
    assert [event.sequence for event in await sale.events()] == [1, 2, 3]


@AROUND_EACH_STEP
async def test_a_crash_while_a_hold_is_made_holds_once(
    sale: Sale, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    await sale.tell(sale.ordered(), sale.captured())
    await sale.until_status("issued")
    crash(monkeypatch, step, moment)
    asked = asyncio.create_task(sale.ask(sale.hold(200_000)))
    await sale.skip(timedelta(seconds=5))
    answer = await asked
    assert (answer.refusal, answer.balance, answer.held) == (None, 300_000, 200_000)
    assert (await sale.event_types()).count("redemption.authorized") == 1


async def test_an_answer_lost_after_the_commit_is_found_already_applied(
    sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied, lost = CertificateActivities._apply, []

    async def losing(self: CertificateActivities, connection: Any, transition: Any) -> Any:
        answer = await applied(self, connection, transition)
        if not lost:
            await connection.commit()
            lost.append(transition.certificate_id)
            raise CrashError("after the commit")
        return answer

    monkeypatch.setattr(CertificateActivities, "_apply", losing)
    await sale.tell(sale.ordered(), sale.captured())
    await sale.skip(timedelta(seconds=5))
    await sale.until_status("issued")
    assert lost
    assert len(await sale.events()) == 3
