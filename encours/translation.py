"""Identity's errors as the hub's own: the hub is the only place where the two meet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from identity.errors import Denied, NeedsConsent, TryLater
from receivables.errors import Misconfigured, Transient


@contextmanager
def translated(key: str) -> Iterator[None]:
    """Identity's errors as the hub's own, with the connector's name and the provider's code."""
    try:
        yield
    except TryLater as error:
        raise Transient(_naming(key, error)) from error
    except (NeedsConsent, Denied) as error:
        raise Misconfigured(_naming(key, error)) from error


def _naming(key: str, error: Exception) -> str:
    """The error's sentence with the connector's name, which it may have already."""
    sentence = str(error)
    return sentence if sentence.startswith((f"{key}:", f"{key} ")) else f"{key}: {sentence}"
