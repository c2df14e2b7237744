"""Notices a keyring that does not belong to the pool before it does harm."""

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.cli.errors import CommandError
from giftcert.security import Keyring, SealError, keyring_of
from giftcert.settings import Settings
from giftcert.storage.engine import make_engine
from giftcert.storage.pool import PoolRepository


async def check_keyring(connection: AsyncConnection, keyring: Keyring) -> None:
    """Open one sealed number of the pool, if there is any.

    Raises:
        CommandError: the keyring does not open it.
    """
    sample = await PoolRepository(connection).sealed_sample()
    if sample is None:
        return
    certificate_id, sealed = sample
    try:
        keyring.open(sealed, certificate_id.bytes)
    except SealError:
        raise CommandError(
            "GIFTCERT_KEYRING: the certificates in this database were sealed by another keyring"
        ) from None


async def check_keyring_of(settings: Settings) -> None:
    """Do the same with the database of these settings; one that is away or has no tables yet proves nothing.

    Raises:
        CommandError: the keyring does not open the pool.
        KeyFileError: the keyring cannot be read.
    """
    keyring = keyring_of(settings)
    engine = make_engine(settings, "giftcert-keyring-check")
    try:
        async with engine.connect() as connection:
            await check_keyring(connection, keyring)
    except (OSError, SQLAlchemyError):
        return
    finally:
        await engine.dispose()
