"""Tells Airflow what this distribution adds to it: the connection type `encours` and its hook.

Imports nothing, because every Airflow process calls it while it starts.
"""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """The provider's description, as Airflow's provider_info.schema.json asks for it.

    The connection's only field is a connector's key: addresses and passwords are the registry's and the
    vault's, never Airflow's.
    """
    return {
        "package-name": "encours",
        "name": "Encours",
        "description": "Receivables that agree with the ERP's own books.",
        "connection-types": [
            {
                "connection-type": "encours",
                "hook-class-name": "encours.airflow.hook.EncoursHook",
                "hook-name": "Encours connector",
                "conn-fields": {
                    "connector": {
                        "label": "Connector",
                        "description": "The key of a connector, as `encours connectors list` shows it.",
                        "schema": {"type": "string", "minLength": 1, "maxLength": 63},
                    },
                },
                "ui-field-behaviour": {
                    "hidden-fields": ["description", "host", "port", "login", "password", "schema", "extra"],
                },
            },
        ],
    }
