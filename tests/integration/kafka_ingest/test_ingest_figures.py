"""Figures of the business as Prometheus reads them."""

import math
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from giftcert.clock import utc_now
from giftcert.settings import Settings
from giftcert.storage.pool_changes import PoolChangeRepository
from kafka_ingest.figures import Figures
from tests.integration.kafka_ingest.ingest_store import TOPICS, Store

pytestmark = pytest.mark.integration
PRODUCT = {"product": "GC-5000"}


def figure(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"giftcert_{name}", labels)


async def test_certificates_are_counted_by_status_and_quarantine_with_its_age(store: Store) -> None:
    await store.commit(store.record(TOPICS.orders, b"no JSON"))
    async with store.database.transaction() as connection:
        await PoolChangeRepository(connection).recount()  # the certificates of this store were not counted
    figures = Figures(store.database, Settings(), lambda: utc_now() + timedelta(hours=1))
    await figures.work()
    counted = await store.rows("SELECT status, count(*) FROM certificates GROUP BY 1")
    assert {status: figure("certificates", status=status, **PRODUCT) for status, _ in counted} == dict(
        counted
    )
    assert figure("pool_time_to_empty_seconds", **PRODUCT) == math.inf
    assert figure("quarantine_open", reason="invalidJson") == 1
    assert 3_600 <= (figure("quarantine_oldest_seconds", reason="invalidJson") or 0) < 7_200
    assert figure("refunds_open", state="pendingDetails") == 0


async def test_what_is_no_longer_there_has_no_figure(store: Store) -> None:
    await store.commit(store.record(TOPICS.orders, b"no JSON"))
    figures = Figures(store.database, Settings())
    await figures.work()
    await store.rows_changed("UPDATE quarantine SET closed_at = now(), closed_how = 'dismissed'")
    await figures.work()
    assert figure("quarantine_open", reason="invalidJson") is None
