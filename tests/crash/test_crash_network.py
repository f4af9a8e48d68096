"""The network is cut after a request was sent: the ERP has answered, and the hub does not know.

A request of either system only asks, so it is sent again. What the ERP was asked for is counted in its own log.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from connectors.kit.testing.comparison import agree
from receivables.errors import Transient
from tests.conformance.conftest import lender, shared
from tests.conformance.drivers import DRIVERS
from tests.crash.conftest import RECOVERY
from tests.crash.network import network

if TYPE_CHECKING:
    from tests.conformance.lent import Lender
    from tests.crash.network import Network

__all__ = ["lender", "network", "shared"]

pytestmark = pytest.mark.long

SIGN_IN = b"getAPISession"  # asked for by the token authority, which does not ask twice


@pytest.mark.parametrize("system", sorted(DRIVERS))
def test_every_answer_but_that_to_a_sign_in_may_be_lost_once(
    system: str, lender: Lender, network: Network
) -> None:
    erp = lender.erp(system)
    lent = lender.connect(erp, proxy=network.address)
    seen: set[bytes] = set()

    def loses(request: bytes) -> bool:
        known = request in seen
        seen.add(request)
        return not known and SIGN_IN not in request

    network.loses = loses
    for sweep in (False, False, True):
        result = lent.sync(sweep=sweep)
        assert (result.state, result.verdict) == ("published", "equal"), result.explanation
        agree(erp, lent, result)
        erp.post("invoice", 2)
    assert len(set(network.lost)) == len(network.lost) >= 30
    assert len(erp.requests()) == network.passed, "the ERP has answered every one, also those lost"


@pytest.mark.parametrize("after", [0, 1, 9])
@pytest.mark.parametrize("system", sorted(DRIVERS))
def test_a_network_that_stays_cut_costs_the_run_and_nothing_else(
    system: str, after: int, lender: Lender, network: Network
) -> None:
    erp = lender.erp(system)
    lent = lender.connect(erp, proxy=network.address)
    assert lent.sync().verdict == "equal"
    erp.post("invoice", 2)
    erp.post("payment")
    before, content = sorted(map(repr, lent.rows("open_item"))), lent.content()
    allowed = network.passed + after
    network.loses = lambda _: network.passed > allowed

    with pytest.raises(Transient, match=rf"{lent.key}\b"):
        lent.sync(sweep=True)

    assert network.lost
    assert (sorted(map(repr, lent.rows("open_item"))), lent.content()) == (before, content)
    (left,) = [row["number"] for row in lent.rows("run") if row["state"] == "reading"]
    network.heal()
    back = time.monotonic()
    result = lent.sync(sweep=True)
    assert time.monotonic() - back <= RECOVERY
    assert (result.run, result.state, result.verdict) == (left, "published", "equal"), result.explanation
    agree(erp, lent, result)
    assert len(erp.requests()) == network.passed
    content = lent.content()
    assert lent.sync(sweep=False).verdict == "equal"
    assert lent.content() == content
