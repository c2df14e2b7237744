"""Holds an event of the stream against its published schema: for every test that sees one."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg
from jsonschema import Draft7Validator, Draft202012Validator

from giftcert.contracts.field_descriptions import OPEN_WORDS
from giftcert.contracts.stream import encode_event
from giftcert.storage.events import EVENT, stored_event

_RECORDED = f"SELECT {EVENT} FROM events AS e ORDER BY recorded_at, certificate_id, sequence"  # noqa: S608 - constants
SCHEMAS = Path(__file__).parent.parent / "specs" / "schemas"


@cache
def validator_of(name: str) -> Draft7Validator:
    """Return the validator of a message type; formats (instants, UUIDs) are checked too.

    Readers have to bear words that come later, such as a new reason; what we publish is one of those that are listed.
    """
    schema = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    checker = Draft202012Validator.FORMAT_CHECKER  # draft 7 itself does not know what a UUID is
    return Draft7Validator(_with_closed_words(schema), format_checker=checker)


def _with_closed_words(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_with_closed_words(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _with_closed_words(one) for name, one in schema.items()}
    if isinstance(words := closed.pop(OPEN_WORDS, None), list):
        closed["enum"] = [*words, None] if "null" in closed["type"] else words
    return closed


def example(event_type: str) -> dict[str, Any]:
    """Return the published example of an event type."""
    event: dict[str, Any] = json.loads(
        (SCHEMAS / "examples" / f"{event_type}.json").read_text(encoding="utf-8")
    )
    return event


def validate_event(envelope: dict[str, Any]) -> None:
    """Fail unless an event is as its schema says, with no field beyond it.

    Readers have to bear fields that they do not know, so the schemas allow them; but what we publish is all in them.
    """
    event_type = envelope["eventType"]
    assert (SCHEMAS / f"{event_type}.json").exists(), f"{event_type} has no schema"
    validator = validator_of(event_type)
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(envelope)]
    assert not errors, f"{event_type}: {errors}"
    schema = validator.schema
    assert isinstance(schema, dict)
    assert set(envelope) == set(schema["properties"])
    assert set(envelope["payload"]) == set(schema["properties"]["payload"]["properties"]), event_type


async def validate_recorded(database_url: str) -> None:
    """Fail unless all that dispatch would publish from a database, or has published, is as its schema says."""
    connection = await asyncpg.connect(database_url)
    try:
        has_tables = await connection.fetchval("SELECT to_regclass('events') IS NOT NULL")
        rows = await connection.fetch(_RECORDED) if has_tables else []
    finally:
        await connection.close()
    for row in rows:
        _, value, _ = encode_event(stored_event(row))
        validate_event(json.loads(value))
