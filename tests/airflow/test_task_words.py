"""What the task tells Airflow: figures of a publication, the sentence of a held run."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

from encours.airflow.task import figures, held
from encours.sync import SyncResult
from receivables.tie_out import TieOut

LINE = TieOut(
    entity="1010",
    account="12100000",
    basis="company",
    currency="EUR",
    customer=None,
    as_of=date(2026, 11, 30),
    grade="ledger",
    erp=Decimal("830.00"),
    hub=Decimal("830.00"),
    erp_items=None,
    hub_items=4,
    status="equal",
    explanation=None,
)
OF_A_CUSTOMER = TieOut(**{**vars(LINE), "customer": "10100001"})


def result(**changes: object) -> SyncResult:
    values = {
        "connector": "acme-s4",
        "run": 7,
        "state": "published",
        "verdict": "equal",
        "publication": 5,
        "mode": "first",
        "grade": "ledger",
        "rows_read": 1200,
        "rows_staged": 1100,
        "rejects": 0,
        "seconds": 1.5,
        "totals": [LINE, OF_A_CUSTOMER],
        "differences": [],
    }
    return SyncResult(**{**values, **changes})  # type: ignore[arg-type]


def test_the_figures_are_json_with_exact_amounts_and_no_customer() -> None:
    extra = figures(result(), [(Decimal("830.00"), "EUR"), (Decimal(12500), "JPY")])
    assert json.loads(json.dumps(extra)) == extra
    (line,) = extra.pop("totals")
    assert (line["account"], line["erp"], line["hub"], line["as_of"]) == (
        "12100000",
        "830.00",
        "830.00",
        "2026-11-30",
    )
    assert extra == {
        "publication": 5,
        "run": 7,
        "mode": "first",
        "verdict": "equal",
        "grade": "ledger",
        "rows_read": 1200,
        "rows_staged": 1100,
        "rejects": 0,
        "seconds": 1.5,
        "open_amounts": [["830.00", "EUR"], ["12500", "JPY"]],
    }


def test_a_held_run_says_why_what_readers_see_and_where_to_look() -> None:
    explanation = ["1010 12100000: customer 10100001 has 1,250.00 EUR in the ERP, not in the hub."]
    assert held(result(state="held", verdict="held: 1,250.00 EUR", explanation=explanation)) == (
        "acme-s4: held: 1,250.00 EUR. 1010 12100000: customer 10100001 has 1,250.00 EUR in the ERP, not in the"
        " hub. Readers still see the last publication. To look closer: encours tie-out acme-s4 --run 7"
    )


def test_a_run_held_for_a_change_of_settings_says_what_changes_and_how_to_publish() -> None:
    told = held(
        result(
            state="held",
            verdict="held: settings changed what rows mean",
            reason="settings",
            explanation=["open item: 3 added, 0 changed, 0 withdrawn."],
        )
    )
    assert told == (
        "acme-s4: held: settings changed what rows mean. open item: 3 added, 0 changed, 0 withdrawn. Readers "
        "still see the last publication. To publish it: encours publish acme-s4"
    )
