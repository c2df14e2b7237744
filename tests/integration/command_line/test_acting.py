"""Commands by which operations and support act: they answer in words and in JSON, and refuse in one line."""

import json

import pytest
from office import Office

pytestmark = pytest.mark.integration
UNKNOWN = "0198c0de-0000-7000-8000-00000000dead"


async def acts(office: Office) -> list[dict[str, str]]:
    """What the stream tells of persons, about no certificate."""
    told = "SELECT payload FROM events WHERE event_type = 'audit.operatorActed' AND certificate_id IS NULL"
    return [row["payload"] for row in await office.rows(f"{told} ORDER BY event_id")]


async def test_a_batch_is_retired_from_the_command_line(office: Office) -> None:
    await office.stock.fill(3)
    await office.api.next()
    [batch] = await office.rows("SELECT batch_id FROM batches")
    wanted = ("pool", "retire", "--batch", str(batch["batch_id"]), "--reason", "misprinted", "--by", "olga")
    done = await office.run(*wanted)
    assert (done.returncode, done.stdout) == (0, "3 retired, 0 blocked of 3\n")
    told = await office.rows("SELECT payload FROM events WHERE event_type = 'audit.retired'")
    assert [row["payload"] for row in told] == [{"reason": "misprinted", "by": "olga", "breakage": None}] * 3
    again = json.loads((await office.run(*wanted, "--json")).stdout)
    assert (again["total"], again["retired"], again["blocked"]) == (3, 3, 0)
    operations = await office.rows("SELECT operation_id::text AS id, done, finished_at FROM operations")
    assert again["operationId"] in {row["id"] for row in operations}
    assert all(row["done"] == 3 and row["finished_at"] for row in operations)
    assert len(await office.rows("SELECT 1 FROM events WHERE event_type = 'audit.retired'")) == 3
    retired = {"who": "olga", "what": f"retire batch {batch['batch_id']}: misprinted"}
    assert await acts(office) == [retired, retired]


async def test_who_made_certificates_is_told(office: Office) -> None:
    await office.stock.fill(0)
    done = await office.run("pool", "generate", "--product", "GC-5000", "--count", "2", "--by", "olga")
    assert done.returncode == 0, done.stderr
    [batch] = await office.rows("SELECT batch_id FROM batches")
    what = f"made 2 certificates of GC-5000: batch {batch['batch_id']}"
    assert await acts(office) == [{"who": "olga", "what": what}]


async def test_what_is_sold_is_blocked_and_keeps_its_refund(office: Office) -> None:
    """Temporal is away: its workflow learns of it later."""
    sold, _ = await office.spent_and_refunded()
    wanted = (
        "pool",
        "retire",
        "--certificate",
        sold.certificate_id,
        "--reason",
        "misprinted",
        "--by",
        "olga",
    )
    done = await office.run(*wanted, "--json")
    answer = json.loads(done.stdout)
    assert done.stderr == "Temporal is away: the workflows are signalled when it is back\n"
    assert (done.returncode, answer["retired"], answer["blocked"]) == (0, 0, 1)
    row = await office.row(sold)
    assert (row["blocked"], row["status"], row["refund_state"]) == (
        True,
        "partiallyRedeemed",
        "pendingDetails",
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--reason", "x"), "name either --batch or --certificate"),
        (("--reason", "x", "--batch", UNKNOWN), f"there is no batch {UNKNOWN}"),
        (("--reason", "x", "--certificate", UNKNOWN), f"there is no certificate {UNKNOWN}"),
        (("--reason", " ", "--batch", UNKNOWN), "--reason: must have 1 to 500 characters"),
        (
            ("--reason", "told anna@example.com", "--batch", UNKNOWN),
            "--reason: goes to the stream, leave numbers, e-mail addresses and telephones out",
        ),
    ],
)
async def test_a_retirement_that_cannot_be_is_one_clear_line(
    office: Office, options: tuple[str, ...], words: str
) -> None:
    done = await office.run("pool", "retire", "--by", "olga", *options)
    assert (done.returncode, done.stderr) == (1, f"giftcert: {words}\n")


async def test_refunds_that_wait_are_listed(office: Office) -> None:
    assert (await office.run("refunds", "list")).stdout == "no refund case waits\n"
    empty = await office.run("refunds", "list", "--state", "requested", "--json")
    assert json.loads(empty.stdout) == {"items": [], "next": None}
    wrong = await office.run("refunds", "list", "--state", "completed")
    assert (wrong.returncode, wrong.stderr) == (
        1,
        "giftcert: --state: must be one of pendingDetails, awaitingCapture, requested\n",
    )
