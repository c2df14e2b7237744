"""The service's HTTP interface, as its callers use it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import httpx
import msgspec

from simulators.addresses import Addresses, token_for

TRY_AGAIN = frozenset({429, 503})
"""Too much at once, or a part that is down: the same call under the same key is right a little later."""


class Money(msgspec.Struct, frozen=True):
    """An amount in minor units of a currency."""

    amount: int
    currency: str


class Reservation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A certificate that a channel may sell until ``reserved_until``."""

    certificate_id: str
    reservation_id: str
    product: str
    nominal: Money
    channel: str


class Disclosure(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The secrets of one certificate."""

    certificate_id: str
    number: str
    cvc: str


class Certificate(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What may be known of a certificate."""

    certificate_id: str
    status: str
    refund_state: str = "none"
    balance: Money | None = None
    held: Money | None = None


class RefusedError(Exception):
    """The service answered with a problem; ``type`` is its stable name."""

    def __init__(self, status: int, problem: str) -> None:
        super().__init__(f"{status} {problem}")
        self.status = status
        self.problem = problem


class Service:
    """A caller of the API with one token. Calls that are to be repeated later are, up to a limit.

    Raises:
        RefusedError: by every call, when the service declines.
    """

    def __init__(self, client: httpx.AsyncClient, token: str, attempts: int = 8) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {token}"}
        self._attempts = attempts

    async def ready(self) -> None:
        """Make sure that the API is there with all that it needs."""
        await self.call("GET", "/readyz")

    async def next_certificate(self, channel: str, product: str, key: str | None = None) -> Reservation:
        """Reserve one certificate. The same key gives the same reservation again."""
        wanted = {"channel": channel, "product": product}
        reply = await self.call("GET", "/certificates/next", params=wanted, key=key or str(uuid4()))
        return msgspec.json.decode(reply.content, type=Reservation)

    async def reserve(self, channel: str, product: str, quantity: int) -> list[Reservation]:
        """Reserve several certificates, all or none."""
        wanted = {"channel": channel, "product": product, "quantity": quantity}
        reply = await self.call("POST", "/reservations", json=wanted, key=str(uuid4()))
        return msgspec.json.decode(reply.content, type=list[Reservation])

    async def release(self, reservation_id: str) -> None:
        """Give a reservation back."""
        await self.call("DELETE", f"/reservations/{reservation_id}")

    async def disclose(self, certificate_id: str, notification_id: str) -> Disclosure:
        """Fetch number and CVC in order to write to the client."""
        why = {"purpose": "notification", "notificationId": notification_id}
        reply = await self.call("GET", f"/certificates/{certificate_id}/cvc", params=why)
        return msgspec.json.decode(reply.content, type=Disclosure)

    async def certificate(self, certificate_id: str) -> Certificate:
        """Look a certificate up."""
        reply = await self.call("GET", f"/certificates/{certificate_id}")
        return msgspec.json.decode(reply.content, type=Certificate)

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, object] | None = None,
        key: str | None = None,
    ) -> httpx.Response:
        """Call, and again under the same key while the service says to come later."""
        headers = self._headers | ({"Idempotency-Key": key} if key else {})
        for _ in range(self._attempts):
            reply = await self._client.request(method, path, params=params, json=json, headers=headers)
            if reply.status_code not in TRY_AGAIN:
                break
            await asyncio.sleep(float(reply.headers.get("Retry-After", "1")))
        if reply.is_error:
            raise _refusal(reply)
        return reply


@dataclass(frozen=True, slots=True)
class _Problem:
    type: str = "unknown"


def _refusal(reply: httpx.Response) -> RefusedError:
    try:
        problem = msgspec.json.decode(reply.content, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem()
    return RefusedError(reply.status_code, problem.type.rsplit("/", 1)[-1].rsplit(":", 1)[-1])


@asynccontextmanager
async def open_service(addresses: Addresses, role: str) -> AsyncIterator[Service]:
    """Connect a caller with the token of a role."""
    token = await token_for(role)
    limits = httpx.Limits(max_connections=16, max_keepalive_connections=16)
    async with httpx.AsyncClient(base_url=addresses.api_url, limits=limits, timeout=15) as client:
        yield Service(client, token)
