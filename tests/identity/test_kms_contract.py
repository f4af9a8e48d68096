"""What every key service must do, whoever keeps the keys: a new one is added to SERVICES and passes.

Each broken service below is caught by a case, so the contract is known to look.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from identity.errors import Denied
from identity.kms import LocalKms
from identity.ports import Kms, Wrapped
from identity.secret import Key

DATA_KEY = Key(bytes(range(32)))
CONTEXT = b"encours|1|row|wrapped_key"

Open = Callable[[], Kms]  # the same service, as another process sees it


def what_is_wrapped_opens_elsewhere(service: Open) -> None:
    wrapped = service().wrap(DATA_KEY, CONTEXT, ())
    assert wrapped.version == service().current()
    assert service().unwrap(wrapped, CONTEXT) == DATA_KEY


def what_is_wrapped_shows_nothing(service: Open) -> None:
    first, again = (service().wrap(DATA_KEY, CONTEXT, known) for known in ((), [_used(service)]))
    assert DATA_KEY.reveal() not in first.ciphertext + again.ciphertext
    assert first.ciphertext != again.ciphertext


def another_place_or_another_byte_is_refused(service: Open) -> None:
    version, text = service().wrap(DATA_KEY, CONTEXT, ())
    changed = bytes([text[0] ^ 1]) + text[1:]
    for wrapped, context in [
        (Wrapped(version, text), b"encours|2|row|wrapped_key"),
        (Wrapped(version, changed), CONTEXT),
        (Wrapped(version, text[:-1]), CONTEXT),
        (Wrapped(version, b""), CONTEXT),
    ]:
        assert _refusal(partial(service().unwrap, wrapped, context)) == "sealed_changed"


def a_service_without_a_known_key_is_the_wrong_one(service: Open) -> None:
    kms = service()
    for known in (["7-of-another-service"], [_used(service), "7-of-another-service"]):
        _refusal(partial(kms.wrap, DATA_KEY, CONTEXT, known))
        _refusal(partial(kms.rotate, known))
    wrapped = kms.wrap(DATA_KEY, CONTEXT, [_used(service)])
    _refusal(lambda: kms.unwrap(Wrapped("7-of-another-service", wrapped.ciphertext), CONTEXT))


def a_rotation_keeps_what_was_wrapped(service: Open) -> None:
    before = service().wrap(DATA_KEY, CONTEXT, ())
    version = service().rotate([before.version])
    after = service().wrap(DATA_KEY, CONTEXT, [before.version, version])
    assert before.version != version == after.version == service().current()
    assert [service().unwrap(one, CONTEXT) for one in (before, after)] == [DATA_KEY, DATA_KEY]
    assert (
        _refusal(lambda: service().unwrap(Wrapped(version, before.ciphertext), CONTEXT)) == "sealed_changed"
    )


def two_rotations_at_once_lose_no_key(service: Open) -> None:
    first = service().wrap(DATA_KEY, CONTEXT, ())
    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(lambda _: service().rotate([first.version]), range(4)))
    assert len({first.version, *versions}) == 5
    service().wrap(DATA_KEY, CONTEXT, [first.version, *versions])


CASES = [
    what_is_wrapped_opens_elsewhere,
    what_is_wrapped_shows_nothing,
    another_place_or_another_byte_is_refused,
    a_service_without_a_known_key_is_the_wrong_one,
    a_rotation_keeps_what_was_wrapped,
    two_rotations_at_once_lose_no_key,
]
SERVICES: dict[str, Callable[[Path], Kms]] = {"local": lambda folder: LocalKms(folder / "key")}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", SERVICES)
def test_the_service_keeps_the_contract(name: str, case: Callable[[Open], None], tmp_path: Path) -> None:
    case(lambda: SERVICES[name](tmp_path))


class BlindToContext(LocalKms):
    def wrap(self, data_key: Key, context: bytes, known: Collection[str]) -> Wrapped:  # noqa: ARG002
        return super().wrap(data_key, b"", known)

    def unwrap(self, wrapped: Wrapped, context: bytes) -> Key:  # noqa: ARG002
        return super().unwrap(wrapped, b"")


class BlindToKnown(LocalKms):
    def wrap(self, data_key: Key, context: bytes, known: Collection[str]) -> Wrapped:  # noqa: ARG002
        return super().wrap(data_key, context, ())


class BlindToVersion(LocalKms):
    def unwrap(self, wrapped: Wrapped, context: bytes) -> Key:
        return super().unwrap(Wrapped(self.current(), wrapped.ciphertext), context)


class WithoutRotation(LocalKms):
    def rotate(self, known: Collection[str]) -> str:  # noqa: ARG002
        return self.current()


class InTheOpen(LocalKms):
    def wrap(self, data_key: Key, context: bytes, known: Collection[str]) -> Wrapped:
        return Wrapped(super().wrap(data_key, context, known).version, data_key.reveal())

    def unwrap(self, wrapped: Wrapped, context: bytes) -> Key:  # noqa: ARG002
        return Key(wrapped.ciphertext)


class Forgetful(LocalKms):
    """Starts anew at each rotation."""

    def rotate(self, known: Collection[str]) -> str:  # noqa: ARG002
        self._path.unlink(missing_ok=True)
        return super().wrap(DATA_KEY, CONTEXT, ()).version


@pytest.mark.parametrize(
    "broken", [BlindToContext, BlindToKnown, BlindToVersion, WithoutRotation, InTheOpen, Forgetful]
)
def test_the_contract_catches_a_broken_service(broken: type[LocalKms], tmp_path: Path) -> None:
    failed = []
    for case in CASES:
        folder = tmp_path / case.__name__
        folder.mkdir()
        try:
            case(partial(broken, folder / "key"))
        except (AssertionError, Denied, pytest.fail.Exception):
            failed.append(case.__name__)
    assert failed


def _used(service: Open) -> str:
    """The version that the service seals with, made by its first use."""
    return service().wrap(DATA_KEY, CONTEXT, ()).version


def _refusal(act: Callable[[], object]) -> str:
    with pytest.raises(Denied) as raised:
        act()
    return raised.value.code
