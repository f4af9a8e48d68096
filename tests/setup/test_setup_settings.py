from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from encours.settings import CHECKOUT, SANDBOX, Settings, default_home
from receivables.errors import Misconfigured

URLS = {
    f"ENCOURS_{part}_URL": f"postgresql://{part.lower()}:hidden@db.example.com/encours"
    for part in ("OWNER", "APP", "IDENTITY", "AUDITOR", "AIRFLOW")
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (*URLS, "ENCOURS_PRIVATE_NETWORKS", "ENCOURS_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ENCOURS_HOME", str(tmp_path))
    return tmp_path


def test_two_clones_have_homes_of_their_own() -> None:
    for root, below in ((True, Path("/var/lib/encours")), (False, Path.home() / ".local/share/encours")):
        found = default_home({}, root=root)
        assert found.parent == below
        assert len(found.name) == 8
    assert (CHECKOUT / "pyproject.toml").is_file()


def test_the_environment_says_where_the_home_is(home: Path) -> None:
    settings = Settings()
    assert settings.home == home
    assert settings.key_file == home / "key"
    assert settings.embedded
    assert settings.private_networks == ()


def test_addresses_of_another_database_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, url in URLS.items():
        monkeypatch.setenv(name, url)
    settings = Settings()
    assert not settings.embedded
    assert settings.database_url("encours_identity") == URLS["ENCOURS_IDENTITY_URL"]
    assert "hidden" not in repr(settings)


def test_half_of_the_addresses_is_refused_naming_the_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCOURS_APP_URL", URLS["ENCOURS_APP_URL"])
    with pytest.raises(Misconfigured) as refused:
        Settings()
    for name in URLS.keys() - {"ENCOURS_APP_URL"}:
        assert name in str(refused.value)
    assert "hidden" not in str(refused.value)


def test_an_address_of_another_kind_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, url in URLS.items():
        monkeypatch.setenv(name, url.replace("postgresql:", "mysql:"))
    with pytest.raises(Misconfigured, match="postgresql://") as refused:
        Settings()
    assert "hidden" not in str(refused.value)


def test_networks_are_read_from_text_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCOURS_PRIVATE_NETWORKS", "10.0.0.0/8, ::1")
    assert Settings().private_networks == (ip_network("10.0.0.0/8"), ip_network("::1/128"))


@pytest.mark.parametrize("text", ["10.0.0.1/8", "intranet", "10.0.0.0/33"])
def test_what_is_no_network_is_refused_naming_the_variable(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENCOURS_PRIVATE_NETWORKS", text)
    with pytest.raises(Misconfigured, match=r"ENCOURS_PRIVATE_NETWORKS: .*10\.0\.0\.0/8,127\.0\.0\.1/32"):
        Settings()


def test_the_sandbox_is_reachable_while_it_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / SANDBOX).write_text("ENCOURS_PRIVATE_NETWORKS=127.0.0.1/32\n")
    assert Settings().private_networks == (ip_network("127.0.0.1/32"),)
    monkeypatch.setenv("ENCOURS_PRIVATE_NETWORKS", "10.0.0.0/8")
    assert Settings().private_networks == (ip_network("10.0.0.0/8"),)
