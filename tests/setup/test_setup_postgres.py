from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from encours.postgres import SOCKET_LIMIT, SUPERUSER, Postgres, Role
from encours.serveruser import ServerUser, current_or_own
from receivables.errors import Misconfigured

pytestmark = pytest.mark.long
ROLES: list[Role] = ["encours_owner", "encours_app", "encours_identity", "encours_auditor", "airflow"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short folder that every local user may enter."""
    made = Path(tempfile.mkdtemp(prefix="encours-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def asked(server: Postgres) -> int:
    with psycopg.connect(server.url("encours_app", "encours")) as connection:
        row = connection.execute("select 40 + 2").fetchone()
    assert row is not None
    return int(row[0])


def refused_to_nobody(attempt: Callable[[], object]) -> bool:
    """Whether the system refuses this to the user `nobody`; without the right to become nobody, to no one."""
    child = os.fork()
    if child == 0:
        verdict = 1
        try:
            os.setgroups([])
            os.setgid(pwd.getpwnam("nobody").pw_gid)
            os.setuid(pwd.getpwnam("nobody").pw_uid)
            attempt()
        except PermissionError:
            verdict = 0
        finally:
            os._exit(verdict)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_another_local_user_reaches_neither_the_passwords_nor_the_database(folder: Path) -> None:
    open_to_all = folder / "open"
    open_to_all.write_text("anybody may read this")
    open_to_all.chmod(0o644)
    with Postgres(folder / "home", durable=False) as server:
        address = str(server.socket_folder / ".s.PGSQL.5432")
        for private in (server.passwords, server.log, server.data / "pg_hba.conf"):
            assert stat.S_IMODE(private.stat().st_mode) == 0o600
        assert stat.S_IMODE(server.socket_folder.stat().st_mode) == 0o700
        assert refused_to_nobody(server.passwords.read_bytes)
        assert refused_to_nobody(lambda: socket.socket(socket.AF_UNIX).connect(address))
        assert refused_to_nobody(lambda: list(server.data.iterdir()))
        if os.geteuid() == 0:  # the check can also say no
            assert not refused_to_nobody(open_to_all.read_bytes)


@pytest.mark.parametrize("password", ["", "wrong"])
def test_no_role_enters_without_its_password(folder: Path, password: str) -> None:
    with Postgres(folder / "home", durable=False) as server:
        for role in ROLES:
            address = make_conninfo(server.url(role, "encours"), password=password)
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(address)


def test_airflow_cannot_enter_the_hubs_database_nor_the_hub_airflows(folder: Path) -> None:
    with Postgres(folder / "home", durable=False) as server:
        for role in ROLES:
            elsewhere = "encours" if role == "airflow" else "airflow"
            with pytest.raises(psycopg.OperationalError, match="permission denied"):
                psycopg.connect(server.url(role, elsewhere))


def test_nothing_listens_but_the_socket(folder: Path) -> None:
    with Postgres(folder / "home", durable=False) as server:
        pid = int((server.data / "postmaster.pid").read_text().splitlines()[0])
        assert psutil.Process(pid).net_connections("inet") == []
        assert [c.laddr for c in psutil.Process(pid).net_connections("unix") if c.laddr]


def test_no_mode_changes_outside_the_home(folder: Path) -> None:
    outside = folder / "a" / "b"
    outside.mkdir(parents=True)
    for mode, made in ((0o755, folder / "a"), (0o711, outside)):
        made.chmod(mode)
    home = outside / "home"
    before = {parent: parent.stat().st_mode for parent in home.parents}
    with Postgres(home, durable=False) as server:
        assert asked(server) == 42
    assert {parent: parent.stat().st_mode for parent in home.parents} == before


def test_a_home_below_a_closed_folder_is_refused_to_root(folder: Path) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    (closed / "home").mkdir()
    with pytest.raises(Misconfigured, match=f"{closed}.*ENCOURS_HOME"):
        ServerUser(12345, 12345, own=True).check_reach(closed / "home")
    ServerUser(12345, 12345, own=False).check_reach(closed / "home")
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_programs_that_the_servers_user_cannot_reach_are_copied(folder: Path) -> None:
    installed = folder / "closed" / "package" / "pginstall"
    (installed / "bin").mkdir(parents=True)
    (installed / "include").mkdir()
    (installed / "bin" / "postgres").write_text("a program")
    (installed / "bin" / "postgres").chmod(0o700)
    (folder / "closed" / "package.libs").mkdir()
    (folder / "closed" / "package.libs" / "libpq.so").write_text("a library")
    (folder / "closed").chmod(0o700)
    user = ServerUser(12345, 12345, own=True)
    found = user.reachable(installed / "bin", folder / "programs")
    assert found == user.reachable(installed / "bin", folder / "programs")
    assert (found / "postgres").read_text() == "a program"
    assert (found / "../../../package.libs/libpq.so").read_text() == "a library"
    assert not (found.parent / "include").exists()
    for path in (found / "postgres", *found.parents):
        assert path.stat().st_mode & stat.S_IXOTH, path
    assert stat.S_IMODE((folder / "closed").stat().st_mode) == 0o700


def test_a_killed_server_starts_again_with_its_data(folder: Path) -> None:
    server = Postgres(folder / "home")
    server.start()
    with psycopg.connect(server.url("encours_owner", "encours")) as connection:
        connection.execute("create table kept as select 42 as answer")
    pid = int((server.data / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGKILL)
    psutil.Process(pid).wait(10)
    assert not server.running()
    with Postgres(folder / "home") as again:
        assert again.running()
        with psycopg.connect(again.url("encours_owner", "encours")) as connection:
            assert connection.execute("select answer from kept").fetchone() == (42,)
    server.stop()
    assert not again.running()


def test_a_pid_that_is_a_strangers_by_now_is_no_server(folder: Path) -> None:
    with Postgres(folder / "home", durable=False) as server:
        lines = (server.data / "postmaster.pid").read_text().splitlines()
    user = current_or_own()
    with subprocess.Popen(["sleep", "600"], cwd="/", user=user.uid if user.own else None) as stranger:
        try:
            (server.data / "postmaster.pid").write_text("\n".join([str(stranger.pid), *lines[1:], ""]))
            (server.data / "postmaster.pid").chmod(0o644)
            assert not server.running()
            server.stop()
            assert stranger.poll() is None
            with server:
                assert asked(server) == 42
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_second_start_uses_the_running_server(folder: Path) -> None:
    with Postgres(folder / "home", durable=False) as first:
        pid = (first.data / "postmaster.pid").read_text().splitlines()[0]
        second = Postgres(folder / "home", durable=False)
        second.start()
        assert (first.data / "postmaster.pid").read_text().splitlines()[0] == pid
        assert asked(second) == 42
        second.stop()
        assert not first.running()


def test_what_a_killed_first_start_left_is_made_anew(folder: Path) -> None:
    home = folder / "home"
    server = Postgres(home, durable=False)
    server.start()
    server.stop()
    server.data.rename(server.folder / "unfinished")
    (server.folder / "unfinished" / "PG_VERSION").unlink()
    with server:
        assert asked(server) == 42
    assert not (server.folder / "unfinished").exists()


def test_a_deep_spaced_quoted_home_and_a_strict_umask_work(folder: Path) -> None:
    before = os.umask(0o077)
    try:
        home = folder / 'an o\'clock "home", 50%' / ("deep" * 20)
        with Postgres(home, durable=False) as server:
            assert len(str(server.folder / ".s.PGSQL.5432")) > SOCKET_LIMIT
            assert asked(server) == 42
            assert stat.S_IMODE(server.socket_folder.stat().st_mode) == 0o700
        assert not server.socket_folder.exists()
        assert (
            stat.S_IMODE(home.parent.stat().st_mode) == 0o755
        )  # made by us; the server's user passes through
    finally:
        os.umask(before)


def test_a_spaced_quoted_home_holds_the_socket(folder: Path) -> None:
    with Postgres(folder / """o'clock "home" 50%""", durable=False) as server:
        assert server.socket_folder == server.folder
        assert asked(server) == 42


def test_a_comma_in_the_path_does_not_make_it_two_hosts(folder: Path) -> None:
    with Postgres(folder / "home, sweet", durable=False) as server:
        assert "," not in str(server.socket_folder)
        assert asked(server) == 42


def test_a_socket_folder_that_somebody_else_made_is_refused(folder: Path) -> None:
    server = Postgres(folder / ("deep" * 30), durable=False)
    server.socket_folder.symlink_to(folder)
    try:
        with pytest.raises(Misconfigured, match="somebody else's"):
            server.start()
    finally:
        server.socket_folder.unlink()


def test_data_without_its_passwords_or_of_another_version_is_refused(folder: Path) -> None:
    with Postgres(folder / "home", durable=False) as server:
        server.passwords.rename(folder / "moved")
    with pytest.raises(Misconfigured, match=r"postgres\.json is gone"):
        server.start()
    (folder / "moved").rename(server.passwords)
    (server.data / "PG_VERSION").write_text("9\n")
    with pytest.raises(Misconfigured, match="made by PostgreSQL 9"):
        server.start()


def test_an_address_before_the_first_start_says_what_to_type(folder: Path) -> None:
    with pytest.raises(Misconfigured, match="encours up"):
        Postgres(folder / "home").url("encours_app", "encours")


def test_passwords_stand_in_no_log(folder: Path) -> None:
    with Postgres(folder / "home", durable=False) as server:
        with psycopg.connect(server.url(SUPERUSER, "encours"), autocommit=True) as connection:
            connection.execute("alter system set log_statement = 'all'")
            connection.execute("select pg_reload_conf()")
            connection.execute("drop database airflow")
            connection.execute("drop role airflow")
        server.start()  # makes the role and the database again
        said = server.log.read_text()
    assert "create role" in said.lower()
    for password in [line.split('"')[3] for line in server.passwords.read_text().splitlines() if ":" in line]:
        assert len(password) >= 24
        assert password not in said
