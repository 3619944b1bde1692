"""`baseline` as it is typed: consent, dry runs, documents, and what it leaves in `status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import MIGRATIONS
from tests.cli.terminal import Terminal

if TYPE_CHECKING:
    from tests.cli.shell import Shell


@pytest.fixture
def adopted_by_hand(project: Shell) -> Shell:
    """Two of three files ran, and nobody recorded it."""
    for name in ("0001_base.sql", "0002_clerk.sql"):
        project.write(*(text for text in MIGRATIONS[name].split(";\n") if text))
    return project


def test_it_says_what_it_would_record_and_records_it(adopted_by_hand: Shell) -> None:
    shell = adopted_by_hand
    assert "go on: d1ops baseline --env dev" in shell.ok("status").out
    dry = shell.ok("baseline", "--dry-run")
    assert dry.out == (
        "the schema of the target is that of the migrations up to 0002_clerk.sql; to be recorded:\n"
        "  0001_base.sql   pending  ledger row and checksum\n"
        "  0002_clerk.sql  pending  ledger row and checksum\n"
        "\n"
        "nothing was changed; d1ops baseline --env dev does it\n"
    )
    document = shell.ok("baseline", "--yes", "--format", "json").json
    assert document["baseline"]["to"] == "0002_clerk.sql"
    assert [event["kind"] for event in document["adopted"]["events"]] == ["baseline", "baseline"]
    status = shell.ok("status", "--format", "json").json
    assert [each["state"] for each in status["migrations"]] == ["applied", "applied", "pending"]
    assert status["conditions"] == []
    assert shell.ok("baseline").out == "nothing to do: 2 migrations applied and verified\n"


def test_without_consent_nothing_is_written(adopted_by_hand: Shell) -> None:
    before = adopted_by_hand.tree()
    assert adopted_by_hand("baseline").code == 5
    assert adopted_by_hand("baseline", "--confirm", "live").code == 5
    with Terminal(adopted_by_hand.root, "baseline") as terminal:
        terminal.until("Record 2 migrations on data/dev.sqlite? [y/N]")
        terminal.type("n")
        assert terminal.end() == 5
    assert adopted_by_hand.tree() == before


def test_a_protected_env_wants_its_name(adopted_by_hand: Shell) -> None:
    adopted_by_hand.configure("dev", protected=True)
    assert adopted_by_hand("baseline", "--yes").code == 5
    adopted_by_hand.ok("baseline", "--confirm", "dev")


def test_no_prefix_is_a_refusal_and_in_a_dry_run_a_no(adopted_by_hand: Shell) -> None:
    adopted_by_hand.write("CREATE TABLE extra (a)")
    refused = adopted_by_hand("baseline", "--yes", "--format", "json")
    assert refused.code == 5
    assert refused.json["refused"]["type"] == "NoPrefix"
    assert refused.json["baseline"] == {
        "nearest": "0002_clerk.sql",
        "differences": ["table extra is only on the target"],
    }
    dry = adopted_by_hand("baseline", "--dry-run")
    assert dry.code == 1
    assert "nearest is up to 0002_clerk.sql: table extra is only on the target" in dry.err


def test_restore_takes_a_point_or_resumes(filled: Shell) -> None:
    assert filled("restore").code == 2
    assert filled("restore", "x", "--resume").code == 2
    assert filled.ok("restore", "--resume").out == "nothing to do: no restore was cut off\n"


def test_what_is_serious_is_not_clean(filled: Shell) -> None:
    assert filled("status", "--exit-code").code == 0
    filled.write("CREATE TABLE d1ops_guard (what INTEGER PRIMARY KEY, n)")
    ended = filled("status", "--exit-code")
    assert ended.code == 1
    assert "guard left behind: d1ops_guard lives inside of a batch only" in ended.out
    assert "go on: d1ops doctor --probe --env dev" in ended.out
