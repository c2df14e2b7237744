"""A crash around any step of a disclosure: no reply without its record; a record without its reply is all right."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from api import disclosures
from api.limits import DisclosureLimits
from api.sealed_secrets import WorkflowSecrets
from giftcert.security.keyring import Keyring
from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.disclosures import DisclosureRepository
from giftcert.storage.engine import engine_at
from giftcert.storage.events import EventRepository
from tests.conftest import new_database
from tests.crashes import AFTER, Step, around_each, crash
from tests.integration.api.calling import Stock, open_api, settings_for
from tests.integration.api.selling import Till, with_own_namespace
from worker import running

pytestmark = pytest.mark.integration
COMMITS = (disclosures, "_decide")
OPENING = (Keyring, "open")
UP_TO_THE_COMMIT = (
    (DisclosureLimits, "check"),
    (WorkflowSecrets, "sealed"),
    (CertificateRepository, "lock"),
    (CertificateRepository, "load"),
    (EventRepository, "append"),
    (DisclosureRepository, "decide"),
    COMMITS,
)


@pytest.fixture(scope="module")
async def till(postgres_url: str, keys_folder: Path, temporal_address: str) -> AsyncIterator[Till]:
    database_url = await new_database(postgres_url)
    settings, client = await with_own_namespace(settings_for(database_url, keys_folder), temporal_address)
    patient = settings.model_copy(update={"query_timeout": settings.unpaid_after_void})
    engine = engine_at(database_url)
    async with open_api(patient) as api, running(patient):
        yield Till(api, Stock(engine, patient), client)
    await engine.dispose()


async def disclose(till: Till, certificate_id: str) -> httpx.Response:
    return await till.api.as_role("crm", f"/certificates/{certificate_id}/cvc", purpose="notification")


async def recorded(till: Till, certificate_id: str) -> int:
    """How many disclosures are recorded: each was told on the stream under the same number."""
    rows = await till.stock.rows(
        "SELECT sequence FROM disclosures WHERE certificate_id = :id ORDER BY 1", id=certificate_id
    )
    events = await till.stock.events(certificate_id)
    told = [one["sequence"] for one in events if one["event_type"] == "audit.cvcDisclosed"]
    assert [row["sequence"] for row in rows] == told
    assert [one["sequence"] for one in events] == list(range(1, len(events) + 1))
    return len(told)


def assert_says_nothing(reply: httpx.Response, secrets: dict[str, str]) -> None:
    assert (reply.status_code, reply.json()["type"]) == (500, "/problems/internal-error")
    assert not any(secret in reply.text for secret in secrets.values())


@around_each(*UP_TO_THE_COMMIT, (DisclosureRepository, "_record"), OPENING)
async def test_nothing_is_disclosed_that_is_not_recorded(
    till: Till, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    certificate_id, secrets = await till.issued()
    happened = crash(monkeypatch, step, moment)
    assert_says_nothing(await disclose(till, certificate_id), secrets)
    assert happened.is_set()
    without_reply = await recorded(till, certificate_id)
    assert without_reply == (step == OPENING or (step, moment) == (COMMITS, AFTER))
    again = await disclose(till, certificate_id)
    assert again.json() == {"certificateId": certificate_id, **secrets}
    assert again.headers["sealed-secrets-from"] == "workflow"
    assert await recorded(till, certificate_id) == without_reply + 1


@around_each(*UP_TO_THE_COMMIT, (DisclosureRepository, "_refuse"))
async def test_no_refusal_is_answered_that_is_not_recorded(
    till: Till, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    certificate_id = await till.ordered()
    secrets = await till.stock.credentials(certificate_id)
    crash(monkeypatch, step, moment)
    assert_says_nothing(await disclose(till, certificate_id), secrets)
    again = await disclose(till, certificate_id)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/not-issued")
    told = [one["event_type"] for one in await till.stock.events(certificate_id)]
    assert told.count("audit.cvcRefused") == (2 if (step, moment) == (COMMITS, AFTER) else 1)
    assert await recorded(till, certificate_id) == 0
