"""Secrets show nothing of themselves, in any of the ways Python shows values."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import msgspec
import pytest

from identity.kinds import Basic
from identity.secret import Key, Secret

CANARY = "s3cr3t-canary"

SHOWN: dict[str, Callable[[Any], str]] = {
    "repr": repr,
    "str": str,
    "format": lambda value: f"{value}",
    "format_spec": lambda value: f"{value:>40}",
    "percent": lambda value: "%s %r" % (value, value),  # noqa: UP031
    "in_a_list": lambda value: repr([value]),
    "in_a_dataclass": lambda value: repr(Basic("ENCOURS", value)),
    "asdict": lambda value: repr(asdict(Basic("ENCOURS", value))),
    "copy": lambda value: repr(copy.copy(value)),
    "deepcopy": lambda value: repr(copy.deepcopy(value)),
    "json_default": lambda value: json.dumps({"password": value}, default=str),
    "dir": lambda value: repr(dir(value)),
}


@pytest.mark.parametrize("way", SHOWN)
def test_shown_text_holds_nothing(way: str) -> None:
    shown = SHOWN[way](Secret(CANARY))
    assert CANARY not in shown
    assert SHOWN["repr"](CANARY) == repr(CANARY), "the same check finds what is not wrapped"


@pytest.mark.parametrize("dump", [pickle.dumps, json.dumps, msgspec.json.encode, vars])
def test_refuses_to_be_serialised(dump: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError) as raised:
        dump(Secret(CANARY))
    assert CANARY not in str(raised.value)


def test_a_copy_is_the_same_secret() -> None:
    assert copy.deepcopy(Secret(CANARY)).reveal() == CANARY


def test_equality_and_no_hash() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert Key(b"a") != Secret("a")
    with pytest.raises(TypeError, match="unhashable"):
        hash(Secret("a"))


def test_a_key_is_hidden_too() -> None:
    key = Key(b"0123456789abcdef0123456789abcdef")
    assert repr(key) == "Key(***)"
    assert key.reveal().startswith(b"0123")
