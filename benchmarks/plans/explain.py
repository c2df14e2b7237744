"""Plans of the statements that are stored under ``specs/plans``, one file for each module that sends them."""

import re
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import asyncpg

from giftcert.storage.database import PLAN_FREELY, Connection, server_settings
from giftcert.storage.verification import session

FOLDER = Path(__file__).resolve().parents[2] / "specs" / "plans"
# A statement with parameters that have no values: asyncpg itself would want some.
_PLAN_OF = """
    CREATE FUNCTION pg_temp.plan_of(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
        BEGIN
            RETURN QUERY EXECUTE 'EXPLAIN (GENERIC_PLAN, COSTS OFF) ' || statement;
        END
    $$
"""
_WIDTH = 118
_SEPARATOR = "\n\n"
Plans: TypeAlias = dict[str, dict[str, str]]
"""Of each module, by its path: statements, each with its plan."""


def file_of(module: str) -> Path:
    """Return where the plans of a module lie."""
    return FOLDER / (module.removesuffix(".py").replace("/", ".") + ".txt")


def reads_everything(module: str) -> bool:
    """Return whether a module's statements are for whole tables: those of verification, which plan freely."""
    return "verification" in module.split("/")[:3]


async def plans_of(address: str, statements: Mapping[str, Iterable[str]]) -> Plans:
    """Return the plan of each statement as the processes of the service get it; ``address`` is the owner's."""
    found: Plans = {}
    by_index, freely = [
        await asyncpg.connect(address, server_settings=server_settings("plans")) for _ in range(2)
    ]
    try:
        for connection in (by_index, freely):
            await connection.execute(_PLAN_OF)
        await freely.execute(PLAN_FREELY + ";" + session.TABLES + session.INDEX)
        for module, texts in statements.items():
            connection = freely if reads_everything(module) else by_index
            plans = {text: await _plan(connection, text) for text in sorted(texts)}
            found[module] = {text: plan for text, plan in plans.items() if plan is not None}
    finally:
        await by_index.close()
        await freely.close()
    return found


async def _plan(connection: Connection, statement: str) -> str | None:
    """Return the plan of a statement, or ``None`` of what is only part of one."""
    try:
        rows = await connection.fetch("SELECT line FROM pg_temp.plan_of($1) AS line", statement)
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.PostgresSyntaxError):
        return None
    return "\n".join(re.sub(r"pg_temp_\d+\.", "", row[0]) for row in rows)


def written(plans: Mapping[str, str]) -> str:
    """Return the file of a module's plans."""
    wrap = textwrap.TextWrapper(_WIDTH, break_long_words=False, break_on_hyphens=False)
    return (
        _SEPARATOR.join(
            "\n".join(wrap.wrap(statement)) + "\n" + textwrap.indent(plan, "    ")
            for statement, plan in sorted(plans.items())
        )
        + "\n"
    )


def stored() -> Plans:
    """Return what is stored."""
    found: Plans = {}
    for file in sorted(FOLDER.glob("*.txt")):
        module = file.stem.replace(".", "/") + ".py"
        found[module] = dict(
            _read(one) for one in file.read_text(encoding="utf-8").rstrip().split(_SEPARATOR)
        )
    return found


def _read(entry: str) -> tuple[str, str]:
    lines = entry.split("\n")
    statement = " ".join(line for line in lines if line and not line.startswith("    "))
    return statement, "\n".join(line[4:] for line in lines if line.startswith("    "))
