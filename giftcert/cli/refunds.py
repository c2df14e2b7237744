"""``giftcert refunds``: refund cases that wait for a person."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from giftcert.cli.errors import CommandError
from giftcert.cli.operators import By, operator, words
from giftcert.cli.output import AsJson, say
from giftcert.cli.running import run_to_end

if TYPE_CHECKING:
    from api.schemas import PendingRefund, PendingRefundPage
    from giftcert.people.resolving import Resolution, Verdict
    from giftcert.settings import Settings

app = typer.Typer(help="Refund cases that wait for a person.", no_args_is_help=True)
_STATES = ("pendingDetails", "awaitingCapture", "requested")


@app.command("list")
def list_cases(
    state: Annotated[str, typer.Option(help="; ".join(_STATES))] = "pendingDetails",
    after: Annotated[str, typer.Option(help="`next` of the page before")] = "",
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


async def _read(settings: "Settings", url: str, state: str, after: str, limit: int) -> "PendingRefundPage":
    from api.refunds import page_of
    from giftcert.cli.reaching import reaching_database
    from giftcert.domain.state import RefundState
    from giftcert.people.refund_cases import open_cases
    from giftcert.storage.engine import make_engine

    engine = make_engine(settings, "giftcert-refunds")
    try:
        with reaching_database(url):
            async with engine.connect() as connection:
                return page_of(await open_cases(connection, RefundState(state), after, limit), settings)
    finally:
        await engine.dispose()


def _table(page: "PendingRefundPage") -> str:
    from giftcert.cli.tables import as_text

    rows = [
        (
            str(one.refund_case_id),
            f"{one.since:%Y-%m-%d %H:%M}" if one.since else "",
            f"{one.order_id}, line {one.line_id}",
            one.reason or one.state,
            _amount(one),
            f"{one.balance.amount:,}, held {one.held.amount:,}",
            " or ".join(one.allowed_decisions),
        )
        for one in page.items
    ]
    if not rows:
        return "no refund case waits"
    columns = ("case", "since", "order", "reason", "refund", "balance", "decide")
    more = f"more: --after {page.next}" if page.next else None
    return "\n".join(filter(None, (as_text(columns, rows), more)))


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
    from giftcert.embedded.addresses import with_running_stack
    from giftcert.people.resolving import Verdict
    from giftcert.settings import load_settings

    if approve == reject:
        raise CommandError("name either --approve or --reject")
    decision = "approve" if approve else "reject"
    verdict = Verdict(
        refund_case_id=str(case),
        decision=decision,
        amount=amount,
        note=words(note, "--note"),
        by=operator(by),
    )

    async def work() -> None:
        from api.resolving import view

        settings = with_running_stack(load_settings(), ["database_url", "temporal_address"])
        done = await _resolve(settings, verdict)
        data = view(done).model_dump(mode="json", by_alias=True)
        say(data, "" if as_json else _outcome(done), as_json=as_json)

    run_to_end(work)


async def _resolve(settings: "Settings", verdict: "Verdict") -> "Resolution":
    from api.resolving import REFUSED_FIELDS
    from giftcert.cli.reaching import reaching_database
    from giftcert.cli.workflows import asking
    from giftcert.people.resolving import Resolving, UnknownCaseError
    from giftcert.storage.engine import make_engine

    engine = make_engine(settings, "giftcert-refunds")
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    try:
        with reaching_database(url):
            resolving = Resolving(engine, await asking(settings), settings.channels)
            done = await resolving.resolve(verdict, may_repeat=False)
    except UnknownCaseError:
        raise CommandError(f"there is no refund case {verdict.refund_case_id}") from None
    finally:
        await engine.dispose()
    if done.refusal is None:
        return done
    field, why = REFUSED_FIELDS.get(done.refusal, ("", f"refund case {verdict.refund_case_id} is closed"))
    raise CommandError(f"--{field}: {why}" if field == "amount" else f"{field} {why}".strip())


def _outcome(done: "Resolution") -> str:
    case = f"refund case {done.verdict.refund_case_id}"
    if done.decided is None:
        return f"{case}: agreed; another person has to repeat decision and amount"
    taken = f"{done.decided.taken:,} taken, {done.decided.uncovered:,} uncovered"
    return (
        f"{case}: {done.decided.decision} carried out, {taken}; the certificate is {done.answer.status}, "
        f"balance {done.answer.balance:,} (minor units of {done.currency}), refund {done.answer.refund_state}"
    )
