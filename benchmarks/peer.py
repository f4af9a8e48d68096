"""The peer: dlt's rest_api source into PostgreSQL, upserting by primary key, tuned.

`python -m benchmarks.peer SERVER FOLDER` loads the list of items once, into a typed table of the
same fields, and prints its rows and its peak memory as JSON. What is tuned, each because it was measured
to cost less processor time than dlt's default: `__metadata` is dropped before normalising, the columns
are declared, nothing is nested, files are CSV and large, one worker, no progress, no telemetry.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

from benchmarks import items
from benchmarks.measure import peak_mib

TUNED = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "NORMALIZE__WORKERS": "1",
    "LOAD__WORKERS": "1",
    "EXTRACT__WORKERS": "1",
    "DATA_WRITER__BUFFER_MAX_ITEMS": "50000",
    "DATA_WRITER__FILE_MAX_ITEMS": "1000000",
    "DATA_WRITER__DISABLE_COMPRESSION": "true",
    "SCHEMA__MAX_TABLE_NESTING": "0",
}
TYPES = {"Edm.Boolean": "bool", "Edm.DateTime": "date", "Edm.Decimal": "decimal", "Edm.String": "text"}
KEY = ("CompanyCode", "FiscalYear", "AccountingDocument", "AccountingDocumentItem")


def columns() -> dict[str, Any]:
    """The type of every field, so that dlt need not find out."""
    return {
        name: {"data_type": TYPES[items.edm_type(name, value)]} for name, value in items.example().items()
    }


def load(server: str, folder: str) -> int:
    """Loads the list into the table `bench.items`; the number of rows loaded."""
    os.environ.update(TUNED)
    import dlt  # noqa: PLC0415 - it reads its settings when it is imported
    from dlt.sources.rest_api import rest_api_resources  # noqa: PLC0415

    typed = Typed()
    [source] = rest_api_resources(
        {
            "client": {
                "base_url": f"{server}/sap/opu/odata/sap/{items.SERVICE}/",
                "headers": {"Accept-Encoding": "gzip"},
                "paginator": {
                    "type": "offset",
                    "limit": 1000,
                    "offset_param": "$skip",
                    "limit_param": "$top",
                    "total_path": None,  # with a total, dlt parses each page twice
                    "stop_after_empty_page": True,
                },
            },
            "resources": [
                {
                    "name": "items",
                    "primary_key": list(KEY),
                    "write_disposition": {"disposition": "merge", "strategy": "upsert"},
                    "columns": columns(),
                    "endpoint": {
                        "path": items.ITEM_SET,
                        "params": {
                            "$select": ",".join(items.example()),
                            "$filter": f"FinancialAccountType eq 'D' and CompanyCode eq '{items.ENTITY}'",
                            "$orderby": ",".join(KEY),
                            "$inlinecount": "allpages",
                            "$format": "json",
                        },
                        "data_selector": "d.results",
                    },
                    "processing_steps": [{"map": typed}],
                }
            ],
        }
    )
    pipeline = dlt.pipeline("bench", pipelines_dir=folder, destination="postgres", dataset_name="bench")
    pipeline.run(source, loader_file_format="csv").raise_on_failed_jobs()
    return typed.rows


class Typed:
    """Makes the rows what a typed table takes: no URIs, days as ISO text; counts them."""

    def __init__(self) -> None:
        self.rows = 0
        self._dates = [
            name for name, value in items.example().items() if items.edm_type(name, value) == "Edm.DateTime"
        ]
        self._days: dict[str | None, str | None] = {None: None}

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row, changed in place."""
        del row["__metadata"]
        for name in self._dates:
            printed = row[name]
            if printed not in self._days:
                moment = datetime.fromtimestamp(int(printed[6:-2]) / 1000, tz=UTC)
                self._days[printed] = moment.date().isoformat()
            row[name] = self._days[printed]
        self.rows += 1
        return row


if __name__ == "__main__":
    print(json.dumps({"rows": load(*sys.argv[1:]), "peak_mib": peak_mib()}))
