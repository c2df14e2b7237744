"""Commands by which operations and support act: they answer in words and in JSON, and refuse in one line."""

import json
from pathlib import Path

import pytest
from office import Office

from giftcert.domain.numbers import number_from_digits

pytestmark = pytest.mark.integration
UNKNOWN = "0198c0de-0000-7000-8000-00000000dead"


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    path = tmp_path / "certificates.csv"
    rows = [f"{number_from_digits(f'40000000000{nth:04d}')},{nth:06d}" for nth in range(3)]
    path.write_text("\n".join(["number,cvc", *rows]) + "\n", encoding="utf-8")
    return path


async def acts(office: Office) -> list[dict[str, str]]:
    """What the stream tells of persons, about no certificate."""
    published = (
        "SELECT payload FROM events WHERE event_type = 'audit.operatorActed' AND certificate_id IS NULL"
    )
    return [row["payload"] for row in await office.rows(f"{published} ORDER BY event_id")]


async def test_a_batch_is_retired_from_the_command_line(office: Office) -> None:
    await office.stock.fill(3)
    await office.api.next()
    [batch] = await office.rows("SELECT batch_id FROM batches")
    wanted = ("pool", "retire", "--batch", str(batch["batch_id"]), "--reason", "misprinted", "--by", "olga")
    done = await office.run(*wanted)
    assert (done.returncode, done.stdout) == (0, "3 retired, 0 blocked of 3\n")
    published = await office.rows("SELECT payload FROM events WHERE event_type = 'audit.retired'")
    assert [row["payload"] for row in published] == [
        {"reason": "misprinted", "by": "olga", "breakage": None}
    ] * 3
    again = json.loads((await office.run(*wanted, "--json")).stdout)
    assert (again["total"], again["retired"], again["blocked"]) == (3, 3, 0)
    operations = await office.rows("SELECT operation_id::text AS id, done, finished_at FROM operations")
    assert again["operationId"] in {row["id"] for row in operations}
    assert all(row["done"] == 3 and row["finished_at"] for row in operations)
    assert len(await office.rows("SELECT 1 FROM events WHERE event_type = 'audit.retired'")) == 3
    retired = {"who": "olga", "what": f"retire batch {batch['batch_id']}: misprinted"}
    assert await acts(office) == [retired, retired]


async def test_a_file_of_certificates_is_imported_from_the_command_line(
    office: Office, certificates: Path
) -> None:
    await office.stock.fill(0)
    wanted = ("pool", "import", str(certificates), "--product", "GC-5000", "--by", "olga")
    done = await office.run(*wanted)
    assert done.returncode == 0, done.stderr
    [batch] = await office.rows("SELECT batch_id FROM batches WHERE source = 'import'")
    assert done.stdout == f"3 certificates of GC-5000 imported: batch {batch['batch_id']}\n"
    assert all(f"{what} 3 of 3" in done.stderr for what in ("checked", "sealed", "loaded"))
    [act] = await acts(office)
    assert act == {"who": "olga", "what": f"imported 3 certificates of GC-5000: batch {batch['batch_id']}"}

    again = await office.run(*wanted)
    assert again.stdout == f"3 certificates of GC-5000 were imported before: batch {batch['batch_id']}\n"


def add_empty_line(file: Path) -> None:
    """Make another file of the same certificates."""
    file.write_text(file.read_text() + "\n")


async def test_a_file_with_numbers_of_the_pool_is_refused_by_its_lines(
    office: Office, certificates: Path
) -> None:
    await office.stock.fill(0)
    wanted = ("pool", "import", str(certificates), "--product", "GC-5000", "--by", "olga")
    await office.run(*wanted)
    add_empty_line(certificates)
    other = await office.run(*wanted)
    assert (other.returncode, other.stdout) == (1, "")
    assert "line 2: the number is in the pool already\nline 3: " in other.stderr
    assert other.stderr.endswith(
        f"giftcert: nothing was imported: 3 lines of {certificates} cannot be used\n"
    )
    refused = await office.run(*wanted, "--json")
    published = json.loads(refused.stdout)
    assert refused.returncode == 1
    assert (published["count"], published["faultsTotal"], published["faults"][0]["line"]) == (0, 3, 2)


@pytest.mark.parametrize(
    ("name", "product", "said"),
    [("absent.csv", "GC-5000", "cannot be read"), ("certificates.csv", "GC-9", "there is no product GC-9")],
)
async def test_an_import_that_cannot_begin_is_refused_in_one_line(
    office: Office, certificates: Path, name: str, product: str, said: str
) -> None:
    await office.stock.fill(0)
    done = await office.run("pool", "import", str(certificates.with_name(name)), "--product", product)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


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
    assert (await office.run("refunds", "list")).stdout == "no refund case waits for a person\n"
    empty = await office.run("refunds", "list", "--state", "requested", "--json")
    assert json.loads(empty.stdout) == {"items": [], "next": None}
    wrong = await office.run("refunds", "list", "--state", "completed")
    assert (wrong.returncode, wrong.stderr) == (
        1,
        "giftcert: --state: must be one of pendingDetails, awaitingCapture, requested\n",
    )


async def test_the_status_counts_what_waits_and_names_what_is_away(office: Office) -> None:
    await office.spent_and_refunded()
    done = await office.run("status", "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["ready"], said["lag"]) == (1, False, None)
    assert {one["part"]: one["state"] for one in said["parts"]} == {
        "postgres": "ready",
        "temporal": "away",
        "kafka": "away",
        "api": "away",
    }
    [waiting] = said["openRefunds"]
    assert (waiting["state"], waiting["count"]) == ("pendingDetails", 1)
    text = (await office.run("status")).stdout
    assert "1 case waiting for a person, since 20" in text
    assert "lag         not known: Kafka does not say" in text
