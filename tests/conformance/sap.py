"""What a simulated SAP S/4HANA can be made to do, through the control addresses of the sandbox.

Its company codes keep books in yen and Kuwaiti dinars, with documents in dollars and euros as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

from connectors.kit.testing.ports import (
    Document,
    Evening,
    Key,
    Misbehaviour,
    Profile,
    Request,
    Taxes,
)
from receivables.errors import Misconfigured, RateLimited, Rejected, Transient
from tests.conformance.running import Running, owed, unapplied

TENANT: Final = "nippon"
ITEMS: Final = "A_OperationalAcctgDocItemCube"
CUBE: Final = "API_OPLACCTGDOCITEMCUBE_SRV"
BILLING: Final = "API_BILLING_DOCUMENT_SRV"
CREDITS: Final = ("O", "N")  # credit memos, and cancellations of invoices
ZERO: Final = Decimal(0)
FOREVER: Final = 100_000
BUSINESS: Final = {
    "invoice": "invoices",
    "credit_note": "credit_memos",
    "instalments": "instalments",
    "payment": "payments",
    "payment_reversal": "payment_reversals",
    "partial_payment": "partials",
    "partial_payment_reversal": "partial_reversals",
    "payment_on_account": "payments_on_account",
    "discount": "discounts",
    "exchange_payment": "exchange_payments",
    "reversal": "reversals",
    "reissue": "reissues",
    "undated": "undated",
    "due_date": "due_dates",
}
# what the ERP does -> the order that makes it do so
ORDERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "value": {"property": "CompanyCodeCurrency", "value": "XXQ"},
    "slow_drip": {"seconds": 0.001},
    "no_unit": {"set": CUBE},
}


PROFILE: Final = Profile(
    zone="Asia/Tokyo",
    items=ITEMS,
    small_page=10,
    short_history={"history_months": 1},
    pagings=("skip", "links", "links within a page"),
    misbehaviours=(
        Misbehaviour("login_page", Misconfigured),
        Misbehaviour("truncated_page", Transient),
        Misbehaviour("short_page", Rejected),
        Misbehaviour("foreign_next", Rejected),
        Misbehaviour("same_page", Rejected),
        Misbehaviour("endless_pages", Rejected),
        Misbehaviour("nan_amount", "set aside"),
        Misbehaviour("nan_literal", Rejected),
        Misbehaviour("thirtieth_of_february", "set aside"),
        Misbehaviour("value", "set aside"),
        Misbehaviour("no_unit", Misconfigured),
        Misbehaviour("forbidden_atom", Misconfigured),
        Misbehaviour("data_not_found", Rejected),
        Misbehaviour("internal_error", Transient),
        Misbehaviour("unavailable", Transient),
        Misbehaviour("too_many_requests", RateLimited),
        Misbehaviour("slow_drip", "endured"),
    ),
    lacks={
        "expiry": "The suite signs with a password, which does not end; tokens that do are in `tests/sync/test_sync_oauth.py`.",
        "deleted": "A posting is never deleted: it is reversed.",
    },
    swept={
        "payment": "The reset of a clearing leaves no date on what it opens.",
        "undated": "A delta filters by days, and the row has none.",
    },
    unstated={
        "exchange difference": "A customer's lines are cleared at the company amount that they were posted "
        "with; the realised difference is a line of the ledger alone.",
    },
    missing={},
)


class Sap:
    """An SAP system; see tests.conformance.drivers.Driver."""

    system = "sap_s4hana"
    profile: ClassVar = PROFILE

    def __init__(self, running: Running) -> None:
        self.running = running
        self._paged: set[str] = set()

    @classmethod
    def start(cls, *, items: int, today: date) -> Sap:
        """Starts it."""
        return cls(Running.start(TENANT, items=items, today=today))

    def stop(self) -> None:
        self.running.stop()

    def misbehaviours(self) -> set[str]:
        return self.running.misbehaviours()

    @property
    def credential(self) -> tuple[str, ...]:
        """User name and password."""
        return self.running.place["user"], self.running.place["password"]

    def settings(self, **changes: Any) -> Mapping[str, Any]:
        place = self.running.place
        kept = {"base_url": place["url"], "company_codes": place["company_codes"], "zone": self.profile.zone}
        return {**kept, **changes}

    def now(self) -> datetime:
        return datetime.combine(self.running.today(), time(12), ZoneInfo(self.profile.zone))

    def begin(self, day: date) -> None:
        self.running.post("day", {"day": day.isoformat()})

    def post(
        self,
        business: str,
        times: int = 1,
        *,
        on: date | None = None,
        late: bool = False,
        currency: str | None = None,
    ) -> Sequence[Document]:
        wish: dict[str, Any] = {BUSINESS[business]: times}
        if on is not None:
            wish["on"] = on.isoformat()
        if late:
            wish["entered"] = (self.running.today() - timedelta(days=1)).isoformat()
        if currency is not None:
            wish["currency"] = currency
        posted = self.running.post("post", wish)["posted"]
        return [Document(each["company_code"], each["fiscal_year"], each["document"]) for each in posted]

    def hide(self) -> Sequence[Key]:
        (did,) = self.running.post("faults", {"name": "row_hidden"})["faults"][0]["did"]
        return [(did["company_code"], did["fiscal_year"], did["document"], did["item"], did["account"])]

    def evening(self) -> Evening:
        told = self.running.get("evening", day=self.running.today().isoformat())
        items = {(*item["key"], item["account"]): owed(item) for item in told["items"]}
        receipts = {
            (*receipt["key"], receipt["account"], receipt["customer"]): unapplied(receipt)
            for receipt in told["receipts"]
        }
        return Evening({k: one for k, one in items.items() if one.open or one.company_open}, receipts)

    def unseen(self) -> set[str]:
        """The customers of whom something is open that the user is not shown, and names no error."""
        open_ = "FinancialAccountType eq 'D' and ClearingAccountingDocument eq ''"
        names = ("CompanyCode", "FiscalYear", "AccountingDocument")
        shown = {tuple(row[name] for name in names) for row in self._rows(f"{CUBE}/{ITEMS}", open_)}
        told = self.running.get("evening", day=self.running.today().isoformat())
        lines = [*told["items"], *told["receipts"]]
        return {line["customer"] for line in lines if tuple(line["key"][:3]) not in shown}

    def taxes(self, document: Document) -> Taxes:
        code, year, number = document
        of = f"CompanyCode eq '{code}' and FiscalYear eq '{year}' and AccountingDocument eq '{number}'"
        numbers = {row["BillingDocument"] for row in self._rows(f"{CUBE}/{ITEMS}", of)} - {""}
        found: defaultdict[tuple[str, Decimal], list[Decimal]] = defaultdict(lambda: [ZERO, ZERO])
        for billing in numbers:
            named = f"BillingDocument eq '{billing}'"
            (header,) = self._rows(f"{BILLING}/A_BillingDocument", named)
            sign = -1 if header["SDDocumentCategory"] in CREDITS else 1
            elements = self._rows(
                f"{BILLING}/A_BillingDocumentItemPrcgElmnt", f"{named} and ConditionClass eq 'D'"
            )
            for row in elements:
                if not (row["ConditionIsForStatistics"] or row["ConditionInactiveReason"]):
                    sums = found[row["TaxCode"], Decimal(row["ConditionRateValue"])]
                    sums[0] += sign * Decimal(row["ConditionBaseValue"])
                    sums[1] += sign * Decimal(row["ConditionAmount"])
        return {place: (base, tax) for place, (base, tax) in found.items()}

    def requests(self, since: int = 0) -> Sequence[Request]:
        found = self.running.get("log", since=since)["requests"]
        return [Request(each["number"], each["set"], each["rows"]) for each in found]

    def page(self, form: str, limit: int) -> None:
        if form == "skip":
            return
        within = limit if form == "links" else max(limit // 3, 1)
        self.running.post("paging", {"set": ITEMS, "limit": within, "links": True})
        self._paged.add(ITEMS)

    def misbehave(self, name: str) -> None:
        order = {"set": ITEMS, **ORDERS.get(name, {})}
        self.running.post("misbehave", {"kind": name, "times": FOREVER, **order})

    def misprint(self, amount: str, currency: str) -> None:
        where = f"TransactionCurrency={currency}"
        order = {"set": ITEMS, "property": "AmountInTransactionCurrency", "value": amount, "where": where}
        self.running.post("misbehave", {"kind": "value", **order})

    def interrupt(self, after: int) -> None:
        order = {"kind": "unavailable", "set": ITEMS, "times": FOREVER, "after": after}
        self.running.post("misbehave", order)

    def end_sign_ins(self, after: int) -> None:
        raise AssertionError(f"{self.profile.lacks['expiry']} Asked for after {after} requests.")

    def well(self) -> None:
        self.running.well()
        for name in self._paged:
            self.running.post("paging", {"set": name, "limit": None, "links": False})
        self._paged.clear()

    def _rows(self, of: str, condition: str) -> list[dict[str, Any]]:
        """The rows that a plain client is shown, on one page."""
        place = self.running.place
        url = f"{place['url']}/sap/opu/odata/sap/{of}"
        answer = self.running.http.get(
            url,
            params={"$filter": condition, "$format": "json"},
            auth=(place["user"], place["password"]),
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["d"]["results"]
        return found
