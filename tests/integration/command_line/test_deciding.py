"""``giftcert refunds``: a case is listed and decided by the same transaction as over HTTP."""

import json
from uuid import uuid4

import pytest
from office import Office

from tests.integration.api.refund_desk import PRICE

pytestmark = pytest.mark.integration


async def test_a_case_is_listed_and_decided(office: Office) -> None:
    sold, case = await office.spent_and_refunded()
    listed = await office.run("refunds", "list")
    assert f"{sold.order_id}, line 1" in listed.stdout
    assert "certificateRedeemed" in listed.stdout
    [one] = json.loads((await office.run("refunds", "list", "--json")).stdout)["items"]
    assert one == (await office.api.as_role("support", "/refunds")).json()["items"][0]
    done = await office.run(
        "refunds", "resolve", case, "--approve", "--amount", "300000", "--note", "agreed", "--json"
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert (outcome["taken"]["amount"], outcome["uncovered"]["amount"]) == (300_000, 200_000)
    assert (outcome["status"], outcome["balance"]["amount"]) == ("partiallyRedeemed", 100_000)
    again = await office.run("refunds", "resolve", case, "--reject", "--note", "no")
    assert (again.returncode, again.stderr) == (1, f"giftcert: refund case {case} is closed\n")


async def test_an_amount_is_taken_as_people_write_it(office: Office) -> None:
    _, case = await office.spent_and_refunded()
    done = await office.run(
        "refunds", "resolve", case, "--approve", "--amount", "2500.00", "--note", "agreed"
    )
    assert "2,500.00 RUB taken, 2,500.00 RUB uncovered" in done.stdout
    assert "balance 1,500.00 RUB" in done.stdout


async def test_money_in_another_currency_is_listed_in_that(office: Office) -> None:
    sold = await office.sell()
    await office.refund(sold, amount=6_000, currency="EUR")
    case = await office.case_of(sold, "pendingDetails")
    assert "60.00 EUR of 5,000.00 RUB" in (await office.run("refunds", "list")).stdout
    done = await office.run(
        "refunds", "resolve", case, "--reject", "--amount", "500.00", "--note", "a gesture"
    )
    assert "0.00 RUB taken, 500.00 RUB uncovered" in done.stdout


async def test_people_are_told_the_outcome_in_words_and_by_name(office: Office) -> None:
    sold, case = await office.spent_and_refunded()
    done = await office.run(
        "refunds", "resolve", case, "--reject", "--note", "the buyer keeps it", "--by", "anna"
    )
    assert done.stdout == (
        f"refund case {case}: reject carried out, 0.00 RUB taken, 5,000.00 RUB uncovered; the certificate is "
        "partly spent (partiallyRedeemed), balance 4,000.00 RUB, refund rejected\n"
    )
    [resolved] = [
        one["payload"]
        for one in await office.stock.events(sold.certificate_id)
        if one["event_type"] == "refund.resolved"
    ]
    assert (resolved["resolvedBy"], resolved["note"]) == ("anna", "the buyer keeps it")


async def test_a_large_refund_takes_two_names_whatever_the_shell_is_set_to(office: Office) -> None:
    sold = await office.sell()
    await office.refund(sold, amount=PRICE + 1)
    case = await office.case_of(sold, "pendingDetails")
    decide = ("resolve", case, "--approve", "--note", "agreed")
    first = await office.run("refunds", *decide, "--by", "anna")
    assert (first.returncode, first.stdout) == (
        0,
        f"refund case {case}: agreed; another person has to repeat decision and amount\n",
    )
    assert (
        json.loads((await office.run("refunds", *decide, "--by", "anna", "--json")).stdout)["awaitingSecond"]
        is True
    )
    assert (
        json.loads((await office.run("refunds", *decide, "--by", "bert", "--json")).stdout)["status"]
        == "refunded"
    )


async def test_nothing_is_decided_where_the_policy_of_the_service_is_not_known(office: Office) -> None:
    sold, case = await office.spent_and_refunded()
    await office.stock.run("DELETE FROM service_policy")
    for wanted in (
        ("refunds", "resolve", case, "--approve", "--note", "agreed"),
        ("pool", "retire", "--certificate", sold.certificate_id, "--reason", "misprinted"),
        ("quarantine", "replay", "--all"),
    ):
        done = await office.run(*wanted, "--by", "anna")
        assert (done.returncode, done.stderr) == (
            1,
            "giftcert: the policy of the service is not known here: start its API once, which records it\n",
        )
    assert (await office.row(sold))["refund_state"] == "pendingDetails"


async def test_what_cannot_be_decided_is_one_clear_line(office: Office) -> None:
    _, case = await office.spent_and_refunded()
    unknown = str(uuid4())
    for arguments, words in (
        ((case, "--note", "n"), "name either --approve or --reject"),
        ((unknown, "--note", "n", "--approve"), f"there is no refund case {unknown}"),
        (
            (case, "--note", "n", "--approve", "--amount", "400001"),
            "--amount: is more than the balance, or than the refund is worth",
        ),
        (
            (case, "--note", "n", "--approve", "--amount", "4,000"),
            "--amount: must be an amount such as 2500.00 RUB, or a whole number of minor units",
        ),
        (
            (case, "--note", "n", "--approve", "--amount", "40.00 EUR"),
            "--amount: must be an amount such as 2500.00 RUB, or a whole number of minor units",
        ),
        (
            (case, "--note", "n", "--reject", "--amount", "40.00"),
            "--amount: has no use before issue, or with a rejection of money in the order's currency",
        ),
    ):
        done = await office.run("refunds", "resolve", *arguments, "--by", "anna")
        assert (done.returncode, done.stderr) == (1, f"giftcert: {words}\n")


async def test_a_page_behind_no_case_is_refused(office: Office) -> None:
    done = await office.run("refunds", "list", "--after", str(uuid4()))
    assert (done.returncode, done.stderr) == (1, "giftcert: --after: is not `next` of a page\n")


async def test_support_reads_cases_outcomes_and_refusals_in_its_language(office: Office) -> None:
    sold, case = await office.spent_and_refunded()
    listed = (await office.run("refunds", "list", language="ru")).stdout
    assert "какого времени" in listed
    assert "approve или reject" in listed
    assert f"{sold.order_id}, строка 1: certificateRedeemed. Сертификат уже потрачен" in listed
    assert "5 000,00 RUB из 5 000,00 RUB; остаток 4 000,00 RUB, удержано 0,00 RUB" in listed
    decide = ("refunds", "resolve", case, "--approve", "--by", "anna")
    refused = await office.run(*decide, "--note", "согласовано", "--amount", "много", language="ru")
    assert refused.stderr == (
        "giftcert: --amount: укажите сумму в виде 2500.00 RUB или целое число минимальных единиц (копеек)\n"
    )
    done = await office.run(*decide, "--note", "согласовано", language="ru")
    assert done.stdout == (
        f"возврат {case} одобрен (approve): списано 4 000,00 RUB, не покрыто 1 000,00 RUB; "
        "сертификат возвращён (refunded), остаток 0,00 RUB, возврат проведён (completed)\n"
    )
    again = await office.run(*decide, "--note", "ещё раз", language="ru")
    assert again.stderr == f"giftcert: возврат {case} уже закрыт\n"
    traced = (await office.run("trace", sold.certificate_id, language="ru")).stdout
    assert "сертификат" in traced
    assert "решил anna, согласовано; теперь" in traced
    assert "возвращён (refunded), возврат: проведён (completed), остаток 0,00 RUB" in " ".join(traced.split())


async def test_the_list_ends_with_its_link_in_the_web_ui(office: Office) -> None:
    await office.spent_and_refunded()
    said = (await office.run("refunds", "list", temporal_ui_url="https://ui.example")).stdout
    assert "in the Web UI: https://ui.example/namespaces/default/workflows?query=%60RefundState%60" in said
