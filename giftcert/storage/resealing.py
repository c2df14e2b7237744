"""Seals of retired keys, page by page, and what they are replaced by; whose workflow holds such a seal.

Originals of inputs are on record, so nothing changes them: they go with their days, and their keys stay until then.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from giftcert.security.data_keys import Purpose
from giftcert.storage.repository import Repository, by_column, of_row
from giftcert.temporal.signals import Signal, Wake

COMMAND_SECONDS = 600.0  # a page may lie behind many that need nothing


@dataclass(frozen=True, slots=True)
class SealedColumns:
    """Where seals lie: of one row all are of one key."""

    table: str
    purposes: tuple[Purpose, ...]
    first: str  # before every place
    page: str  # $1 keys, $2 behind which place, $3 how many: place, owner, seals
    replace: str  # $1 places, $2 the seals as they were, $3 and $4 new seals


# Rows are locked in order: another process that seals the same ones anew waits, and then finds others.
CERTIFICATES: Final = SealedColumns(
    "certificate_secrets",
    (Purpose.NUMBER, Purpose.CVC),
    "00000000-0000-0000-0000-000000000000",
    """
    SELECT certificate_id::text, uuid_send(certificate_id), ARRAY[number_sealed, cvc_sealed] FROM certificate_secrets
    WHERE certificate_id > $2::text::uuid AND substring(cvc_sealed FROM 2 FOR 4) = ANY($1::bytea[])
    ORDER BY certificate_id LIMIT $3 FOR NO KEY UPDATE
    """,
    """
    UPDATE certificate_secrets AS t SET number_sealed = new.a, cvc_sealed = new.b
    FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bytea[]) AS new (place, old, a, b)
    WHERE t.certificate_id = new.place::uuid AND t.cvc_sealed = new.old
    """,
)
QUARANTINE: Final = SealedColumns(
    "quarantine",
    (Purpose.QUARANTINED_KEY, Purpose.QUARANTINED_VALUE),
    "0",
    """
    SELECT quarantine_id::text, convert_to(concat_ws(':', topic, partition, record_offset), 'UTF8'),
        ARRAY[record_key, record_value]
    FROM quarantine
    WHERE quarantine_id > $2::text::bigint
        AND substring(coalesce(record_value, record_key) FROM 2 FOR 4) = ANY($1::bytea[])
    ORDER BY quarantine_id LIMIT $3 FOR NO KEY UPDATE
    """,
    """
    UPDATE quarantine AS t SET record_key = new.a, record_value = new.b
    FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bytea[]) AS new (place, old, a, b)
    WHERE t.quarantine_id = new.place::bigint AND coalesce(t.record_value, t.record_key) = new.old
    """,
)
SEALED: Final = (CERTIFICATES, QUARANTINE)
_RUNS = """
    SELECT certificate_id::text, coalesce(sale_channel, reservation_channel, $4) AS channel, product_id AS product,
        order_id
    FROM certificates WHERE run_key = ANY($1::bigint[]) AND certificate_id > $2::text::uuid
    ORDER BY certificate_id LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class SealedRow:
    """The seals of one row, in the order of its purposes."""

    place: str
    owner: bytes
    seals: Sequence[bytes | None]


class ResealingRepository(Repository):
    """Finds and replaces seals."""

    async def page(
        self, of: SealedColumns, key_ids: Collection[int], after: str, limit: int
    ) -> list[SealedRow]:
        """Return the next rows that these keys sealed."""
        keys = [one.to_bytes(4) for one in key_ids]
        await self._connection.execute("SET LOCAL statement_timeout = 0")
        rows = await self._connection.fetch(of.page, keys, after, limit, timeout=COMMAND_SECONDS)
        return [SealedRow(*row) for row in rows]

    async def replace(
        self, of: SealedColumns, rows: Sequence[tuple[SealedRow, Sequence[bytes | None]]]
    ) -> int:
        """Put new seals in the place of those that were read; return in how many rows."""
        values = [
            (old.place, next(one for one in reversed(old.seals) if one is not None), new[0], new[-1])
            for old, new in rows
        ]
        return await self._execute(of.replace, *by_column(values))

    async def wakes(
        self, key_ids: Collection[int], after: str, limit: int, default_channel: str
    ) -> list[Wake]:
        """Return signals to the next workflows that hold what these keys sealed."""
        rows = await self._fetch(_RUNS, list(key_ids), after, limit, default_channel)
        return [of_row(Wake, row, signal=Signal.KEYS_ROTATED, cause=None) for row in rows]
