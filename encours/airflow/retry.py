"""When Airflow runs a failed sync again: our errors are named after what to do next, so they decide.

Refuses to retry what a person must change first. An error that is none of ours (a database that restarts,
an Airflow that does not answer yet) keeps the task's own retries.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import RetryPolicy
from airflow.sdk.definitions.retry_policy import RetryDecision

from receivables.errors import HubError, RateLimited, Transient

if TYPE_CHECKING:
    from airflow.sdk import Context


class HubRetryPolicy(RetryPolicy):
    """Transient is tried again, RateLimited not before its `retry_after` seconds, everything Fatal never."""

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002  the signature is Airflow's
        max_tries: int,  # noqa: ARG002
        context: Context | None = None,  # noqa: ARG002
    ) -> RetryDecision:
        """Decides by the error's class; the reason is its sentence."""
        if isinstance(exception, RateLimited):
            return RetryDecision.retry(timedelta(seconds=exception.retry_after), str(exception))
        if isinstance(exception, Transient):
            return RetryDecision.retry(reason=str(exception))
        if isinstance(exception, HubError):
            return RetryDecision.fail(str(exception))
        return RetryDecision.default()
