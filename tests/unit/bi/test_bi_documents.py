"""What docs/integration/bi.md shows is what runs: its SQL is that of the files, and its words those of the commands."""

import re
from pathlib import Path

import pytest
from typer import Context
from typer.main import get_command

from giftcert.bi.figures import all_figures
from giftcert.bi.warehouse import SQL
from giftcert.cli.bi import app
from giftcert.cli.groups import Group
from tests.unit.bi.bi_records import NOON, Filled

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/integration/bi.md").read_text("utf-8")
STATEMENTS = re.findall(r"```sql\n(.*?)\n```", PAGE, re.DOTALL)
FILES = [
    (SQL / "views.sql").read_text("utf-8"),
    *((SQL / "figures" / f"{one.name}.sql").read_text("utf-8") for one in all_figures()),
]


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda text: text.partition("\n")[0][:40])
def test_each_statement_of_the_page_runs(filled: Filled, statement: str) -> None:
    filled.stream.issued()
    filled.load(NOON)

    filled.query(statement)


def test_what_the_page_quotes_of_the_files_is_as_it_stands_there() -> None:
    examples = [one for one in STATEMENTS if not any(one in text for text in FILES)]

    assert len(STATEMENTS) - len(examples) == 6
    assert [one.partition("\n")[0] for one in examples] == [
        "SELECT customer_id, currency, sum(issued) AS issued, sum(sold) - sum(refunded) AS revenue,",
        "SELECT certificate_id, events, sequence FROM certificates WHERE events <> sequence",
    ]


def test_the_page_names_every_figure() -> None:
    assert [one.name for one in all_figures() if f"figures/{one.name}.sql)" not in PAGE] == []


@pytest.mark.parametrize("line", re.findall(r"^giftcert bi ([^#\n]*)", PAGE, re.MULTILINE))
def test_each_command_of_the_page_takes_its_options(line: str) -> None:
    name, *arguments = line.split()
    group = get_command(app)
    assert isinstance(group, Group)
    command = group.get_command(Context(group), name)
    assert command is not None
    command.make_context(name, arguments)
