"""The one way to connect to Temporal: address, TLS and API key as in Temporal's own environment configuration."""

from temporalio.client import Client
from temporalio.envconfig import ClientConfigProfile

from giftcert.settings import Settings
from giftcert.temporal.data_converter import DATA_CONVERTER


async def connect(settings: Settings, *, lazy: bool = False) -> Client:
    """Return a client of the settings' namespace; ``GIFTCERT_TEMPORAL_ADDRESS`` wins over ``TEMPORAL_ADDRESS``.

    Raises ``RuntimeError`` where the server cannot be reached, with ``lazy`` not before the first call.
    """
    found = ClientConfigProfile.load().to_client_connect_config()
    address = settings.temporal_address or found.get("target_host") or f"127.0.0.1:{settings.temporal_port}"
    return await Client.connect(
        address,
        namespace=settings.temporal_namespace,
        api_key=found.get("api_key"),
        tls=found.get("tls"),
        data_converter=DATA_CONVERTER,
        lazy=lazy,
    )
