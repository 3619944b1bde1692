"""The pages about commands, exit codes and JSON say what is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from d1ops.cli.reference import commands_page, exit_codes_page
from tests.cli.conftest import DANGEROUS
from tests.cli.shell import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.shell import Shell

DOCS = REPOSITORY / "docs"
REWRITE = "python -m d1ops.cli.reference writes it anew"


def test_the_generated_pages_are_up_to_date() -> None:
    assert (DOCS / "commands.md").read_text() == commands_page(), REWRITE
    assert (DOCS / "exit-codes.md").read_text() == exit_codes_page(), REWRITE


def sections() -> dict[str, set[str]]:
    """The fields that docs/json.md describes, by the title of the section."""
    found: dict[str, set[str]] = {}
    for part in (DOCS / "json.md").read_text().split("\n## ")[1:]:
        title, _, body = part.partition("\n")
        for name in title.split(", "):
            found[name] = set(re.findall(r"^\| `([^`]+)` \|", body, re.MULTILINE))
    return found


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """The paths of the fields of a document that hold no other field, in the form of docs/json.md."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for item in value:
            yield from leaves(item, f"{path}[]")
    else:
        yield path


def is_described(path: str, known: set[str]) -> bool:
    """Whether a field stands there itself, is the empty form of one whose parts do, or is part of one that is
    described as a whole, by reference to another section."""
    parts = tuple(field for field in known if field.startswith((f"{path}.", f"{path}[]")))
    wholes = {field for field in known if not any(other.startswith((f"{field}.", f"{field}[]")) for other in known)}
    return path in known or bool(parts) or any(path.startswith((f"{field}.", f"{field}[]")) for field in wholes)


@pytest.mark.parametrize(
    ("title", "argv"),
    [
        ("status", ("status",)),
        ("plan", ("plan",)),
        ("migrate", ("migrate", "--yes")),
        ("rehearse", ("rehearse", "0002")),
        ("baseline", ("baseline", "--to", "3", "--yes")),
        ("baseline", ("baseline", "--dry-run")),
        ("restore", ("restore", "--resume")),
        ("rollback", ("rollback", "0002", "--yes")),
        ("rollback", ("rollback", "0001", "--yes")),
        ("restore", ("restore", "BACKUP", "--yes")),
        ("restore", ("restore", "BACKUP", "--into", "copy.sqlite")),
        ("query", ("query", "SELECT 1")),
        ("history", ("history",)),
        ("audit", ("audit",)),
        ("doctor", ("doctor",)),
        ("check", ("check",)),
        ("check", ("check", "0002")),
        ("backup create", ("backup", "create")),
        ("backup list", ("backup", "list")),
        ("backup verify", ("backup", "verify", "BACKUP")),
        ("backup prune", ("backup", "prune", "--keep-last", "0", "--yes")),
        ("docs", ("docs",)),
        ("new", ("new", "venues")),
        ("rollback-script", ("rollback-script", "0002")),
        ("rollback-script", ("rollback-script", "0001", "--compare")),
        ("sample", ("sample", "--rows", "2", "--yes")),
    ],
)
def test_every_field_of_every_document_is_described(filled: Shell, title: str, argv: tuple[str, ...]) -> None:
    known = sections()
    backup = filled.ok("backup", "create", "--format", "json").json["backup"]["id"]
    filled.migration("0004_wide.sql", "UPDATE users SET email = NULL;\n")
    filled.rollback("0001_rollback.sql", DANGEROUS)
    filled.write("DROP INDEX artists_user")
    document = filled(*(backup if word == "BACKUP" else word for word in argv), "--format", "json").json
    described = known[title] | known["Every document"] | known["Errors"]
    facts = ("error.", "refused.")
    assert {
        path for path in leaves(document) if not is_described(path, described) and not path.startswith(facts)
    } == set()


def test_the_fields_whose_names_are_fixed_are_there(filled: Shell) -> None:
    status = filled.ok("status", "--format", "json").json
    assert {"env", "target", "migrations"} <= set(status)
    assert {"number", "name", "state"} <= set(status["migrations"][0])
    audit = filled("audit", "--format", "json").json
    assert {"findings", "summary"} <= set(audit)
    assert {"foreign_keys", "indexed_foreign_keys"} <= set(audit["summary"])
    assert {"rule", "severity", "table", "columns", "message", "remedy", "fix_sql"} <= set(audit["findings"][0])
    rollback = filled.ok("rollback", "0002", "--yes", "--format", "json").json
    assert {"plan", "blast_radius", "refused", "backup"} <= set(rollback)
    assert {"table", "rows_before", "rows_after", "rows_lost", "causes"} <= set(rollback["blast_radius"][0])
