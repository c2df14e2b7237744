"""A shop of either channel in which certificates are spent.

``python -m simulators.shop --channel pos --amount 1200.00`` asks for number and CVC, so that neither stands in the
shell's history, then looks whether the certificate is good, holds the amount and takes it.
"""

import argparse
import getpass
import sys
from datetime import datetime
from uuid import uuid4

import msgspec

from simulators.addresses import Addresses
from simulators.baskets import goods_for
from simulators.channel import Channel, open_channel
from simulators.messages import Order
from simulators.money import minor_units, money_text
from simulators.programs import number_of_run, run
from simulators.service import Money, RefusedError
from simulators.tender import Purchase, spending_authorized, spending_captured


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What the client shows: number and CVC as CRM's letter has them."""

    number: str
    cvc: str


class Verification(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether number and CVC belong together, and what then can be spent."""

    valid: bool
    certificate_id: str | None = None
    status: str | None = None
    balance: Money | None = None
    held: Money | None = None


class Redemption(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a certificate pays for one purchase, as it stands."""

    redemption_id: str
    certificate_id: str
    status: str
    balance: Money
    expires_at: datetime


async def verify(shop: Channel, shown: Card) -> Verification:
    """Ask whether number and CVC are right, and what can be spent."""
    asked = {"channel": shop.name, "number": shown.number, "cvc": shown.cvc}
    reply = await shop.service.call("POST", "/certificates/verify", json=asked)
    return msgspec.json.decode(reply.content, type=Verification)


async def hold(
    shop: Channel, shown: Card, order: Order, *, key: str | None = None, seconds: int | None = None
) -> Redemption:
    """Hold the order's total, for so many seconds if given. The same key never holds twice.

    Raises:
        RefusedError: the certificate does not pay for this.
    """
    asked: dict[str, object] = {
        "channel": shop.name,
        "number": shown.number,
        "cvc": shown.cvc,
        "amount": {"amount": order.total, "currency": order.currency},
        "orderId": order.order_id,
    }
    if seconds is not None:
        asked["holdSeconds"] = seconds
    reply = await shop.service.call("POST", "/redemptions", json=asked, key=key or str(uuid4()))
    return msgspec.json.decode(reply.content, type=Redemption)


async def look_up(shop: Channel, redemption_id: str) -> Redemption:
    """Ask how a redemption stands."""
    reply = await shop.service.call("GET", f"/redemptions/{redemption_id}")
    return msgspec.json.decode(reply.content, type=Redemption)


async def give_back(shop: Channel, redemption_id: str) -> None:
    """Give up what is held."""
    await shop.service.call("DELETE", f"/redemptions/{redemption_id}")


def purchase_of(order: Order, redemption: Redemption) -> Purchase:
    """Return the purchase that a hold is for."""
    return Purchase(order, redemption.certificate_id, order.total, redemption.redemption_id)


async def buy(addresses: Addresses, channel: str, amount: int, shown: Card) -> None:
    """Buy goods for an amount, all of it paid with the certificate."""
    order = goods_for(channel, f"{channel.upper()}-{number_of_run()}", amount)
    async with open_channel(addresses, channel) as shop:
        print(_described(await verify(shop, shown)))  # noqa: T201
        try:
            redemption = await hold(shop, shown, order)
        except RefusedError as refusal:
            sys.exit(f"not held: {refusal}")
        purchase = purchase_of(order, redemption)
        await shop.orders.place(order)
        await shop.payments.write(spending_authorized(purchase))
        await shop.payments.write(spending_captured(purchase))
        print(f"{order.order_id}: paid with redemption {redemption.redemption_id}")  # noqa: T201


def _described(found: Verification) -> str:
    if not found.valid or found.balance is None or found.held is None:
        return "number and CVC do not belong together"
    balance, held = (money_text(one.amount, one.currency) for one in (found.balance, found.held))
    return f"certificate {found.certificate_id}: {found.status}, balance {balance}, held {held}"


def _amount(text: str) -> int:
    try:
        return minor_units(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def main() -> None:
    """Read the options, ask for the secrets and buy once."""
    parser = argparse.ArgumentParser(prog="python -m simulators.shop", description=__doc__)
    parser.add_argument("--channel", default="pos", help="whose shop it is")
    parser.add_argument(
        "--amount",
        type=_amount,
        required=True,
        metavar="2500.00",
        help="what the goods cost; a whole number is minor units",
    )
    options = parser.parse_args()
    shown = Card(number=input("number: "), cvc=getpass.getpass("CVC: "))
    run(lambda addresses: buy(addresses, options.channel, options.amount, shown))


if __name__ == "__main__":
    main()
