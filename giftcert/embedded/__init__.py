"""PostgreSQL, Temporal and Kafka as local processes, behind `EmbeddedStack`."""

from giftcert.embedded.addresses import Addresses
from giftcert.embedded.errors import StackError
from giftcert.embedded.servers import StackOptions
from giftcert.embedded.stack import EmbeddedStack

__all__ = ["Addresses", "EmbeddedStack", "StackError", "StackOptions"]
