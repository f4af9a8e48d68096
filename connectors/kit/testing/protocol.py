"""The cases of the conversation with an ERP: pages, errors, interruptions, sign-ins that end.

Whatever happens on the way, what is published afterwards is complete, and nothing half read is ever seen.
"""

from __future__ import annotations

import re
from typing import Final

import pytest

from connectors.kit.testing.bench import Bench
from connectors.kit.testing.comparison import owes
from connectors.kit.testing.ports import Connector, Request
from receivables.errors import HubError, Transient

WHOLE: Final = 1000  # a page that holds any list of the suite's ERPs
SET_ASIDE: Final = "set aside"
VISIBLE: Final = ("open_item", "receipt", "allocation", "document", "customer", "control_account")


def paging(bench: Bench, form: str) -> None:
    """Every page border is crossed without a loss: one row less than a page, exactly full, one row more."""
    reference, whole = _loaded(bench, page_size=WHOLE)
    longest = max(request.rows for request in whole if request.list == bench.erp.profile.items)
    small = bench.erp.profile.small_page
    for size in sorted({small, *range(max(longest - 1, small), max(longest, small) + 2)}):
        bench.erp.page(form, size)
        connector, read = _loaded(bench, page_size=size)
        bench.erp.well()
        assert connector.content() == reference.content(), size
        assert max(request.rows for request in read if request.list == bench.erp.profile.items) <= size


def same_moment(bench: Bench) -> None:
    """Rows that share their day or moment and cross the border of a page in a delta are all read."""
    connector, _ = _loaded(bench, page_size=bench.erp.profile.small_page)
    posted = bench.erp.post("invoice", 2 * bench.erp.profile.small_page + 1)
    since = _last(bench)
    result = connector.sync(sweep=False)
    assert (result.state, result.verdict) == ("published", "equal")
    owes(bench.erp, connector)
    pages = [r for r in bench.erp.requests(since) if r.list == bench.erp.profile.items and r.rows]
    assert len([page for page in pages if page.rows == bench.erp.profile.small_page]) >= 2
    held = {(row["entity"], row["fiscal_year"], row["number"]) for row in connector.rows("document")}
    assert {tuple(document) for document in posted} <= held


def misbehaviour(bench: Bench, name: str) -> None:
    """A wrong answer is a clear error or a row set aside; the last publication stays, the next is whole."""
    (means,) = [each.means for each in bench.erp.profile.misbehaviours if each.name == name]
    bench.erp.post("invoice", 2)  # one may be set aside; a page without a readable row is an error
    before = _visible(bench.connector)
    bench.erp.misbehave(name)
    if means == "endured":
        bench.publish(sweep=False)
        bench.erp.well()
        return
    if isinstance(means, str):
        result = bench.connector.sync(sweep=False)
        assert (result.state, means) == ("held", SET_ASIDE)
        assert result.rejects >= 1
        assert bench.connector.reasons()
    else:
        with pytest.raises(means) as raised:
            bench.connector.sync(sweep=False)
        assert _kind(raised.value) is _kind_of(means), raised.value
        assert re.match(rf"{bench.connector.key}[,:] (?!{bench.connector.key})", str(raised.value)), (
            raised.value
        )
    assert _visible(bench.connector) == before
    bench.erp.well()
    bench.publish(sweep=False)


def resume(bench: Bench, _: str = "") -> None:
    """A first load that is cut off in the middle goes on where it was, and nothing is published twice."""
    reference, whole = _loaded(bench, page_size=bench.erp.profile.small_page)
    short = bench.erp.profile.short_history
    connector = bench.setup.connect(bench.erp, page_size=bench.erp.profile.small_page, **short)
    answers = len([request for request in whole if request.list == bench.erp.profile.items])
    bench.erp.interrupt(answers // 2)
    since = _last(bench)
    with pytest.raises(Transient):
        connector.sync()
    assert connector.content() == ""
    assert connector.rows("open_item") == []
    bench.erp.well()
    result = connector.sync()
    assert (result.state, result.verdict) == ("published", "equal")
    owes(bench.erp, connector)
    assert connector.content() == reference.content()
    read = [request for request in bench.erp.requests(since) if request.list == bench.erp.profile.items]
    # what was staged is not asked for again; of the list that was cut off, a beginning is
    assert _rows(read, bench.erp.profile.items) < 2 * _rows(whole, bench.erp.profile.items)


def expiry(bench: Bench) -> None:
    """A sign-in that ends in the middle of a read is made again, and the same rows are read."""
    reference, whole = _loaded(bench, page_size=bench.erp.profile.small_page)
    bench.erp.end_sign_ins(len([r for r in whole if r.list == bench.erp.profile.items]) // 2)
    connector, read = _loaded(bench, page_size=bench.erp.profile.small_page)
    assert connector.content() == reference.content()
    assert _rows(read, bench.erp.profile.items) >= _rows(whole, bench.erp.profile.items)


# -- how ---------------------------------------------------------------------------------------------------


def _loaded(bench: Bench, page_size: int) -> tuple[Connector, list[Request]]:
    """A connector of its own after its first load, and what the ERP answered."""
    connector = bench.setup.connect(bench.erp, page_size=page_size, **bench.erp.profile.short_history)
    since = _last(bench)
    result = connector.sync()
    assert (result.state, result.verdict, result.mode) == ("published", "equal", "snapshot")
    owes(bench.erp, connector)
    return connector, list(bench.erp.requests(since))


def _last(bench: Bench) -> int:
    return max((request.number for request in bench.erp.requests()), default=0)


def _rows(requests: list[Request], name: str) -> int:
    return sum(request.rows for request in requests if request.list == name)


def _visible(connector: Connector) -> dict[str, list[str]]:
    return {table: sorted(map(repr, connector.rows(table))) for table in VISIBLE}


def _kind(error: BaseException) -> type[BaseException]:
    return _kind_of(type(error))


def _kind_of(error: type[BaseException]) -> type[BaseException]:
    """The error of our tree that says what to do next: a class below it may say more."""
    return next(kind for kind in error.__mro__ if kind.__module__ == HubError.__module__)
