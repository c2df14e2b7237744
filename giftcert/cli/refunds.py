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
from giftcert.cli.output import AsJson, own_texts, say, table
from giftcert.clock import utc_now
from giftcert.domain.certificate.messages import ResolveRefund
from giftcert.domain.certificate.state import CertificateState
from giftcert.domain.money import minor_units, money_text
from giftcert.lifecycle.requests import Outcome
from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.database import Database
from giftcert.storage.refund_cases import RefundCaseRepository

app = typer.Typer(name="refunds", help="Refund cases that wait for a person.", cls=Group)
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
    texts = own_texts()
    if state not in _STATES:
        raise CommandError(texts("list-states", states=", ".join(_STATES)))
    settings = database_settings()
    async with connected(settings, "refunds") as database, database.connection() as connection:
        if after and await RefundCaseRepository(connection).certificate_of(str(after)) is None:
            raise CommandError(texts("list-no-page"))
        page = await read_page(connection, settings, state, after, limit)
    say(
        page.model_dump(mode="json", by_alias=True),
        _listed(page, state, settings.refund_list_url),
        as_json=as_json,
    )


def _listed(page: PendingRefundPage, state: str, link: str) -> str:
    texts = own_texts()
    if not page.items:
        return texts(f"list-nothing-{state}")
    either = f" {texts('list-or')} "
    rows = [
        (
            str(one.refund_case_id),
            f"{one.since:%Y-%m-%d %H:%M}" if one.since else "",
            either.join(one.allowed_decisions),
            _what_is_back(one),
        )
        for one in page.items
    ]
    columns = [texts(f"list-{name}") for name in ("case", "since", "decide", "what")]
    more = [texts("list-more", next=str(page.next))] if page.next else []
    in_web_ui = ["", texts("list-link", url=link)] if state == "pendingDetails" else []
    return "\n".join((table(columns, rows), *more, *in_web_ui))


def _what_is_back(case: PendingRefund) -> str:
    """What came back of what the line costs, why it waits, and what is on the certificate."""
    texts = own_texts()
    code, text = case.reason or case.state, case.reason_text
    amounts = {"amount": case.amount, "price": case.price, "balance": case.balance, "held": case.held}
    return texts(
        "list-row",
        order=case.order_id,
        line=case.line_id,
        reason=texts("list-reason", code=code, text=text) if text else f"{code}.",
        **{name: _text(money) for name, money in amounts.items()},
    )


def _text(money: Money) -> str:
    return own_texts().money(money.amount, money.currency)


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
        raise CommandError(own_texts()("resolve-which"))
    who = operator(by)
    async with opened_lifecycle("refunds") as lifecycle:
        certificate = await _certificate_of(lifecycle.database, str(case))
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
            raise CommandError(own_texts()("resolve-unknown", case=case))
        return (await CertificateRepository(connection).load(certificate_id)).state


def _minor_units(amount: str, currency: str) -> int:
    try:
        return minor_units(amount, currency)
    except ValueError:
        example = money_text(250_000, currency).replace(",", "")
        raise CommandError(own_texts()("resolve-amount-unreadable", example=example)) from None


def _raise_if_refused(outcome: Outcome, request: ResolveRefund) -> None:
    refusal = outcome.refusal
    if refusal is None:
        return
    if (field := REFUSED_FIELDS.get(refusal)) is None:
        raise CommandError(own_texts()("resolve-closed", case=request.refund_case_id))
    option = f"--{request.decision}" if field == "decision" else f"--{field}"
    raise CommandError(f"{option}: {own_texts()(f'refused-{refusal}')}")


def _outcome(data: dict[str, Any]) -> str:
    texts, case = own_texts(), data["refundCaseId"]
    if data.get("awaitingSecond"):
        return texts("resolve-agreed", case=case)
    amounts = {name: texts.money(**data[name]) for name in ("taken", "uncovered", "balance")}
    status, refund = texts(f"status-{data['status']}"), texts(f"refund-{data['refundState']}")
    return texts(f"resolve-{data['decision']}", case=case, status=status, refund=refund, **amounts)
