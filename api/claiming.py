"""A channel's claim on the pool, from the request to the answer."""

from dataclasses import dataclass

from fastapi import Request

from api import problems
from api.callers import check_own_channel
from api.idempotency import remembered_claims
from api.problems import InvalidFieldError
from api.services import Services, services_of
from giftcert.clock import utc_now
from giftcert.domain.products import Product
from giftcert.security import Caller
from giftcert.storage.claims import Claim, ClaimRequest
from giftcert.storage.idempotency import IdempotencyKey


@dataclass(frozen=True, slots=True)
class Claimed:
    """The claims to answer with; ``again`` if they were answered before under the same key."""

    claims: list[Claim]
    again: bool = False


async def make_request(
    request: Request, caller: Caller, channel: str, product: str | None, quantity: int, nominal: int | None
) -> ClaimRequest:
    """Check what a channel asks for.

    Raises:
        ProblemError: 403 for another channel; 422 naming a field that does not fit.
    """
    services = services_of(request)
    check_own_channel(request, caller, channel)
    found = await _product(services, product)
    if nominal is not None and not found.allows_nominal(nominal):
        raise InvalidFieldError("nominal", "not a nominal of this product")
    return ClaimRequest(found, quantity, channel, caller.subject, nominal or found.nominal, utc_now())


async def _product(services: Services, name: str | None) -> Product:
    wanted = name or services.settings.default_product
    if wanted is None:
        raise InvalidFieldError("product", "no default product is configured, so name one")
    found = (await services.catalogue.all()).get(wanted)
    if found is None:
        raise InvalidFieldError("product", "no such product")
    return found


async def claim(services: Services, request: ClaimRequest, key: IdempotencyKey | None) -> Claimed:
    """Give certificates, or the answer that was given before.

    Raises:
        ProblemError: 409 where the pool holds too few, 410, 422 and 429 as the contract says.
    """
    await _check_cap(services, request, key)
    claims = await services.claims.claim(request, key)
    if not claims:
        before = await _answered_before(services, key)
        if before is not None:
            return before
        claims = await services.claims.claim_patiently(request, key)
    if not claims:
        return await _answered_before(services, key) or await _refuse(services, request)
    services.cap.given(request.caller, request.quantity)
    return Claimed(claims)


async def _check_cap(services: Services, request: ClaimRequest, key: IdempotencyKey | None) -> None:
    """A caller at its cap still gets the answer to a call that went through before."""
    try:
        await services.cap.check(request.caller, request.quantity)
    except problems.ProblemError:
        if await _answered_before(services, key) is None:
            raise


async def _answered_before(services: Services, key: IdempotencyKey | None) -> Claimed | None:
    if key is None:
        return None
    async with services.engine.connect() as connection:
        claims = await remembered_claims(connection, key)
    return Claimed(claims, again=True) if claims is not None else None


async def _refuse(services: Services, request: ClaimRequest) -> Claimed:
    """Count the refusal, durably, and refuse."""
    await services.refusals.record(request.product.id, request.channel, request.now)
    raise problems.ProblemError(problems.POOL_EXHAUSTED)
