"""What Encours adds to Airflow's connections: the type, its one field, its hook."""

from __future__ import annotations

import json
from importlib.resources import files

import jsonschema  # type: ignore[import-untyped]
import pytest

from encours.airflow.hook import EncoursHook
from encours.airflow.provider import get_provider_info
from receivables.errors import Misconfigured


def test_the_description_keeps_airflows_schema() -> None:
    schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(get_provider_info(), schema)


def test_the_type_names_its_hook_and_asks_for_the_connector_alone() -> None:
    (kind,) = get_provider_info()["connection-types"]
    assert kind["hook-class-name"] == f"{EncoursHook.__module__}.{EncoursHook.__qualname__}"
    assert kind["connection-type"] == EncoursHook.conn_type
    assert list(kind["conn-fields"]) == ["connector"]
    assert set(kind["ui-field-behaviour"]["hidden-fields"]) >= {
        "host",
        "port",
        "login",
        "password",
        "schema",
        "extra",
    }


def test_a_connection_names_its_connector(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "encours", "extra": {"connector": "acme-s4"}}
    monkeypatch.setenv("AIRFLOW_CONN_BOOKS", json.dumps(connection))
    assert EncoursHook("books").connector == "acme-s4"


@pytest.mark.parametrize("extra", [{}, {"connector": ""}, {"connector": 7}])
def test_a_connection_without_a_connector_is_refused_by_name(
    extra: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BOOKS", json.dumps({"conn_type": "encours", "extra": extra}))
    with pytest.raises(Misconfigured, match="connection 'books' names no connector"):
        EncoursHook("books").connector  # noqa: B018
