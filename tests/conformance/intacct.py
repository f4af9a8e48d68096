"""What a simulated Sage Intacct company can be made to do, through the control addresses of the sandbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from connectors.kit.testing.ports import (
    Document,
    Evening,
    Key,
    Misbehaviour,
    Owed,
    Profile,
    Request,
    Taxes,
    Unapplied,
)
from receivables.errors import Misconfigured, RateLimited, Rejected, Transient
from tests.conformance.running import Running, owed, unapplied

TENANT: Final = "globex"
INVOICES: Final = "ARINVOICE"
FOREVER: Final = 100_000
NO_YEAR: Final = ""
ONE: Final = "1"  # an invoice is one instalment
LATE: Final = 300  # seconds
BUSINESS: Final = {
    "invoice": "invoices",
    "credit_note": "credit_memos",
    "payment": "payments",
    "payment_reversal": "payment_reversals",
    "partial_payment": "partials",
    "partial_payment_reversal": "partial_reversals",
    "payment_on_account": "advances",
    "discount": "discounts",
    "exchange_payment": "exchange_payments",
    "reversal": "reversals",
    "reissue": "reissues",
    "deletion": "deletes",
    "undated": "undated",
    "due_date": "due_dates",
}
SIGNING_IN: Final = {"function": "getAPISession", "object": ""}
# what the ERP does -> how the order differs from one for every page of invoices
ORDERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "wrong_sender": SIGNING_IN,
    "wrong_login": SIGNING_IN,
    "sender_not_authorised": SIGNING_IN,
    "value": {"field": "CURRENCY", "value": "XXQ"},
    "session_expired": {"times": 1},
    "slow_drip": {"seconds": 0.001},
}
PROFILE: Final = Profile(
    zone="UTC",
    items=INVOICES,
    small_page=40,
    short_history={},
    pagings=("by key",),
    misbehaviours=(
        Misbehaviour("too_many_requests", RateLimited),
        Misbehaviour("invalid_request", Rejected),
        Misbehaviour("unavailable", Transient),
        Misbehaviour("bad_gateway", Transient),
        Misbehaviour("malformed", Rejected),
        Misbehaviour("wrong_sender", Misconfigured),
        Misbehaviour("wrong_login", Misconfigured),
        Misbehaviour("sender_not_authorised", Misconfigured),
        Misbehaviour("result_failure", Rejected),
        Misbehaviour("result_two_errors", Rejected),
        Misbehaviour("try_again", Transient),
        Misbehaviour("row_failure", Rejected),
        Misbehaviour("login_page", Misconfigured),
        Misbehaviour("truncated", Transient),
        Misbehaviour("doctype", Rejected),
        Misbehaviour("huge", Rejected),
        Misbehaviour("no_result", Transient),
        Misbehaviour("acknowledged", Misconfigured),
        Misbehaviour("short_page", Rejected),
        Misbehaviour("value", "set aside"),
        Misbehaviour("doubled_timestamp", "endured"),
        Misbehaviour("session_expired", "endured"),
        Misbehaviour("slow_drip", "endured"),
    ),
    lacks={
        "instalments": "An invoice has one due date: instalments are invoices of their own.",
        "tax": "Which of a document's lines are tax is not read: its net and tax stay unknown.",
        "three decimals": "Intacct rounds every amount to two decimals.",
        "clock changes": "Its moments are those of Greenwich, where no clock changes.",
    },
    swept={},
    unstated={},
    missing={},
)


class Intacct:
    """An Intacct company; see tests.conformance.drivers.Driver."""

    system = "sage_intacct"
    profile: ClassVar = PROFILE

    def __init__(self, running: Running) -> None:
        self.running = running

    @classmethod
    def start(cls, *, items: int, today: date) -> Intacct:
        """Starts it."""
        return cls(Running.start(TENANT, items=items, today=today))

    def stop(self) -> None:
        self.running.stop()

    def misbehaviours(self) -> set[str]:
        return self.running.misbehaviours()

    @property
    def credential(self) -> tuple[str, ...]:
        """The user's pair, then the sender's."""
        place = self.running.place
        return place["user"], place["password"], place["sender_id"], place["sender_password"]

    def settings(self, **changes: Any) -> Mapping[str, Any]:
        place = self.running.place
        kept = {
            "base_url": place["url"],
            "endpoint_host": urlsplit(place["endpoint"]).hostname,
            "company_id": place["company_id"],
            "entities": place["entities"],
        }
        return {**kept, **changes}

    def now(self) -> datetime:
        return self.running.now()

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
            wish["late"] = LATE
        if currency is not None:
            wish["currency"] = currency
        posted = self.running.post("post", wish)["posted"]
        return [Document(each["entity"], NO_YEAR, each["key"]) for each in posted]

    def hide(self) -> Sequence[Key]:
        (fault,) = self.running.post("faults", {"name": "row_hidden"})["faults"]
        return [(did["entity"], NO_YEAR, did["key"], ONE, did["account"]) for did in fault["did"]]

    def evening(self) -> Evening:
        told = self.running.get("evening", day=self.running.today().isoformat())
        items: dict[Key, Owed] = {}
        receipts: dict[Key, Unapplied] = {}
        for item in told["items"]:
            _, number, account = item["key"]
            items[item["entity"], NO_YEAR, number, ONE, account] = owed(item)
        for receipt in told["receipts"]:
            _, number, account = receipt["key"]
            receipts[receipt["entity"], NO_YEAR, number, account, receipt["customer"]] = unapplied(receipt)
        return Evening(items, receipts)

    def requests(self, since: int = 0) -> Sequence[Request]:
        found = self.running.get("log", since=since)["requests"]
        return [Request(each["number"], each["object"], each["rows"]) for each in found]

    def page(self, form: str, limit: int) -> None:
        """Pages are as long as the reader asks for, whatever the form."""

    def misbehave(self, name: str) -> None:
        order = {"function": "query", "object": INVOICES, "times": FOREVER, **ORDERS.get(name, {})}
        if order["function"] == SIGNING_IN["function"]:
            self.running.post("sessions", {"expire": True})
        self.running.post("misbehave", {"kind": name, **order})

    def misprint(self, amount: str, currency: str) -> None:
        order = {"field": "TRX_TOTALENTERED", "value": amount, "where": f"CURRENCY={currency}"}
        self.running.post("misbehave", {"kind": "value", "object": INVOICES, "times": FOREVER, **order})

    def interrupt(self, after: int) -> None:
        order = {"kind": "unavailable", "object": INVOICES, "times": FOREVER, "after": after}
        self.running.post("misbehave", order)

    def taxes(self, document: Document) -> Taxes:
        raise AssertionError(f"{self.profile.lacks['tax']} Asked for of {document.number}.")

    def end_sign_ins(self, after: int) -> None:
        order = {"kind": "session_expired", "function": "query", "object": INVOICES, "after": after}
        self.running.post("misbehave", order)

    def well(self) -> None:
        self.running.well()
