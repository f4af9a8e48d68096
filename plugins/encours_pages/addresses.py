"""Every address the console writes, with the path before Airflow (`[api] base_url`) in front of it."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from airflow.configuration import conf

PREFIX = "/encours"


def shell(path: str) -> str:
    """The address of one of Airflow's own pages: `/dags/x` -> `/airflow/dags/x` behind a base path."""
    before: str = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
    return before + path


def address(path: str) -> str:
    """The address of one of our pages, as the frame opens it: `/` -> `/encours/`."""
    return shell(PREFIX + path)


def in_shell(path: str) -> str:
    """The address of one of our pages inside Airflow's frame, to be passed on or returned to after login."""
    return shell(f"/plugin/encours{PREFIX}{path}")


def runs(connector: str) -> str:
    """The address of the runs of a connector's DAG."""
    return shell(f"/dags/encours_{quote(connector, safe='')}")
