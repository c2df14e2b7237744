"""An older copy of PostgreSQL under a newer stream: nothing is sold twice, and after a recovery all goes on."""

from dataclasses import dataclass

import pytest

from tests.integration.recovery.trading import Service

pytestmark = pytest.mark.integration


@dataclass
class Trade:
    """What happened after the copy was made, by certificate."""

    later: list[str]
    hold: str
    basket: str

    @classmethod
    async def go_on(cls, service: Service, to_refund: str, to_spend: str, unpaid: str) -> "Trade":
        later = [await service.sell() for _ in range(4)]
        await service.refund(to_refund)
        await service.refund(later[0])
        await service.spend(to_spend, await service.hold(to_spend, 200_000), 150_000)
        await service.becomes(to_spend, "partiallyRedeemed")
        hold = await service.hold(later[1], 100_000)
        await service.pay(unpaid)
        await service.becomes(unpaid, "issued")
        await service.disclose(later[2])
        await service.give_back(await service.reserve())
        return cls(later, hold, basket=await service.reserve())


@pytest.mark.timeout(300)
async def test_an_older_copy_stands_still_and_is_rebuilt_from_the_stream(service: Service) -> None:
    to_refund, to_spend = [await service.sell() for _ in range(2)]
    unpaid = await service.reserve()
    await service.order(unpaid)
    await service.becomes(unpaid, "ordered")
    await service.is_all_published()
    copy = await service.back_up()
    trade = await Trade.go_on(service, to_refund, to_spend, unpaid)
    await service.is_all_published()
    before = await service.certificates()

    await service.restore(copy)
    await stands_still(service, trade.later)
    await recovers(service, before)
    await goes_on(service, trade, {one for one, row in before.items() if row[0] != "available"})


async def stands_still(service: Service, sold: list[str]) -> None:
    await service.stands_still("databaseBehind")
    refused = await service.api.next()
    assert (refused.status_code, refused.json()["type"]) == (503, "/problems/standstill")
    certificates = await service.certificates()
    assert {certificates[one][0] for one in sold} == {"available"}
    shown = await service.command("status")
    assert shown.returncode == 1
    assert "NOTHING IS DECIDED before `giftcert recover`: databaseBehind since" in shown.stdout
    acting = await service.command("pool", "retire", "--certificate", sold[0], "--reason", "test")
    assert acting.returncode == 1
    assert "run `giftcert recover`" in acting.stderr


async def recovers(service: Service, before: dict[str, tuple[object, ...]]) -> None:
    """The command ends with verification, and each certificate is as it was."""
    done = await service.command("recover")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("All invariants hold: the service goes on.\n")
    assert "for people" not in done.stdout
    after = await service.certificates()
    assert {one: (row, before[one]) for one, row in after.items() if row != before[one]} == {}


async def goes_on(service: Service, trade: Trade, sold: set[str]) -> None:
    """New ones are sold; those of before are spent, ordered and refunded as if nothing had been."""
    await service.is_in_service()
    assert await service.sell() not in sold
    await service.spend(trade.later[1], trade.hold, 100_000)
    await service.becomes(trade.later[1], "partiallyRedeemed")
    await service.order(trade.basket)
    await service.pay(trade.basket)
    await service.becomes(trade.basket, "issued")
    await service.refund(trade.later[2])
    again = await service.command("recover")
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.startswith("Database and stream belong together: nothing had to be recovered.\n")
