"""The console's entry into Airflow: its pages under /encours and their place in the navigation.

Every process of Airflow executes this file, the scheduler too: the pages are built by the first request.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from airflow.plugins_manager import AirflowPlugin

from plugins.encours_pages.addresses import PREFIX, address
from plugins.encours_pages.static_files import static_address

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


@cache
def _pages() -> ASGIApp:
    from plugins.encours_pages.app import pages  # noqa: PLC0415  only the API server pays for this import

    return pages()


async def console(scope: Scope, receive: Receive, send: Send) -> None:
    """The console as an ASGI application."""
    await _pages()(scope, receive, send)


class EncoursConsole(AirflowPlugin):
    """Puts the Connectors page into Airflow's navigation."""

    name = "encours_console"
    fastapi_apps = [  # noqa: RUF012  as Airflow declares it
        {"name": "Encours", "url_prefix": PREFIX, "app": console}
    ]
    external_views = [  # noqa: RUF012
        {
            "name": "Encours",
            "destination": "nav",
            "nav_top_level": True,
            "url_route": "encours",
            "href": address("/"),
            "icon": static_address("icon.svg"),
        },
    ]
