"""``giftcert refunds``: refund cases that wait for a person."""

from typing import Annotated, Any
from uuid import UUID

import typer

from api.refunds import REFUSED_FIELDS, PendingRefund, PendingRefundPage, read_page, resolution_of
from api.schemas import Money
from giftcert.cli.connections import connected, database_settings, opened_lifecycle, send_if_reachable
from giftcert.cli.errors import CommandError
from giftcert.cli.event_loop import to_its_end
from giftcert.cli.groups import Group
from giftcert.cli.operators import By, Why, operator
from giftcert.cli.output import AsJson, say, table
from giftcert.clock import utc_now
from giftcert.domain.certificate.cases import find_case
from giftcert.domain.certificate.messages import ResolveRefund
from giftcert.domain.certificate.state import CertificateState
from giftcert.domain.money import minor_units, money_text
from giftcert.lifecycle.requests import Outcome
from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.database import Database
from giftcert.storage.refund_cases import RefundCaseRepository

app = typer.Typer(name="refunds", help="Refund cases that wait for a person.", cls=Group)
_NOTHING = {
    "pendingDetails": "no refund case waits for a person",
    "awaitingCapture": "no refund case waits for its capture",
    "requested": "no refund case waits for its money",
}


@app.command("list")
@to_its_end
async def list_cases(
    state: Annotated[str, typer.Option(help="; ".join(_NOTHING))] = "pendingDetails",
    after: Annotated[UUID | None, typer.Option(help="`next` of the page before")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many")] = 50,
    as_json: AsJson = False,
) -> None:
    """List open cases of one state, oldest first, with what a person needs to decide them."""
    if state not in _NOTHING:
        raise CommandError(f"--state: must be one of {', '.join(_NOTHING)}")
    settings = database_settings()
    async with connected(settings, "refunds") as database, database.connection() as connection:
        if after and await RefundCaseRepository(connection).certificate_of(str(after)) is None:
            raise CommandError("--after: is not `next` of a page")
        page = await read_page(connection, settings, state, after, limit)
    say(page.model_dump(mode="json", by_alias=True), _table(page, state), as_json=as_json)


def _table(page: PendingRefundPage, state: str) -> str:
    if not page.items:
        return _NOTHING[state]
    rows = [
        (
            str(one.refund_case_id),
            f"{one.since:%Y-%m-%d %H:%M}" if one.since else "",
            " or ".join(one.allowed_decisions),
            f"{one.order_id}, line {one.line_id}: {one.reason or one.state}, {_money(one)}",
        )
        for one in page.items
    ]
    text = table(("case", "since", "decide", "what is back"), rows)
    return f"{text}\nmore: --after {page.next}" if page.next else text


def _money(case: PendingRefund) -> str:
    """What came back, of what the line costs, and what is on the certificate."""
    balance, held = _text(case.balance), _text(case.held)
    return f"{_text(case.amount)} of {_text(case.price)}; balance {balance}, held {held}"


def _text(money: Money) -> str:
    return money_text(money.amount, money.currency)


@app.command()
@to_its_end
async def resolve(
    case: Annotated[UUID, typer.Argument(help="Its refundCaseId")],
    note: Why,
    approve: Annotated[bool, typer.Option("--approve", help="The refund counts")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="The certificate works again")] = False,
    amount: Annotated[
        str | None,
        typer.Option(
            metavar="2500.00",
            help="To take from the balance, a whole number being minor units; else all it is worth",
        ),
    ] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Decide a refund case."""
    if approve == reject:
        raise CommandError("name either --approve or --reject")
    who = operator(by)
    async with opened_lifecycle("refunds") as lifecycle:
        certificate = await _certificate_of(lifecycle.database, str(case))
        if amount is not None and reject and not _is_foreign(certificate, str(case)):
            raise CommandError(
                "--amount: goes with --approve, or with a rejection of money in another currency"
            )
        request = ResolveRefund(
            refund_case_id=str(case),
            decision="approve" if approve else "reject",
            amount=_minor_units(amount, certificate.currency) if amount is not None else None,
            note=note,
            resolved_by=who,
        )
        outcome = await lifecycle.act(certificate.certificate_id, request, utc_now())
        await send_if_reachable(outcome.wakes)
    _raise_if_refused(outcome, request)
    data = resolution_of(outcome, request).model_dump(mode="json", by_alias=True)
    say(data, _outcome(data), as_json=as_json)


async def _certificate_of(database: Database, case: str) -> CertificateState:
    async with database.connection() as connection:
        certificate_id = await RefundCaseRepository(connection).certificate_of(case)
        if certificate_id is None:
            raise CommandError(f"there is no refund case {case}")
        return (await CertificateRepository(connection).load(certificate_id)).state


def _is_foreign(certificate: CertificateState, case: str) -> bool:
    found = find_case(certificate, case)
    return found is not None and found[1].foreign_currency is not None


def _minor_units(amount: str, currency: str) -> int:
    try:
        return minor_units(amount, currency)
    except ValueError as error:
        raise CommandError(f"--amount: {error}") from None


def _raise_if_refused(outcome: Outcome, request: ResolveRefund) -> None:
    if outcome.refusal is None:
        return
    if outcome.refusal not in REFUSED_FIELDS:
        raise CommandError(f"refund case {request.refund_case_id} is closed")
    field, why = REFUSED_FIELDS[outcome.refusal]
    raise CommandError(f"--{field}: {why}" if field == "amount" else f"{field} {why}")


def _outcome(data: dict[str, Any]) -> str:
    case = f"refund case {data['refundCaseId']}"
    if data.get("awaitingSecond"):
        return f"{case}: agreed; another person has to repeat decision and amount"
    taken, uncovered, balance = (money_text(**data[name]) for name in ("taken", "uncovered", "balance"))
    return (
        f"{case}: {data['decision']} carried out, {taken} taken, {uncovered} uncovered; "
        f"the certificate is {data['status']}, balance {balance}, refund {data['refundState']}"
    )
