"""Reading and writing JSON quickly gives what the standard library gives."""

from __future__ import annotations

import json
import math
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.core.quick_json import dumps, loads

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

TEXTS = st.text(st.characters(exclude_categories=())) | st.sampled_from(["", "\0", "\ufeff", "\u2028", '"\\/\n'])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.booleans())
def test_what_the_standard_library_writes_is_read_as_it_reads_it(value: Json, is_ascii: bool) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii)
    assert repr(loads(text)) == repr(json.loads(text))


@given(VALUES)
def test_what_is_written_is_read_by_the_standard_library(value: Json) -> None:
    assert repr(json.loads(dumps(value))) == repr(value)


@given(st.text("0123456789eE+-.", min_size=1, max_size=25))
def test_numbers_in_any_spelling(text: str) -> None:
    try:
        wanted = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            loads(text)
    else:
        assert repr(loads(text)) == repr(wanted)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[1,]", b"NaN", b"-Infinity", b'{"a": NaN}', b"01", b'"\n"', b"\xff", b"[]x"]
)
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(text)


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(RecursionError):
        loads(b"[" * 1_000_000)


def test_bodies_of_odd_encodings_and_large_numbers() -> None:
    assert loads('["a"]'.encode("utf-16")) == ["a"]
    assert loads(b"1e400") == math.inf
    assert loads(b'{"a": 1, "a": 2}') == {"a": 2}


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(TypeError):
        dumps({"a": object()})
