"""Folders of migrations as projects have them: the same files in the same order as real wrangler, or refused."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from d1ops.errors import CatalogError
from d1ops.ops.workspace import read_catalog
from tests.support.node import NODE, WRANGLER, node_environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from d1ops.core.catalog import Catalog

SQL = "CREATE TABLE t{0} (id INTEGER PRIMARY KEY, note TEXT);\n"
DOWN = "DROP TABLE t{0};\n"
JOURNAL = {"version": "7", "dialect": "sqlite"}


def journal(*tags: str) -> str:
    entries = [{"idx": n, "version": "6", "when": n, "tag": tag, "breakpoints": True} for n, tag in enumerate(tags)]
    return json.dumps({**JOURNAL, "entries": entries})


DRIZZLE = (
    "CREATE TABLE `a` (\n\t`id` integer PRIMARY KEY NOT NULL\n);\n--> statement-breakpoint\n"
    "CREATE INDEX `i` ON `a` (`id`);"
)
PLAIN = "migrations/*.sql"
FOLDERS = "migrations/*/migration.sql"

READ: dict[str, tuple[str, dict[str, str], list[str], int]] = {
    "wrangler": (
        PLAIN,
        {"0001_init.sql": SQL.format(1), "0002_more.sql": SQL.format(2), "README.md": "#", ".hidden.sql": "x"},
        ["0001_init.sql", "0002_more.sql"],
        0,
    ),
    "without padding": (
        PLAIN,
        {"10_b.sql": SQL.format(10), "9_c.sql": SQL.format(9), "1_a.sql": SQL.format(1), "0011_d.sql": SQL.format(11)},
        ["1_a.sql", "9_c.sql", "10_b.sql", "0011_d.sql"],
        0,
    ),
    "times as numbers": (
        PLAIN,
        {
            "20240101120000_a.sql": SQL.format(1),
            "20231231235959-b.sql": SQL.format(2),
            "20240101120001.c.sql": "SELECT 1;",
        },
        ["20231231235959-b.sql", "20240101120000_a.sql", "20240101120001.c.sql"],
        0,
    ),
    "rollbacks below the migrations": (
        PLAIN,
        {"0001_a.sql": SQL.format(1), "rollbacks/0001_rollback.sql": DOWN.format(1)},
        ["0001_a.sql"],
        1,
    ),
    "drizzle": (
        PLAIN,
        {
            "0000_calm_hulk.sql": DRIZZLE,
            "0001_odd_fox.sql": SQL.format(1),
            "meta/_journal.json": journal("0000_calm_hulk", "0001_odd_fox"),
            "meta/0000_snapshot.json": "{}",
        },
        ["0000_calm_hulk.sql", "0001_odd_fox.sql"],
        0,
    ),
    "prisma": (
        FOLDERS,
        {
            "20240102000000_more/migration.sql": SQL.format(2),
            "20240101000000_init/migration.sql": SQL.format(1),
            "20240101000000_init/down.sql": DOWN.format(1),
            "migration_lock.toml": 'provider = "sqlite"\n',
        },
        ["20240101000000_init/migration.sql", "20240102000000_more/migration.sql"],
        1,
    ),
}

REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "one number twice": ({"0001_a.sql": "x", "1_b.sql": "x"}, r"number 1 is used by 2 files"),
    "no number": ({"0001_a.sql": "x", "seed.sql": "x"}, r"migrations/seed.sql has no number"),
    "an ending wrangler does not take": ({"0001_a.SQL": "x"}, r"migrations/0001_a.SQL ends in .SQL"),
    "down files": ({"0001_a.up.sql": "x", "0001_a.down.sql": "x"}, r"wrangler would run it as a migration"),
    "two layouts": (
        {"0001_a.sql": "x", "20240101_b/migration.sql": "x"},
        r"files such as 0001_a.sql and folders such as 20240101_b",
    ),
    "folders of another tool": ({"2024_a/up.sql": "x", "2024_a/down.sql": "x"}, r"migrations/2024_a holds down.sql"),
    "another engine": (
        {"2024_a/migration.sql": "x", "migration_lock.toml": 'provider = "postgresql"\n'},
        r"migration_lock.toml names postgresql, and D1 runs SQLite",
    ),
    "another order in the journal": (
        {"0000_a.sql": "x", "0001_b.sql": "x", "meta/_journal.json": journal("0001_b", "0000_a")},
        r"_journal.json runs 0001_b where wrangler, which goes by the number of the file, runs 0000_a",
    ),
    "a file that the journal misses": (
        {"0000_a.sql": "x", "meta/_journal.json": journal("0000_a", "0001_b")},
        r"_journal.json lists 0001_b, and there is no such migration",
    ),
    "a broken journal": ({"0000_a.sql": "x", "meta/_journal.json": "[]"}, r"is not a journal of drizzle-kit"),
    "rollbacks in two places": (
        {"2024_a/migration.sql": "x", "2024_a/down.sql": "x", "rollbacks/2024_rollback.sql": "x"},
        r"rollback scripts are in .* and beside their migrations",
    ),
}


def write(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / "migrations" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def read(root: Path) -> Catalog:
    return read_catalog(root, "migrations", "rollbacks")


@pytest.mark.parametrize("layout", READ)
def test_a_layout_is_read_as_real_wrangler_reads_it(layout: str, tmp_path: Path) -> None:
    pattern, files, expected, rollbacks = READ[layout]
    catalog = read(write(tmp_path, files))
    assert [migration.file for migration in catalog.migrations] == expected == listed_by_wrangler(tmp_path, pattern)
    assert sum(migration.rollback is not None for migration in catalog.migrations) == rollbacks
    assert all(migration.script.statements for migration in catalog.migrations)


@pytest.mark.parametrize("layout", REFUSED)
def test_what_cannot_be_read_rightly_is_refused_with_the_reason(layout: str, tmp_path: Path) -> None:
    files, reason = REFUSED[layout]
    with pytest.raises(CatalogError, match=reason) as caught:
        read(write(tmp_path, files))
    assert caught.value.hint


def test_a_statement_breakpoint_is_a_comment(tmp_path: Path) -> None:
    catalog = read(write(tmp_path, READ["drizzle"][1]))
    assert [s.verb for s in catalog.migrations[0].script.statements] == ["CREATE", "CREATE"]


def listed_by_wrangler(root: Path, pattern: str) -> list[str]:
    (root / "wrangler.json").write_text(
        json.dumps(
            {
                "name": "layouts",
                "compatibility_date": "2026-11-01",
                "d1_databases": [
                    {
                        "binding": "DB",
                        "database_name": "app",
                        "database_id": "11111111-1111-1111-1111-111111111111",
                        "migrations_dir": "migrations",
                        "migrations_pattern": pattern,
                    }
                ],
            }
        )
    )
    done = subprocess.run(
        [str(NODE), str(WRANGLER), "d1", "migrations", "list", "app", "--local"],
        cwd=root,
        env=node_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"│ (\S+\.sql)\s*│", done.stdout)
