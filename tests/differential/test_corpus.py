"""The corpus comes to the same on the embedded engine and on workerd, except where docs/differences.md says so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.differential.sections import SECTIONS

if TYPE_CHECKING:
    from tests.differential.cases import Section
    from tests.differential.compare import Pair

DOCUMENT = Path(__file__).parents[2] / "docs" / "differences.md"
LISTED = re.findall(r"^\| `([^`]+)` \|", DOCUMENT.read_text(), re.MULTILINE)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.name)
def test_a_section_agrees_but_for_what_is_listed(pair: Pair, section: Section) -> None:
    found = pair.differences(section)
    print(f"{section.name}: {len(section.cases) - len(found)} of {len(section.cases)} cases agree")
    for difference in found:
        print(difference)
    assert {difference.key for difference in found} == {key for key in LISTED if key.startswith(f"{section.name}: ")}


def test_the_document_lists_cases_of_the_corpus_once() -> None:
    names = {f"{section.name}: {case.name}" for section in SECTIONS for case in section.cases}
    assert len(LISTED) == len(set(LISTED))
    assert set(LISTED) <= names


def test_the_corpus_is_as_large_as_promised() -> None:
    assert sum(len(section.cases) for section in SECTIONS) >= 600
