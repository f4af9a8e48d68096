"""Every system of the visible list passes every case, or says why it cannot have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from connectors.kit.testing.suite import CASES, Proof, proofs
from connectors.systems import SYSTEMS
from tests.conformance.drivers import DRIVERS

if TYPE_CHECKING:
    from tests.conformance.lent import Lender

pytestmark = pytest.mark.long

TRIED = [name for name in SYSTEMS if name in DRIVERS]
PROOFS = [proof for name in TRIED for proof in proofs(SYSTEMS[name], DRIVERS[name].profile)]


def missing(proof: Proof) -> str:
    """Why the connector cannot pass this proof yet; empty when it must."""
    return DRIVERS[proof.system].profile.missing.get(proof.case.name, "")


@pytest.mark.parametrize("proof", [p for p in PROOFS if not missing(p)], ids=str)
def test_the_system_conforms(proof: Proof, lender: Lender) -> None:
    proof.run(lender.bench(proof.system))


def test_what_is_missing_is_held_and_still_missing(lender: Lender) -> None:
    """When this fails the connector can do it: take the case out of the profile's `missing`."""
    for proof in filter(missing, PROOFS):
        bench = lender.bench(proof.system)
        with pytest.raises(AssertionError, match="held: the books differ"):
            proof.run(bench)


def test_every_system_has_an_erp_to_be_tried_with() -> None:
    assert set(DRIVERS) == set(SYSTEMS), "write its driver: docs/add-a-system.md"


@pytest.mark.parametrize("system", TRIED)
def test_a_case_that_is_not_tried_has_a_reason(system: str) -> None:
    lacks = DRIVERS[system].profile.lacks
    tried = {proof.case.name for proof in PROOFS if proof.system == system}
    assert tried | set(lacks) == {case.name for case in CASES}
    assert all(reason.endswith(".") and len(reason.split()) >= 5 for reason in lacks.values())


@pytest.mark.parametrize("system", TRIED)
def test_every_misbehaviour_that_the_erp_offers_is_tried(system: str, lender: Lender) -> None:
    erp = lender.erp(system)
    assert {each.name for each in erp.profile.misbehaviours} == erp.misbehaviours()
