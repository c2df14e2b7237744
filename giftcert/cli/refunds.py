"""``giftcert refunds``: refund cases that wait for a person."""

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import run_to_end
from giftcert.cli.operators import By, operator, words
from giftcert.cli.output import AsJson, say

if TYPE_CHECKING:
    from api.refunds import PendingRefund, PendingRefundPage
    from giftcert.domain.certificate.messages import ResolveRefund
    from giftcert.lifecycle.requests import Outcome
    from giftcert.settings import Settings

app = typer.Typer(help="Refund cases that wait for a person.", no_args_is_help=True)
_STATES = ("pendingDetails", "awaitingCapture", "requested")


@app.command("list")
def list_cases(
    state: Annotated[str, typer.Option(help="; ".join(_STATES))] = "pendingDetails",
    after: Annotated[UUID | None, typer.Option(help="`next` of the page before")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many")] = 50,
    as_json: AsJson = False,
) -> None:
    """List open cases of one state, oldest first, with what a person needs to decide them."""
    from giftcert.embedded.addresses import with_database
    from giftcert.settings import load_settings

    if state not in _STATES:
        raise CommandError(f"--state: must be one of {', '.join(_STATES)}")

    async def work() -> None:
        settings, url = with_database(load_settings())
        page = await _read(settings, url, state, after, limit)
        data = page.model_dump(mode="json", by_alias=True)
        say(data, "" if as_json else _table(page), as_json=as_json)

    run_to_end(work)


async def _read(
    settings: "Settings", url: str, state: str, after: UUID | None, limit: int
) -> "PendingRefundPage":
    from api.refunds import read_page
    from giftcert.cli.server_errors import reaching_database
    from giftcert.storage.engine import make_engine
    from giftcert.storage.refund_cases import RefundCaseRepository

    engine = make_engine(settings, "giftcert-refunds")
    try:
        with reaching_database(url):
            async with engine.connect() as connection:
                cases = RefundCaseRepository(connection)
                if after is not None and await cases.certificate_of(str(after)) is None:
                    raise CommandError("--after: is not `next` of a page")
                return await read_page(connection, settings, state, after, limit)
    finally:
        await engine.dispose()


def _table(page: "PendingRefundPage") -> str:
    from giftcert.cli.tables import as_text

    rows = [
        (
            str(one.refund_case_id),
            f"{one.since:%Y-%m-%d %H:%M}" if one.since else "",
            " or ".join(one.allowed_decisions),
            f"{one.order_id}, line {one.line_id}: {one.reason or one.state}, {_amount(one)}; {_left(one)}",
        )
        for one in page.items
    ]
    if not rows:
        return "no refund case waits"
    columns = ("case", "since", "decide", "what is back of which line")
    more = f"more: --after {page.next}" if page.next else None
    return "\n".join(filter(None, (as_text(columns, rows), more)))


def _left(case: "PendingRefund") -> str:
    return f"balance {case.balance.amount:,}, held {case.held.amount:,}"


def _amount(case: "PendingRefund") -> str:
    """What came back, of what the line costs; its currency too where that is another."""
    own = "" if case.amount.currency == case.price.currency else f" {case.amount.currency}"
    return f"{case.amount.amount:,}{own} of {case.price.amount:,} {case.price.currency}"


@app.command()
def resolve(
    case: Annotated[UUID, typer.Argument(help="Its refundCaseId")],
    note: Annotated[str, typer.Option(help="Why; told on the stream, so nothing personal")],
    approve: Annotated[bool, typer.Option("--approve", help="The refund counts")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="The certificate works again")] = False,
    amount: Annotated[
        int | None, typer.Option(min=0, help="To take from the balance, minor units; else all it is worth")
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Decide a refund case."""
    from api.refunds import resolution_of
    from giftcert.domain.certificate.messages import ResolveRefund

    if approve == reject:
        raise CommandError("name either --approve or --reject")
    request = ResolveRefund(
        refund_case_id=str(case),
        decision="approve" if approve else "reject",
        amount=amount,
        note=words(note, "--note"),
        resolved_by=operator(by),
    )

    async def work() -> None:
        outcome = await _resolve(request)
        data = resolution_of(outcome, request).model_dump(mode="json", by_alias=True)
        say(data, "" if as_json else _outcome(data, outcome.state.currency), as_json=as_json)

    run_to_end(work)


async def _resolve(request: "ResolveRefund") -> "Outcome":
    from api.refunds import REFUSED_FIELDS
    from giftcert.cli.lifecycle import opened_lifecycle
    from giftcert.clock import utc_now
    from giftcert.storage.refund_cases import RefundCaseRepository

    async with opened_lifecycle("giftcert-refunds") as opened:
        async with opened.engine.connect() as connection:
            certificate_id = await RefundCaseRepository(connection).certificate_of(request.refund_case_id)
        if certificate_id is None:
            raise CommandError(f"there is no refund case {request.refund_case_id}")
        outcome = await opened.lifecycle.act(certificate_id, request, utc_now())
        await opened.send(outcome.wakes)
    if outcome.refusal is None:
        return outcome
    field, why = REFUSED_FIELDS.get(outcome.refusal, ("", f"refund case {request.refund_case_id} is closed"))
    raise CommandError(f"--{field}: {why}" if field == "amount" else f"{field} {why}".strip())


def _outcome(data: dict[str, Any], currency: str) -> str:
    case = f"refund case {data['refundCaseId']}"
    if data.get("awaitingSecond"):
        return f"{case}: agreed; another person has to repeat decision and amount"
    taken = f"{data['taken']['amount']:,} taken, {data['uncovered']['amount']:,} uncovered"
    return (
        f"{case}: {data['decision']} carried out, {taken}; the certificate is {data['status']}, "
        f"balance {data['balance']['amount']:,} (minor units of {currency}), refund {data['refundState']}"
    )
