"""The canonical records: frozen values that adapters make and the store keeps.

Amounts are exact decimals written as plain text (`-120.00`, never an exponent), days are ISO text
(`2026-01-15`): both are checked by receivables.values when an adapter makes them, and PostgreSQL turns
them into NUMERIC and DATE. Text is kept because building a Decimal and a date for each of millions of
rows costs more than everything else together (docs/decisions). A positive open amount is owed to us.
"""

from __future__ import annotations

import msgspec


class LegalEntity(msgspec.Struct, frozen=True, gc=False):
    """One company of the tenant that keeps books of its own (SAP: a company code)."""

    code: str
    name: str
    country: str | None
    currency: str
    vat_id: str | None = None
    registration_id: str | None = None
    zone: str | None = None  # IANA time zone that its days end in; None: the tenant's


class ControlAccount(msgspec.Struct, frozen=True, gc=False):
    """One general ledger account that carries receivables (SAP: a reconciliation account)."""

    entity: str
    account: str
    kind: str  # trade, doubtful, notes, advances, special
    label: str | None = None


class Customer(msgspec.Struct, frozen=True, gc=False):
    """One customer in one legal entity; `incomplete` when only its number is known."""

    number: str  # canonical: without leading zeros when all digits
    entity: str
    printed: str  # as the ERP prints it
    name: str | None
    country: str | None = None
    vat_id: str | None = None
    registration_id: str | None = None  # e.g. a SIREN that passed its check
    payer: str | None = None
    head_office: str | None = None
    control_account: str | None = None
    currency: str | None = None
    payment_terms: str | None = None
    dunning_block: str | None = None
    language: str | None = None
    email: str | None = None
    blocked: bool = False
    incomplete: bool = False
    native_id: str | None = None  # the ERP's own id, where it stays when the number changes


class Document(msgspec.Struct, frozen=True, gc=False):
    """One posted document; its total is the sum of its open items' original amounts.

    Net and tax are those of the billing document that it names, and unknown without one.
    """

    number: str
    entity: str
    fiscal_year: str
    type: str  # the ERP's own type: RV, DR, DG
    kind: str  # invoice, credit_note, debit_note, advance, journal, ...
    printed: str
    customer: str
    status: str  # posted, cancelled, reversed
    currency: str
    issued_on: str | None
    posted_on: str
    reversal_of: str | None = None  # number/fiscal_year of the document that this one reverses
    billing_document: str | None = None
    reference: str | None = None
    related: str | None = None  # number/fiscal_year/item of the preceding document
    rate: str | None = None  # company currency for one unit of the document's, where the ERP gives one rate


class OpenItem(msgspec.Struct, frozen=True, gc=False):
    """One instalment of one document: the grain of debt. `open` is 0 once cleared.

    `carries` says what its line in the control account carries: the `whole` original amount until it is
    cleared, whatever was applied meanwhile (SAP), or the `rest`, its open amount (Intacct). Where the ERP
    states no allocations, give `open` as if there were none: they are worked out (receivables.applying).
    """

    number: str
    entity: str
    fiscal_year: str
    instalment: str
    account: str  # the control account
    customer: str
    currency: str
    original: str
    open: str
    company_currency: str
    company_original: str
    company_open: str
    posted_on: str
    due_on: str | None
    cleared_on: str | None
    payment_method: str | None = None
    payment_reference: str | None = None
    payment_block: str | None = None
    dunning_level: str | None = None
    dunning_block: str | None = None
    clearing_document: str | None = None  # number/fiscal_year
    assignment: str | None = None
    text: str | None = None
    related: str | None = None  # number/fiscal_year/instalment of the item that it refers to
    discount: str | None = None  # cash discount that its clearing granted
    company_discount: str | None = None
    carries: str = "whole"  # whole, rest
    pays: str | None = (
        None  # a credit's number/fiscal_year/instalment of the item that it pays while both are open
    )


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """Money received, one line of one payment: positive `amount`, and what of it is not applied yet.

    An ERP that posts a payment in several customer lines (SAP) gives several lines of one number; others
    give line `1`. `unapplied` is 0 once it is applied or cleared. Days are ISO text without a zone. A line
    may take more off its account than money, `not_cash`: a discount granted, the rest of a short payment.
    Where the ERP states no allocations, give it all as `amount`: what is money is worked out.
    """

    number: str
    entity: str
    fiscal_year: str  # '' where the ERP's numbers do not begin again every year
    line: str
    account: str  # the control account that the payment is on
    customer: str
    printed: str
    currency: str
    amount: str
    unapplied: str
    company_currency: str
    company_amount: str
    company_unapplied: str
    booked_on: str
    value_on: str | None
    status: str  # received, reversed
    cleared_on: str | None = None
    clearing_document: str | None = None  # number/fiscal_year
    payer: str | None = None
    method: str | None = None
    bank_reference: str | None = None
    text: str | None = None
    related: str | None = None  # number/fiscal_year/instalment of the item that it pays while both are open
    carries: str = "whole"  # whole, rest
    not_cash: str = "0"
    company_not_cash: str = "0"


class Allocation(msgspec.Struct, frozen=True, gc=False):
    """One amount taken from a receipt, a credit, an advance or a journal and put on an open item.

    The number and sequence name the fact for ever: SAP the crediting document (number/fiscal_year), then its
    item and the target; Intacct the RECORDNO of the payment detail, then the kind of source. Amounts are
    positive when the target's open amount becomes smaller: by `amount`, of which `discount` was granted and
    not paid, so that the source gave the rest. In company currency the source gave `company_difference` more
    than the target's amount fell, a gain. It is never allocated before either side was posted. A line or
    instalment that is empty stands for what the document posted to other accounts than customers'.
    """

    number: str
    entity: str
    sequence: str
    source: str  # receipt, credit_note, advance, journal, invoice
    source_number: str
    source_fiscal_year: str
    source_line: str
    target_number: str
    target_fiscal_year: str
    target_instalment: str
    target_account: str
    currency: str
    amount: str
    company_currency: str
    company_amount: str
    discount: str
    company_discount: str
    company_difference: str  # realised exchange difference, a gain positive
    allocated_on: str
    derived: bool = False  # worked out from a clearing of several items, not stated by the ERP
    reverses: str | None = None  # number/sequence of the allocation that this one takes back


class BillingDocument(msgspec.Struct, frozen=True, gc=False):
    """What an invoice says of the document that it was posted as: net, tax and gross, in its currency.

    Some ERPs print credits without their sign: the document that names it has it. `taxes` is a JSON list of
    [category, rate in percent, base, tax], all text.
    """

    number: str
    entity: str
    type: str  # the ERP's own type: F2, G2, S1
    status: str  # posted, cancelled
    cancels: str | None  # the number of the billing document that this one takes back
    currency: str
    total_excl: str
    tax_total: str
    total_incl: str
    taxes: str = "[]"


class DocumentTax(msgspec.Struct, frozen=True, gc=False):
    """The tax of one document in one category at one rate; `rate` in percent, 0 where it is no percentage.

    The category is the ERP's own code (SAP: the tax code). Worked out from the billing document.
    """

    number: str
    entity: str
    fiscal_year: str
    type: str
    category: str
    rate: str
    base: str
    tax: str


class ControlTotal(msgspec.Struct, frozen=True, gc=False):
    """What the ERP's own books say of one control account in one currency, at the end of a day.

    `basis` is `company` (company currency) or `document` (document currency); `grade` is `ledger` or
    `aggregate`. A total with `customer` set is the part of that customer ('' = posted to the account
    without a customer); the same (entity, account, basis, currency) without customer (None) is the whole.
    """

    entity: str
    account: str
    basis: str
    currency: str
    as_of: str
    grade: str
    closing: str
    customer: str | None = None
    items: int | None = None


class Swept(msgspec.Struct, frozen=True, gc=False):
    """What the nightly sweep shows of one open item: its key and what may change without a trace.

    A read by key gives it too, also of what is cleared: it says that the ERP still shows the line.
    """

    number: str
    entity: str
    fiscal_year: str
    instalment: str
    account: str
    customer: str
    currency: str
    original: str
    company_original: str
    due_on: str | None
    dunning_level: str | None = None


class Deleted(msgspec.Struct, frozen=True, gc=False):
    """What the ERP's own record says is gone: a document with its items, a receipt, or a customer.

    `record` names that record in a sentence that begins with a capital letter. The entity and the fiscal year
    are '' where it does not tell them: then the number alone names what is gone. A customer is named by its
    native id.
    """

    kind: str  # document, receipt, customer
    number: str
    record: str
    entity: str = ""
    fiscal_year: str = ""


Record = (
    LegalEntity
    | ControlAccount
    | Customer
    | Document
    | OpenItem
    | Receipt
    | Allocation
    | BillingDocument
    | DocumentTax
    | Swept
    | Deleted
)


class Reject(msgspec.Struct, frozen=True, gc=False):
    """One row that was set aside: its bytes as received, a reason code, the field and a sentence."""

    stream: str
    raw: bytes
    code: str
    field: str
    message: str
    key: str | None = None  # the row's own key, where it could be read
    adapter: str | None = None  # the name of what read it, to read it again
