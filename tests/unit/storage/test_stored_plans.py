"""``specs/plans``: no plan of a hot or periodic path reads a big table whole."""

import re

from benchmarks.plans import explain, statistics

BIG = 5_000
"""Rows of a database of a year, from which a table is big."""
READ_WHOLE = {
    "SELECT number_sealed, certificate_id FROM certificate_secrets LIMIT 1": "any one row",
    "WITH gone AS ( DELETE FROM pool_changes ), there AS (": "counts the pool anew, for `verify --repair`",
    "SELECT count(*) FROM idempotency_keys WHERE EXISTS": "an erasure, by a person",
    "SELECT max((payload ->> 'asOf')::timestamptz) FROM events": "once, by `giftcert recover`",
    "SELECT key, sum(rows)::bigint FROM ( SELECT substring(cvc_sealed": "counts what needs keys while they rotate",
    "SELECT substring(int8send(run_key) FROM 5), count(*)": "counts workflows that need keys while they rotate",
}
"""Statements that read a big table whole, by their beginning, and why they may."""


def test_no_hot_or_periodic_path_reads_a_big_table_whole() -> None:
    sizes = {name: one["tuples"] for name, one in statistics.read().items()}
    scanned = {
        statement: tables
        for module, plans in explain.stored().items()
        if not explain.reads_everything(module)
        for statement, plan in plans.items()
        if (tables := [one for one in _scanned(plan) if sizes.get(one, 0) >= BIG])
    }
    allowed = {one for one in scanned if one.startswith(tuple(READ_WHOLE))}
    assert {one: tables for one, tables in scanned.items() if one not in allowed} == {}
    assert all(any(one.startswith(start) for one in allowed) for start in READ_WHOLE), "an exception too many"


def _scanned(plan: str) -> list[str]:
    return re.findall(r"Seq Scan on (\w+)", plan)
