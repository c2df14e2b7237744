"""``giftcert refunds``: refund cases that wait for a person."""

from typing import Annotated, Any
from uuid import UUID

import typer

from api.refunds import REFUSED_FIELDS, PendingRefund, PendingRefundPage, read_page, resolution_of
from giftcert.cli.connections import connected, database_settings, opened_lifecycle, send_if_reachable
from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import to_its_end
from giftcert.cli.operators import By, Why, operator
from giftcert.cli.output import AsJson, say, table
from giftcert.clock import utc_now
from giftcert.domain.certificate.messages import ResolveRefund
from giftcert.lifecycle.requests import Outcome
from giftcert.storage.refund_cases import RefundCaseRepository

app = typer.Typer(name="refunds", help="Refund cases that wait for a person.", no_args_is_help=True)
_STATES = ("pendingDetails", "awaitingCapture", "requested")


@app.command("list")
@to_its_end
async def list_cases(
    state: Annotated[str, typer.Option(help="; ".join(_STATES))] = "pendingDetails",
    after: Annotated[UUID | None, typer.Option(help="`next` of the page before")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many")] = 50,
    as_json: AsJson = False,
) -> None:
    """List open cases of one state, oldest first, with what a person needs to decide them."""
    if state not in _STATES:
        raise CommandError(f"--state: must be one of {', '.join(_STATES)}")
    settings = database_settings()
    async with connected(settings, "refunds") as database, database.connection() as connection:
        if after and await RefundCaseRepository(connection).certificate_of(str(after)) is None:
            raise CommandError("--after: is not `next` of a page")
        page = await read_page(connection, settings, state, after, limit)
    say(page.model_dump(mode="json", by_alias=True), _table(page), as_json=as_json)


def _table(page: PendingRefundPage) -> str:
    if not page.items:
        return "no refund case waits"
    rows = [
        (
            str(one.refund_case_id),
            f"{one.since:%Y-%m-%d %H:%M}" if one.since else "",
            " or ".join(one.allowed_decisions),
            f"{one.order_id}, line {one.line_id}: {one.reason or one.state}, {_money(one)}",
        )
        for one in page.items
    ]
    text = table(("case", "since", "decide", "what is back of which line"), rows)
    return f"{text}\nmore: --after {page.next}" if page.next else text


def _money(case: PendingRefund) -> str:
    """What came back, of what the line costs; its currency too where that is another."""
    own = "" if case.amount.currency == case.price.currency else f" {case.amount.currency}"
    back = f"{case.amount.amount:,}{own} of {case.price.amount:,} {case.price.currency}"
    return f"{back}; balance {case.balance.amount:,}, held {case.held.amount:,}"


@app.command()
@to_its_end
async def resolve(
    case: Annotated[UUID, typer.Argument(help="Its refundCaseId")],
    note: Why,
    approve: Annotated[bool, typer.Option("--approve", help="The refund counts")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="The certificate works again")] = False,
    amount: Annotated[
        int | None, typer.Option(min=0, help="To take from the balance, minor units; else all it is worth")
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Decide a refund case."""
    if approve == reject:
        raise CommandError("name either --approve or --reject")
    request = ResolveRefund(
        refund_case_id=str(case),
        decision="approve" if approve else "reject",
        amount=amount,
        note=note,
        resolved_by=operator(by),
    )
    outcome = await _resolve(request)
    data = resolution_of(outcome, request).model_dump(mode="json", by_alias=True)
    say(data, _outcome(data, outcome.state.currency), as_json=as_json)


async def _resolve(request: ResolveRefund) -> Outcome:
    async with opened_lifecycle("refunds") as lifecycle:
        async with lifecycle.database.connection() as connection:
            certificate_id = await RefundCaseRepository(connection).certificate_of(request.refund_case_id)
        if certificate_id is None:
            raise CommandError(f"there is no refund case {request.refund_case_id}")
        outcome = await lifecycle.act(certificate_id, request, utc_now())
        await send_if_reachable(outcome.wakes)
    if outcome.refusal is None:
        return outcome
    if outcome.refusal not in REFUSED_FIELDS:
        raise CommandError(f"refund case {request.refund_case_id} is closed")
    field, why = REFUSED_FIELDS[outcome.refusal]
    raise CommandError(f"--{field}: {why}" if field == "amount" else f"{field} {why}")


def _outcome(data: dict[str, Any], currency: str) -> str:
    case = f"refund case {data['refundCaseId']}"
    if data.get("awaitingSecond"):
        return f"{case}: agreed; another person has to repeat decision and amount"
    taken = f"{data['taken']['amount']:,} taken, {data['uncovered']['amount']:,} uncovered"
    return (
        f"{case}: {data['decision']} carried out, {taken}; the certificate is {data['status']}, "
        f"balance {data['balance']['amount']:,} (minor units of {currency}), refund {data['refundState']}"
    )
