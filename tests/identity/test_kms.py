"""The local key file: made once, never open to others, never made anew where something was sealed."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from identity.errors import Denied
from identity.kms import LocalKms
from identity.ports import Wrapped
from identity.secret import Key

DATA_KEY = Key(bytes(range(32)))
CONTEXT = b"encours|1|row|column"


def test_first_use_makes_a_file_for_us_alone(kms: LocalKms, key_file: Path) -> None:
    before = os.umask(0)
    try:
        wrapped = kms.wrap(DATA_KEY, CONTEXT, ())
    finally:
        os.umask(before)
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert kms.unwrap(wrapped, CONTEXT) == DATA_KEY
    assert [path.name for path in key_file.parent.iterdir()] == ["key"], "nothing is left beside it"


def test_second_use_keeps_the_key(kms: LocalKms, key_file: Path) -> None:
    wrapped = kms.wrap(DATA_KEY, CONTEXT, ())
    content = key_file.read_bytes()
    again = kms.wrap(DATA_KEY, CONTEXT, [wrapped.version])
    assert key_file.read_bytes() == content
    assert again.version == wrapped.version
    assert again.ciphertext != wrapped.ciphertext, "the nonce is new each time"


def test_many_first_users_end_with_one_key(key_file: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        wrapped = list(pool.map(lambda _: LocalKms(key_file).wrap(DATA_KEY, CONTEXT, ()), range(8)))
    assert len({one.version for one in wrapped}) == 1
    assert all(LocalKms(key_file).unwrap(one, CONTEXT) == DATA_KEY for one in wrapped)


def test_file_gone_is_said_and_nothing_new_is_made(kms: LocalKms, key_file: Path) -> None:
    wrapped = kms.wrap(DATA_KEY, CONTEXT, ())
    key_file.unlink()
    for use in (lambda: kms.unwrap(wrapped, CONTEXT), lambda: kms.wrap(DATA_KEY, CONTEXT, [wrapped.version])):
        with pytest.raises(Denied, match="is gone") as raised:
            use()
        assert raised.value.code == "key_file_missing"
        assert str(key_file) in str(raised.value)
    assert not key_file.exists()


def test_another_installations_file_is_refused(kms: LocalKms, key_file: Path, tmp_path: Path) -> None:
    wrapped = kms.wrap(DATA_KEY, CONTEXT, ())
    other = LocalKms(tmp_path / "other")
    other.wrap(DATA_KEY, CONTEXT, ())
    (tmp_path / "other").replace(key_file)
    for use in (lambda: kms.unwrap(wrapped, CONTEXT), lambda: kms.wrap(DATA_KEY, CONTEXT, [wrapped.version])):
        with pytest.raises(Denied) as raised:
            use()
        assert raised.value.code == "key_unknown"
        assert wrapped.version in str(raised.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_file_others_can_reach_is_refused(kms: LocalKms, key_file: Path, mode: int) -> None:
    wrapped = kms.wrap(DATA_KEY, CONTEXT, ())
    key_file.chmod(mode)
    with pytest.raises(Denied, match="chmod 600") as raised:
        kms.unwrap(wrapped, CONTEXT)
    assert raised.value.code == "key_file_open"
    key_file.chmod(0o400)
    assert kms.unwrap(wrapped, CONTEXT) == DATA_KEY


DAMAGES: dict[str, Callable[[dict[str, object]], str | bytes]] = {
    "empty": lambda _: "",
    "cut": lambda told: json.dumps(told)[:-9],
    "not_json": lambda _: b"\xff\xfe\x00",
    "a_list": lambda _: "[]",
    "no_keys": lambda told: json.dumps({"current": told["current"]}),
    "keys_a_list": lambda told: json.dumps({**told, "keys": []}),
    "unknown_current": lambda told: json.dumps({**told, "current": "2-000000000000"}),
    "current_a_list": lambda told: json.dumps({**told, "current": []}),
    "another_key": lambda told: json.dumps({**told, "keys": {told["current"]: "A" * 43 + "="}}),
    "short_key": lambda told: json.dumps({**told, "keys": {told["current"]: "AAAA"}}),
    "no_base64": lambda told: json.dumps({**told, "keys": {told["current"]: "\u00e9"}}),
    "deep": lambda _: "[" * 60_000,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_said_to_be(kms: LocalKms, key_file: Path, damage: str) -> None:
    wrapped = kms.wrap(DATA_KEY, CONTEXT, ())
    content = DAMAGES[damage](json.loads(key_file.read_text()))
    key_file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(Denied, match="damaged") as raised:
        kms.unwrap(wrapped, CONTEXT)
    assert raised.value.code == "key_file_unreadable"


def test_a_folder_or_no_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    with pytest.raises(Denied, match="Is a directory"):
        LocalKms(tmp_path / "folder").wrap(DATA_KEY, CONTEXT, ())
    with pytest.raises(Denied, match="Its folder must exist"):
        LocalKms(tmp_path / "nowhere" / "key").wrap(DATA_KEY, CONTEXT, ())
    with pytest.raises(Denied, match="not a regular file"):
        LocalKms(Path("/dev/null")).wrap(DATA_KEY, CONTEXT, ())


def test_a_changed_or_moved_wrapping_does_not_open(kms: LocalKms) -> None:
    version, ciphertext = kms.wrap(DATA_KEY, CONTEXT, ())
    changed = bytes([ciphertext[0] ^ 1]) + ciphertext[1:]
    for wrapped, context in [
        (Wrapped(version, changed), CONTEXT),
        (Wrapped(version, ciphertext[:-1]), CONTEXT),
        (Wrapped(version, ciphertext[:5]), CONTEXT),
        (Wrapped(version, b""), CONTEXT),
        (Wrapped(version, ciphertext), CONTEXT + b"x"),
    ]:
        with pytest.raises(Denied) as raised:
            kms.unwrap(wrapped, context)
        assert raised.value.code == "sealed_changed"
