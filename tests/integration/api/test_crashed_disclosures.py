"""A crash around any step of a disclosure: no reply without its record; a record without its reply is all right."""

import httpx
import pytest

from api.disclosure_limits import DisclosureLimits
from api.workflows import CertificateWorkflows
from giftcert.lifecycle import change
from giftcert.lifecycle.change import Lifecycle
from giftcert.storage.data_keys import Seals
from tests.crashes import AFTER, Step, around_each, crash
from tests.integration.api.sales import Till

pytestmark = pytest.mark.integration
COMMITS = (change, "write")
OPENING = (Seals, "open")
UP_TO_THE_COMMIT = (
    (DisclosureLimits, "_check"),
    (CertificateWorkflows, "sealed_secrets"),
    (change, "read_idle"),
    COMMITS,
    (Lifecycle, "_act_unlocked"),
)
COMMITTED = (COMMITS, (Lifecycle, "_act_unlocked"))
"""Leaving these, the disclosure is recorded."""


async def disclose(till: Till, certificate_id: str) -> httpx.Response:
    return await till.api.as_role("crm", f"/certificates/{certificate_id}/cvc", purpose="notification")


async def recorded(till: Till, certificate_id: str) -> int:
    """How many disclosures are recorded: each was told on the stream under the same number."""
    rows = await till.stock.rows(
        "SELECT sequence FROM disclosures WHERE certificate_id = :id ORDER BY 1", id=certificate_id
    )
    events = await till.stock.events(certificate_id)
    published = [one["sequence"] for one in events if one["event_type"] == "audit.cvcDisclosed"]
    assert [row["sequence"] for row in rows] == published
    assert [one["sequence"] for one in events] == list(range(1, len(events) + 1))
    return len(published)


def assert_says_nothing(reply: httpx.Response, secrets: dict[str, str]) -> None:
    assert (reply.status_code, reply.json()["type"]) == (500, "/problems/internal-error")
    assert not any(secret in reply.text for secret in secrets.values())


@around_each(*UP_TO_THE_COMMIT, OPENING)
async def test_nothing_is_disclosed_that_is_not_recorded(
    till: Till, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    certificate_id, secrets = await till.issued()
    happened = crash(monkeypatch, step, moment)
    assert_says_nothing(await disclose(till, certificate_id), secrets)
    assert happened.is_set()
    without_reply = await recorded(till, certificate_id)
    assert without_reply == (step == OPENING or (step in COMMITTED and moment == AFTER))
    again = await disclose(till, certificate_id)
    assert again.json() == {"certificateId": certificate_id, **secrets}
    assert await recorded(till, certificate_id) == without_reply + 1


@around_each(*UP_TO_THE_COMMIT)
async def test_no_refusal_is_answered_that_is_not_recorded(
    till: Till, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    certificate_id = await till.ordered()
    secrets = await till.stock.credentials(certificate_id)
    crash(monkeypatch, step, moment)
    assert_says_nothing(await disclose(till, certificate_id), secrets)
    again = await disclose(till, certificate_id)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/not-issued")
    published = [one["event_type"] for one in await till.stock.events(certificate_id)]
    assert published.count("audit.cvcRefused") == (2 if step in COMMITTED and moment == AFTER else 1)
    assert await recorded(till, certificate_id) == 0
