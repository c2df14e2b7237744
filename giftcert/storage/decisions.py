"""What the deciding transaction writes: everything that one decision changes, in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import cache
from typing import Any

import asyncpg

from giftcert.contracts.stream import EventRecord
from giftcert.domain.certificate.state import (
    CertificateState,
    Line,
    Redemption,
    known_lines,
)
from giftcert.security.keyring import Keyring
from giftcert.storage.certificates import ParkedWork, PendingLine, encode_state
from giftcert.storage.database import Connection
from giftcert.storage.event_texts import EventTextRepository
from giftcert.storage.events import RECORD, event_rows, new_events
from giftcert.storage.idempotency import REMEMBER, Answer
from giftcert.storage.order_lines import LineReport
from giftcert.storage.repository import as_json

_CERTIFICATE = """changed AS (
    UPDATE certificates SET status = {status}, blocked = {blocked}, nominal = {nominal}, balance = {balance},
        held = {held}, refund_state = {refund_state}, any_refund_state = {any_refund_state},
        sale_channel = {sale_channel}, order_id = {order_id}, line_key = {line_key}, customer_id = {customer_id},
        reserved_until = {reserved_until}, reservation_ended = {reservation_ended},
        available_since = CASE WHEN status <> 'available' AND {status} = 'available' THEN {at} ELSE available_since END,
        sequence = sequence + {events_count}, version = version + 1, decided_at = {at}, next_instant = {next_instant},
        timer_at = {timer_at}, run_key = {run_key}, known_lines = {known_lines}, waits = {waits}, parked = {parked},
        state = {state}
    WHERE certificate_id = {certificate_id}::uuid AND version = {version} AND sequence = {sequence}
    RETURNING product_id
)"""
_COUNTED = """counted AS (
    INSERT INTO pool_changes (product_id, was, status, certificates) SELECT product_id, {was}, {shown}, 1 FROM changed
)"""
_LINES = """line_changes AS (
    UPDATE order_lines AS l SET holder = new.holder, holder_status = new.holder_status, waiters = new.waiters,
        counted = new.counted, open_case = new.open_case, reported = new.reported
    FROM jsonb_to_recordset({lines}::jsonb) AS new (order_id text, line_key integer, holder uuid, holder_status text,
        waiters uuid[], counted jsonb, open_case jsonb, reported jsonb)
    WHERE (l.order_id, l.line_key) = (new.order_id, new.line_key)
)"""
# Whatever was written meanwhile has another number, and stays.
_PENDING = """decided AS (
    DELETE FROM pending AS p USING jsonb_to_recordset({pending}::jsonb) AS seen (key jsonb, number bigint)
    WHERE p.certificate_id = {certificate_id}::uuid
        AND (p.order_id, p.line_key, p.number) = (key ->> 0, (key ->> 1)::integer, seen.number)
)"""
_SPENDINGS = """applied AS (
    UPDATE spendings SET applied_at = {at} WHERE identity = ANY({spendings}::text[])
)"""
_REDEMPTIONS = """redemptions_changed AS (
    INSERT INTO redemptions (certificate_id, redemption_id, channel, order_id, state, amount, held, spent, restored,
        expires_at, created_at)
    SELECT {certificate_id}::uuid, redemption_id, channel, order_id, state, greatest(held, spent), held, spent,
        restored, expires_at, {at}
    FROM jsonb_to_recordset({redemptions}::jsonb) AS new (redemption_id text, channel text, order_id text, state text,
        held bigint, spent bigint, restored bigint, expires_at timestamptz)
    ON CONFLICT (certificate_id, redemption_id) DO UPDATE SET channel = excluded.channel, state = excluded.state,
        held = excluded.held, spent = excluded.spent, restored = excluded.restored, expires_at = excluded.expires_at
)"""
_RESERVATION = """reservation AS (
    UPDATE reservations SET reserved_until = {reserved_until},
        resolved_at = CASE WHEN {resolution}::text IS NOT NULL THEN {at} END, resolution = {resolution}
    WHERE reservation_id = {reservation_id}::uuid AND resolved_at IS NULL
)"""
_DISCLOSURES = """disclosed AS (
    INSERT INTO disclosures (certificate_id, disclosed_to, purpose, notification_id, disclosed_at, sequence)
    SELECT {certificate_id}::uuid, disclosed_to, purpose, notification_id, {at}, sequence
    FROM jsonb_to_recordset({disclosures}::jsonb)
        AS new (disclosed_to text, purpose text, notification_id text, sequence integer)
)"""
_UNLOCKED = """unlocked AS (
    UPDATE verification_locks AS l SET locked_until = {unlocked_at} FROM certificate_secrets AS s
    WHERE s.certificate_id = {certificate_id}::uuid AND l.number_fingerprint = s.number_fingerprint
        AND l.locked_until > {unlocked_at}
)"""
_EVENTS = f"{new_events('{events}')}, {RECORD}"
_PARTS = {
    "certificate_id": _CERTIFICATE,
    "was": _COUNTED,
    "events": _EVENTS,
    "lines": _LINES,
    "pending": _PENDING,
    "spendings": _SPENDINGS,
    "redemptions": _REDEMPTIONS,
    "reservation_id": _RESERVATION,
    "disclosures": _DISCLOSURES,
    "unlocked_at": _UNLOCKED,
    "caller_key": REMEMBER,
}
"""The parts of the statement, each by the parameter without which it is left out."""
_ANSWER = tuple(field.name for field in fields(Answer))


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """A CVC that is about to be given out."""

    disclosed_to: str
    purpose: str
    notification_id: str | None
    sequence: int  # of its event


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionWrite:
    """All that a decision changes of a certificate and of what belongs to it."""

    state: CertificateState
    was: str  # the status that was shown before
    at: datetime
    version: int  # this and the sequence are those of the row on which it was decided
    sequence: int
    records: Sequence[EventRecord]
    next_instant: datetime | None
    timer_at: datetime | None
    run_key: int | None
    parked: Sequence[ParkedWork]
    lines: Sequence[tuple[Line, LineReport]]  # whose holder, waiters or counted money changed
    pending: Sequence[PendingLine]  # deleted as far as nothing new was written meanwhile
    spendings: Sequence[str]
    redemptions: Sequence[Redemption]
    reservation_changed: bool  # ended or extended
    resolution: str | None  # how it ended now
    disclosures: Sequence[Disclosure]
    is_unlocked: bool  # the number may be checked again
    answer: Answer | None


async def write(connection: Connection, decision: DecisionWrite, keyring: Keyring | None = None) -> bool:
    """Write a decision, whole or not at all; in the transaction that holds the locks, or in none.

    Its events get masks in the place of sensitive texts.

    Returns ``False`` where another decision, or a call under the same key, came in between: undo a transaction then.
    """
    if decision.records:
        texts = EventTextRepository(connection, keyring)
        records = await texts.masked(decision.records, decision.state.certificate_id)
        decision = replace(decision, records=records)
    values = _certificate(decision) | _beside(decision)
    sql, names = _statement(tuple(part for part in _PARTS if values[part]))
    try:
        await connection.fetchrow(sql, *(values[name] for name in names))
    except asyncpg.DivisionByZeroError:
        return False
    return True


@cache
def _statement(parts: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Return the statement of these parts, and the names of its parameters in the order of their numbers."""
    names: dict[str, str] = {}

    class Numbers(dict[str, str]):
        def __missing__(self, name: str) -> str:
            return names.setdefault(name, f"${len(names) + 1}")

    body = ", ".join(_PARTS[part].format_map(Numbers()) for part in parts)
    # An error undoes the whole statement where one of these has written nothing.
    needed = ("changed", "remembered") if "caller_key" in parts else ("changed",)
    all_written = ", ".join(f"1 / (SELECT count(*) FROM {part})" for part in needed)  # noqa: S608 - constants
    return f"WITH {body} SELECT {all_written}", tuple(names)


def _certificate(decision: DecisionWrite) -> dict[str, Any]:
    state, sale, reservation = decision.state, decision.state.sale, decision.state.reservation
    lines = {*known_lines(state), *((one.key, one.line_key) for one in decision.parked if one.kind == "line")}
    return {
        "certificate_id": state.certificate_id,
        "version": decision.version,
        "sequence": decision.sequence,
        "at": decision.at,
        "status": state.status.value,
        "blocked": state.blocked,
        "nominal": state.nominal,
        "balance": state.balance,
        "held": state.held,
        "refund_state": state.refund_state.value,
        "any_refund_state": state.any_refund_state.value,
        "sale_channel": sale.channel if sale else None,
        "order_id": sale.order_id if sale else None,
        "line_key": sale.line_key if sale else None,
        "customer_id": sale.customer_id if sale else None,
        "reserved_until": reservation.reserved_until if reservation else None,
        "reservation_ended": reservation.ended if reservation else True,
        "events_count": len(decision.records),
        "next_instant": decision.next_instant,
        "timer_at": decision.timer_at,
        "run_key": decision.run_key,
        "known_lines": as_json(sorted(lines)) if lines else None,
        "waits": bool(state.waits_for),
        "parked": as_json(decision.parked) if decision.parked else None,
        "state": encode_state(state),
    }


def _beside(decision: DecisionWrite) -> dict[str, Any]:
    """Return the parameters of the other parts; the first of those that this decision lacks is nothing."""
    state, answer = decision.state, decision.answer
    reservation = state.reservation if decision.reservation_changed else None
    events = event_rows(decision.records, state.certificate_id, decision.sequence + 1)
    return {
        "was": decision.was if decision.was != state.shown_status else None,
        "shown": state.shown_status,
        "events": events if decision.records else None,
        "lines": as_json([_line(*one) for one in decision.lines]) if decision.lines else None,
        "pending": as_json(decision.pending) if decision.pending else None,
        "spendings": list(decision.spendings),
        "redemptions": as_json(decision.redemptions) if decision.redemptions else None,
        "reservation_id": reservation.reservation_id if reservation else None,
        "resolution": decision.resolution,
        "disclosures": as_json(decision.disclosures) if decision.disclosures else None,
        "unlocked_at": decision.at if decision.is_unlocked else None,
        **({name: getattr(answer, name) for name in _ANSWER} if answer else {"caller_key": None}),
    }


def _line(line: Line, report: LineReport) -> dict[str, Any]:
    reported = replace(report, foreign=line.reported)
    return {
        "order_id": line.standing.order_id,
        "line_key": line.standing.line_key,
        "holder": line.holder.certificate_id if line.holder else None,
        "holder_status": line.holder.status.value if line.holder else None,
        "waiters": line.waiters,
        "counted": line.counted,
        "open_case": line.open_case,
        "reported": None if reported == LineReport() else reported,
    }
