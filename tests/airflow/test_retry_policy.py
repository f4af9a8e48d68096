"""What Airflow does with each of our errors."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk.definitions.retry_policy import RetryAction

from encours.airflow.retry import HubRetryPolicy
from receivables import errors


@pytest.mark.parametrize(
    ("error", "action", "delay"),
    [
        (errors.Transient("the ERP answers 503"), RetryAction.RETRY, None),
        (errors.RateLimited("not now", retry_after=90), RetryAction.RETRY, timedelta(seconds=90)),
        (errors.Fatal("no"), RetryAction.FAIL, None),
        (errors.Misconfigured("wrong password"), RetryAction.FAIL, None),
        (errors.Rejected("NaN"), RetryAction.FAIL, None),
        (errors.Conflict("running since 10:02"), RetryAction.FAIL, None),
        (errors.Unreadable("amount_scale", "Amount", "3 decimals"), RetryAction.FAIL, None),
        (ConnectionError("the database restarts"), RetryAction.DEFAULT, None),
    ],
)
def test_the_errors_class_decides(error: Exception, action: RetryAction, delay: timedelta | None) -> None:
    decision = HubRetryPolicy().evaluate(error, try_number=1, max_tries=5)
    assert (decision.action, decision.retry_delay) == (action, delay)
    assert decision.reason == (None if action is RetryAction.DEFAULT else str(error))


def test_every_error_of_ours_has_a_verdict() -> None:
    tree = [errors.HubError]
    for kind in tree:
        tree.extend(kind.__subclasses__())
    for kind in tree:
        error = kind.__new__(kind)
        error.retry_after = 1.0  # type: ignore[attr-defined]
        assert HubRetryPolicy().evaluate(error, 1, 5).action in {RetryAction.RETRY, RetryAction.FAIL}, kind
