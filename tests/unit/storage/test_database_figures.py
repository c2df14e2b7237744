import asyncpg
import pytest
from prometheus_client import REGISTRY

from giftcert.storage.database_figures import count_failure


def counted(kind: str) -> float:
    return REGISTRY.get_sample_value("giftcert_database_failures_total", {"kind": kind}) or 0


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (asyncpg.SerializationError("x"), "serialization"),
        (asyncpg.DeadlockDetectedError("x"), "deadlock"),
        (asyncpg.LockNotAvailableError("x"), "lock"),
        (asyncpg.UniqueViolationError("x"), "unique"),
        (asyncpg.QueryCanceledError("x"), "timeout"),
        (asyncpg.AdminShutdownError("x"), "away"),
        (ConnectionRefusedError("x"), "away"),
        (asyncpg.UndefinedTableError("x"), "refused"),
    ],
)
def test_failures_are_counted_by_what_they_mean(error: Exception, kind: str) -> None:
    before = counted(kind)
    count_failure(error)
    assert counted(kind) == before + 1
