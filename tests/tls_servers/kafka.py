"""A Kafka whose listeners ask for TLS, for a client's certificate, or for a password."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from giftcert.embedded.kafka import Kafka
from giftcert.embedded.keeper import Keeper
from giftcert.embedded.ports import PortClaims
from giftcert.embedded.state_folder import StateFolder
from giftcert.settings import Settings
from tests.embedded_environment import ROOT
from tests.tls_servers.certificates import HOST, USER, Certificates

PASSWORD = "right-password"
LISTENERS = {
    "PLAINTEXT": "PLAINTEXT",
    "MUTUAL": "SSL",
    "EXPIRED": "SSL",
    "PASSWORD": "SASL_SSL",
    "OPEN_PASSWORD": "SASL_PLAINTEXT",
}
_TLS = """
listener.name.{listener}.ssl.keystore.type=PEM
listener.name.{listener}.ssl.keystore.location={identity}
listener.name.{listener}.ssl.truststore.type=PEM
listener.name.{listener}.ssl.truststore.location={ca}
listener.name.{listener}.ssl.client.auth={client_auth}
"""
_PASSWORDS = """
listener.name.{listener}.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.{listener}.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
"""
_AUTHORIZER = """
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:{user}
listener.name.mutual.ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/
"""


class _TlsKafka(Kafka):
    """The embedded broker with more listeners, and users with passwords."""

    def __init__(
        self, state: StateFolder, ports: PortClaims, certificates: Certificates, users: tuple[str, ...]
    ) -> None:
        super().__init__(Settings(kafka_port=0, cache_dir=ROOT / ".build"), state, ports)
        self.listeners = {"PLAINTEXT": self._address} | {
            name: f"{HOST}:{ports.free()}" for name in LISTENERS if name != "PLAINTEXT"
        }
        self._users = users
        places = ",".join(f"{name}://{address}" for name, address in self.listeners.items())
        protocols = ",".join(f"{name}:{protocol}" for name, protocol in LISTENERS.items())
        changed = {
            "listeners=": f"listeners={places},",
            "advertised.listeners=": f"advertised.listeners={places}",
            "listener.security.protocol.map=": f"listener.security.protocol.map={protocols},CONTROLLER:PLAINTEXT",
        }
        self._configuration = "\n".join(map(partial(_changed, changed), self._configuration.splitlines()))
        self._configuration += "\ninter.broker.listener.name=PLAINTEXT\n" + _AUTHORIZER.format(user=USER)
        for listener, identity, client_auth in (
            ("mutual", certificates.server, "required"),
            ("expired", certificates.expired_server, "none"),
            ("password", certificates.server, "none"),
        ):
            self._configuration += _TLS.format(
                listener=listener, identity=identity.both, ca=certificates.ca, client_auth=client_auth
            )
        for listener in ("password", "open_password"):
            self._configuration += _PASSWORDS.format(listener=listener)

    async def _format(self, *command: str) -> None:
        users = [f"SCRAM-SHA-512=[name={user},password={PASSWORD}]" for user in self._users]
        await super()._format(*command, *(part for user in users for part in ("--add-scram", user)))


def _changed(changed: Mapping[str, str], line: str) -> str:
    for begin, instead in changed.items():
        if line.startswith(begin):
            controller = line.rpartition("CONTROLLER://")[2]
            return f"{instead}CONTROLLER://{controller}" if begin == "listeners=" else instead
    return line


@asynccontextmanager
async def tls_kafka(
    folder: Path, certificates: Certificates, users: tuple[str, ...] = (USER,)
) -> AsyncIterator[Mapping[str, str]]:
    """Run the broker; yield the address of each listener."""
    state = StateFolder(folder)
    state.create()
    with PortClaims() as ports:
        broker = _TlsKafka(state, ports, certificates, users)
        keeper = Keeper(await broker.prepare(), state)
        try:
            await keeper.make_ready()
            yield broker.listeners
        finally:
            await keeper.stop(5)
