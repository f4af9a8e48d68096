"""What signed the requests of a run: kept with its end, added up over interruptions, found again."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import pytest

CREDENTIAL, FIRST, SECOND = uuid4(), uuid4(), uuid4()


def signed(office: Any, make: Any, uses: dict[Any, int], *records: Any, **wanted: Any) -> Any:
    """A run that is published and that these tokens signed."""
    with office.run(**wanted) as run:
        make.stage(run, *records)
        run.tie_out(office.totals(run), {})

        def also(connection: psycopg.Connection[Any]) -> None:
            tokens = {token: count for token, count in uses.items() if token}
            run.signed(connection, CREDENTIAL, uses=uses.get(None, 0), tokens=tokens)

        run.publish(also)
    return run


def kept(office: Any, **narrowed: Any) -> list[tuple[int, Any, int]]:
    return [(one.number, one.token_id, one.uses) for one in office.store.run_tokens(1, **narrowed)]


def test_what_signed_a_run_is_kept_and_found_by_run_token_and_document(office: Any, make: Any) -> None:
    invoice, other = make.document(), make.document("1800000013")
    signed(office, make, {FIRST: 3, SECOND: 2}, invoice, make.item())
    signed(office, make, {SECOND: 5}, other, make.item("1800000013"))
    assert kept(office) == [
        (2, SECOND, 5),
        *sorted([(1, FIRST, 3), (1, SECOND, 2)], key=lambda one: str(one[1])),
    ]
    assert kept(office, number=2) == [(2, SECOND, 5)]
    assert kept(office, token_id=FIRST) == [(1, FIRST, 3)]
    assert kept(office, document="1800000013") == [(2, SECOND, 5)]
    assert kept(office, document="1") == []
    assert kept(office, connector_id=2) == []


def test_a_document_that_has_changed_is_found_as_it_was_too(office: Any, make: Any) -> None:
    signed(office, make, {FIRST: 1}, make.document(), make.item())
    signed(office, make, {SECOND: 1}, make.document(reference="changed"))
    assert kept(office, document="1800000012") == [(2, SECOND, 1), (1, FIRST, 1)]


def test_the_parts_of_an_interrupted_run_add_up(office: Any, make: Any) -> None:
    with office.run() as run, psycopg.connect(office.url("encours_app")) as connection:
        connection.execute("select set_config('app.tenant', '1', true)")
        run.signed(connection, CREDENTIAL, uses=4, tokens={FIRST: 4})
    signed(office, make, {FIRST: 6}, make.document(), make.item())
    assert kept(office) == [(1, FIRST, 10)]


def test_a_kind_without_tokens_is_kept_by_its_credential(office: Any, make: Any) -> None:
    signed(office, make, {None: 7}, make.document(), make.item())
    (one,) = office.store.run_tokens(1)
    assert (one.credential_id, one.token_id, one.uses) == (CREDENTIAL, None, 7)
    (last,) = office.store.last_runs(1)
    assert (last.credential_id, last.number) == (CREDENTIAL, 1)


def test_another_tenant_sees_nothing_of_it(office: Any, make: Any) -> None:
    signed(office, make, {FIRST: 1}, make.document(), make.item())
    assert office.store.run_tokens(2) == []
    assert office.store.last_runs(2) == []


def test_proof_is_not_changed_afterwards(office: Any, make: Any) -> None:
    signed(office, make, {FIRST: 1}, make.document(), make.item())
    for change in ("update receivables.run_token set uses = 2", "delete from receivables.run_token"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            office.sql(change)
