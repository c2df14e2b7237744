"""The issuer's public keys (JWK set, RFC 7517), from a file or an address, renewed while the service runs."""

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from prometheus_client import Counter

from giftcert.security.key_files import KeyFileError, read_json

EMBEDDED_KEY_PREFIX = "embedded-"
"""How the ids of keys of an embedded stack begin, so that they are known wherever they are copied."""
RENEW_SECONDS = 60.0  # so long a key is trusted that the issuer has withdrawn
AGAIN_SECONDS = 5.0  # unknown keys, which anybody can name, make nobody look sooner than this after a look
FETCH_SECONDS = 3.0
LARGEST_SET = 256 * 1024
_UNPACKED = {"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"}
_LOG = structlog.get_logger(__name__)
_RENEWALS = Counter("giftcert_signing_keys_renewals_total", "Looks for the issuer's keys", ["outcome"])


class SigningKeys:
    """Public keys that signed tokens are checked by; the last good ones stay while the issuer is away."""

    def __init__(self, source: str) -> None:
        """Take a file's keys, or raise ``KeyFileError``; those at an address come with the first renewal."""
        self._is_address = "://" in source
        self._source = source
        self._renewal: asyncio.Task[None] | None = None
        self._looked_at = float("-inf")
        self.current = KeySet([])
        self.version = 0
        """Rises with each change."""
        if not self._is_address:
            self._take(read_json(Path(source)))

    @property
    def are_embedded(self) -> bool:
        """Whether any of the keys was made by an embedded stack."""
        return any((key.kid or "").startswith(EMBEDDED_KEY_PREFIX) for key in self.current)

    async def look(self) -> None:
        """Have a token's unknown key looked for; whoever comes while somebody looks waits for the same answer."""
        if self._renewal is None or self._renewal.done():
            if time.monotonic() < self._looked_at + AGAIN_SECONDS:
                return
            self._renewal = asyncio.create_task(self.renew())
        await asyncio.shield(self._renewal)

    async def keep_renewing(self) -> None:
        """Renew again and again."""
        while True:
            await self.renew()
            await asyncio.sleep(RENEW_SECONDS)

    async def renew(self) -> None:
        """Read the keys anew; what goes wrong is logged and changes nothing."""
        self._looked_at = time.monotonic()
        try:
            content = await self._fetch() if self._is_address else read_json(Path(self._source))
            self._take(content)
        except KeyFileError as error:
            _RENEWALS.labels("failed").inc()
            _LOG.warning("the issuer's keys cannot be renewed", error=str(error))
        else:
            _RENEWALS.labels("done").inc()

    async def _fetch(self) -> dict[str, Any]:
        import httpx  # noqa: PLC0415 - loaded only where it is needed

        content = b""
        try:
            async with (
                asyncio.timeout(FETCH_SECONDS),
                httpx.AsyncClient(headers=_UNPACKED) as client,
                client.stream("GET", self._source) as response,
            ):
                response.raise_for_status()
                async for part in response.aiter_raw():
                    content += part
                    if len(content) > LARGEST_SET:
                        raise KeyFileError(f"{self._source} sends more than {LARGEST_SET} bytes")
            return msgspec.json.decode(content, type=dict[str, Any])
        except (httpx.HTTPError, httpx.InvalidURL, msgspec.MsgspecError, TimeoutError) as error:
            why = str(error) or "there was no answer in time"
            raise KeyFileError(f"{self._source} cannot be read: {why}") from None

    def _take(self, content: dict[str, Any]) -> None:
        try:
            keys = KeySet.import_key_set(content)  # type: ignore[arg-type] # checked by what it raises
        except (JoseError, ValueError, KeyError, TypeError, AttributeError):
            raise KeyFileError(f"{self._source} is no JWK set") from None
        if not keys.keys:
            raise KeyFileError(f"{self._source} holds no key")
        if self._is_address and any((key.kid or "").startswith(EMBEDDED_KEY_PREFIX) for key in keys):
            raise KeyFileError(f"{self._source} holds keys of an embedded stack")
        if keys.as_dict() != self.current.as_dict():
            self.current, self.version = keys, self.version + 1
