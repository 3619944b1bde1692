"""Files become a catalog, or an error that names them."""

from __future__ import annotations

import pytest

from d1ops.core.catalog import build_catalog
from d1ops.errors import (
    CatalogError,
    DuplicateNumber,
    NoRollbackScript,
    ScriptError,
    UnknownMigration,
    UnpairedRollback,
)

SQL = b"CREATE TABLE t (a);\n"


def test_the_order_is_that_of_the_numbers_not_of_the_text() -> None:
    catalog = build_catalog({"10_ten.sql": SQL, "9_nine.sql": SQL, "0011_eleven.sql": SQL}, {})
    assert [m.file for m in catalog.migrations] == ["9_nine.sql", "10_ten.sql", "0011_eleven.sql"]
    assert [(m.label, m.name) for m in catalog.migrations] == [("9", "nine"), ("10", "ten"), ("0011", "eleven")]


@pytest.mark.parametrize("wanted", ["7", "0007", "0007_clerk.sql", "0007_clerk", "clerk"])
def test_a_migration_is_found_by_number_name_or_file(wanted: str) -> None:
    catalog = build_catalog({"0007_clerk.sql": SQL, "0008_other.sql": SQL}, {"0007_rollback.sql": SQL})
    assert catalog.find(wanted).number == 7
    assert catalog.find(wanted).rollback is not None


def test_an_unknown_number_says_what_the_newest_is() -> None:
    with pytest.raises(UnknownMigration, match=r"no migration is numbered 9; the newest is 0007"):
        build_catalog({"0007_clerk.sql": SQL}, {}).find("9")


def test_two_files_with_one_number_are_refused_even_when_padded_otherwise() -> None:
    with pytest.raises(DuplicateNumber, match=r"number 7 is used by 2 files: db/migrations/0007_a.sql, .*/7_b.sql"):
        build_catalog({"0007_a.sql": SQL, "7_b.sql": SQL}, {})


def test_a_rollback_script_without_a_migration_is_refused() -> None:
    with pytest.raises(UnpairedRollback, match=r"db/rollbacks/0008_rollback.sql has no migration numbered 8"):
        build_catalog({"0007_a.sql": SQL}, {"0008_rollback.sql": SQL})


@pytest.mark.parametrize("file", ["0006_x.down.sql", "0006_rollback.sql", "0006_x.DOWN.SQL"])
def test_a_down_file_among_the_migrations_is_refused(file: str) -> None:
    with pytest.raises(CatalogError, match=r"wrangler would run it as a migration"):
        build_catalog({"0006_x.sql": SQL, file: SQL}, {})


def test_a_name_without_a_number_is_refused() -> None:
    with pytest.raises(CatalogError, match=r"db/migrations/seed.sql has no number"):
        build_catalog({"seed.sql": SQL}, {})


def test_a_script_is_read_only_when_it_is_needed() -> None:
    catalog = build_catalog({"0001_a.sql": SQL, "0002_broken.sql": b"SELECT 'x"}, {})
    assert catalog.migrations[0].script.statements[0].sql == "CREATE TABLE t (a)"
    with pytest.raises(ScriptError, match=r"db/migrations/0002_broken.sql:1:8: a string opens here"):
        _ = catalog.migrations[1].script.statements


def test_an_irreversible_migration_says_why_it_has_no_way_back() -> None:
    marked = b"-- d1ops: irreversible the old prices are gone\nDELETE FROM prices;\n"
    quoted = b"INSERT INTO t VALUES ('-- d1ops: irreversible no');\n"
    catalog = build_catalog({"0001_a.sql": marked, "0002_b.sql": quoted, "0003_c.sql": SQL}, {"0002_rollback.sql": SQL})
    with pytest.raises(NoRollbackScript, match=r"marked irreversible: the old prices are gone"):
        catalog.find("1").rollback_script("db/rollbacks/0001_rollback.sql")
    assert catalog.find("2").rollback_script("x").data == SQL
    with pytest.raises(NoRollbackScript) as caught:
        catalog.find("3").rollback_script("db/rollbacks/0003_rollback.sql")
    assert caught.value.hint == "write db/rollbacks/0003_rollback.sql"
