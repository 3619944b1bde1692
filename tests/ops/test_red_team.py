"""Scripts and targets made to lose data unseen, on the embedded database: each is refused by name, or does no harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw
import pytest

from d1ops.database.sqlite import open_copy
from d1ops.errors import BackupRefused, LedgerRefused, LossRefused, StatementRejected, TargetMoved
from d1ops.ops import backup as backups
from d1ops.ops import migrate, rollback
from d1ops.ops.change import Prepared
from d1ops.ops.look import look
from tests.support.project import YES

if TYPE_CHECKING:
    from tests.support.project import Project

PAIR = "CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT);\n"


def applied(project: Project, base: str, change: str, undo: str, *rows: str) -> Project:
    """Two applied migrations, the rollback script of the second, and rows written since."""
    project.write({"0001_base.sql": base, "0002_change.sql": change}, {"0002_rollback.sql": undo}).migrate()
    if rows:
        project.run(*rows)
    return project


def pending(project: Project, base: str, change: str, *rows: str) -> Project:
    """One applied migration, rows, and a second one that waits."""
    project.write({"0001_base.sql": base}).migrate()
    project.run(*rows)
    return project.write({"0002_change.sql": change})


def losses_of(project: Project) -> tuple[str, ...]:
    before = project.rows()
    with pytest.raises(LossRefused) as caught:
        project.rollback("2")
    assert project.rows() == before
    return caught.value.losses


def losses_of_migrate(project: Project) -> tuple[str, ...]:
    before = project.rows()
    with pytest.raises(LossRefused) as caught:
        project.migrate()
    assert project.rows() == before
    return caught.value.losses


# -- data that a migration moved is nobody's to lose -----------------------------------------------------

MOVES = {
    "table renamed": (
        PAIR,
        "ALTER TABLE a RENAME TO b;\n",
        "DROP TABLE b;\nCREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT);\n",
        ["INSERT INTO b VALUES (1, 'x')"],
        "b",
    ),
    "column renamed": (
        PAIR,
        "ALTER TABLE a RENAME COLUMN v TO w;\n",
        "ALTER TABLE a DROP COLUMN w;\nALTER TABLE a ADD COLUMN v TEXT;\n",
        ["INSERT INTO a VALUES (1, 'x')"],
        "a.w",
    ),
    "rows archived": (
        PAIR + "INSERT INTO a VALUES (1, 'x'), (2, 'y');\n",
        "CREATE TABLE b AS SELECT * FROM a;\nDELETE FROM a;\n",
        "INSERT INTO a SELECT * FROM b WHERE id = 1;\nDROP TABLE b;\n",
        [],
        "b",
    ),
    "column renamed, and a default in its place": (
        "CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT NOT NULL DEFAULT '-');\n",
        "ALTER TABLE a RENAME COLUMN v TO w;\n",
        "ALTER TABLE a DROP COLUMN w;\nALTER TABLE a ADD COLUMN v TEXT NOT NULL DEFAULT '-';\n",
        ["INSERT INTO a VALUES (1, 'x')"],
        "a.w",
    ),
    "columns made one, and others in their place": (
        "CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT NOT NULL, w TEXT NOT NULL);\n"
        "INSERT INTO a VALUES (1, 'x', 'y');\n",
        "ALTER TABLE a ADD COLUMN n TEXT;\nUPDATE a SET n = v || ' ' || w;\nALTER TABLE a DROP COLUMN v;\n"
        "ALTER TABLE a DROP COLUMN w;\n",
        "CREATE TABLE a2 (id INTEGER PRIMARY KEY, v TEXT NOT NULL, w TEXT NOT NULL);\n"
        "INSERT INTO a2 SELECT id, substr(n, 1, 1), 'unknown' FROM a;\nDROP TABLE a;\nALTER TABLE a2 RENAME TO a;\n",
        [],
        "a.n",
    ),
    "table moved, and only its keys brought back": (
        PAIR + "INSERT INTO a VALUES (1, 'x');\n",
        "CREATE TABLE b (id INTEGER PRIMARY KEY, v TEXT);\nINSERT INTO b SELECT * FROM a;\nDROP TABLE a;\n",
        "CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT);\nINSERT INTO a (id) SELECT id FROM b;\nDROP TABLE b;\n",
        [],
        "b",
    ),
    "table archived and made anew": (
        PAIR + "INSERT INTO a VALUES (1, 'x');\n",
        "CREATE TABLE b (id INTEGER PRIMARY KEY, v TEXT);\nINSERT INTO b SELECT * FROM a;\nDROP TABLE a;\n" + PAIR,
        "DROP TABLE b;\n",
        [],
        "b",
    ),
    "column moved by a copy": (
        PAIR + "INSERT INTO a VALUES (1, 'x');\n",
        "CREATE TABLE a2 (id INTEGER PRIMARY KEY, v TEXT, w TEXT);\n"
        "INSERT INTO a2 (id, v, w) SELECT id, NULL, v FROM a;\nDROP TABLE a;\nALTER TABLE a2 RENAME TO a;\n",
        "ALTER TABLE a DROP COLUMN w;\n",
        [],
        "a.w",
    ),
    "column moved by a copy that names no columns": (
        PAIR + "INSERT INTO a VALUES (1, 'x');\n",
        "CREATE TABLE a2 (id INTEGER PRIMARY KEY, v TEXT, w TEXT);\nINSERT INTO a2 SELECT id, NULL, v FROM a;\n"
        "DROP TABLE a;\nALTER TABLE a2 RENAME TO a;\n",
        "ALTER TABLE a DROP COLUMN w;\n",
        [],
        "a.w",
    ),
    "column emptied": (
        PAIR + "INSERT INTO a VALUES (1, 'x');\n",
        "ALTER TABLE a ADD COLUMN w;\nUPDATE a SET w = v, v = NULL;\n",
        "ALTER TABLE a DROP COLUMN w;\n",
        [],
        "a.w",
    ),
}


@pytest.mark.parametrize(("base", "change", "undo", "rows", "loss"), MOVES.values(), ids=MOVES)
def test_what_a_migration_moved_is_not_its_own(
    project: Project, base: str, change: str, undo: str, rows: list[str], loss: str
) -> None:
    assert losses_of(applied(project, base, change, undo, *rows)) == (loss,)


RETURNS = {
    "table and column renamed back": (
        PAIR + "INSERT INTO a VALUES (1, 'x');\n",
        "ALTER TABLE a RENAME TO b;\nALTER TABLE b RENAME COLUMN v TO w;\n",
        "ALTER TABLE b RENAME COLUMN w TO v;\nALTER TABLE b RENAME TO a;\n",
    ),
    "key renamed back": (
        PAIR + "INSERT INTO a VALUES (1, 'x');\n",
        "ALTER TABLE a RENAME COLUMN id TO uid;\n",
        "ALTER TABLE a RENAME COLUMN uid TO id;\n",
    ),
    "column moved back": (
        PAIR + "INSERT INTO a VALUES (1, 'x'), (2, 'y');\n",
        "CREATE TABLE b (id INTEGER, v TEXT);\nINSERT INTO b SELECT * FROM a;\nALTER TABLE a DROP COLUMN v;\n",
        "ALTER TABLE a ADD COLUMN v TEXT;\nUPDATE a SET v = (SELECT v FROM b WHERE b.id = a.id);\nDROP TABLE b;\n",
    ),
    "rows moved back": (
        PAIR + "INSERT INTO a VALUES (1, 'x'), (2, 'y');\n",
        "CREATE TABLE b (id INTEGER, v TEXT);\nINSERT INTO b SELECT * FROM a;\nDELETE FROM a;\n",
        "INSERT INTO a SELECT * FROM b;\nDROP TABLE b;\n",
    ),
    "leaf rebuilt": (
        PAIR + "INSERT INTO a VALUES (1, 'x');\n",
        "ALTER TABLE a ADD COLUMN w;\nUPDATE a SET w = upper(v);\n",
        "CREATE TABLE a2 (id INTEGER PRIMARY KEY, v TEXT);\nINSERT INTO a2 SELECT id, v FROM a;\n"
        "DROP TABLE a;\nALTER TABLE a2 RENAME TO a;\n",
    ),
    "full-text index renamed back": (
        "CREATE VIRTUAL TABLE a USING fts5(v);\nINSERT INTO a VALUES ('x');\n",
        "ALTER TABLE a RENAME TO b;\n",
        "ALTER TABLE b RENAME TO a;\n",
    ),
}


@pytest.mark.parametrize(("base", "change", "undo"), RETURNS.values(), ids=RETURNS)
def test_a_script_that_brings_everything_back_needs_no_consent(
    project: Project, base: str, change: str, undo: str
) -> None:
    project.write({"0001_base.sql": base}).migrate()
    before = project.database.query("SELECT * FROM a").rows
    project.write({"0002_change.sql": change}, {"0002_rollback.sql": undo}).migrate(
        accept="a,a.v" if "DROP COLUMN" in change or "DELETE" in change else ""
    )
    project.rollback("2")
    assert project.database.query("SELECT * FROM a").rows == before


def test_a_row_beside_the_equal_one_that_a_migration_inserted_is_not_its_own(project: Project) -> None:
    tags = "CREATE TABLE tags (name);\n"
    applied(project, tags, "INSERT INTO tags VALUES ('rock');\n", "DELETE FROM tags;\n")
    project.run("INSERT INTO tags VALUES ('rock')")
    assert losses_of(project) == ("tags",)


# -- identity --------------------------------------------------------------------------------------------

REBUILT = "CREATE TABLE t2 ({});\nINSERT INTO t2 SELECT {} FROM t;\nDROP TABLE t;\nALTER TABLE t2 RENAME TO t;\n"

MIGRATIONS = {
    "keys that only affinity makes equal": (
        "CREATE TABLE t (id TEXT PRIMARY KEY, v);\n",
        REBUILT.format("id INTEGER PRIMARY KEY, v", "id, v"),
        ["INSERT INTO t VALUES ('007', 1), ('1e2', 2)"],
        ("t",),
    ),
    "rows of NULLs behind a new column": (
        "CREATE TABLE t (v);\n",
        "CREATE TABLE t2 (w);\nDROP TABLE t;\nALTER TABLE t2 RENAME TO t;\n",
        ["INSERT INTO t VALUES (NULL)"],
        ("t",),
    ),
    "two tables merged into one": (
        "CREATE TABLE a (v);\nCREATE TABLE b (v);\n",
        "CREATE TABLE c (v);\nINSERT INTO c SELECT v FROM a;\nDROP TABLE a;\nDROP TABLE b;\n",
        ["INSERT INTO a VALUES ('x')", "INSERT INTO b VALUES ('x')"],
        ("b",),
    ),
    "two columns merged into one": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b);\n",
        REBUILT.format("id INTEGER PRIMARY KEY, c", "id, a"),
        ["INSERT INTO t VALUES (1, 'x', 'x')"],
        ("t.b",),
    ),
    "a table that looks like part of the ledger": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY);\n",
        "DROP TABLE t;\n",
        ["INSERT INTO t VALUES (1)"],
        ("t",),
    ),
    "a table that looks like part of a new one": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY);\n",
        "CREATE TABLE n (id INTEGER PRIMARY KEY, v);\nINSERT INTO n VALUES (1, 1), (2, 2);\nDROP TABLE t;\n",
        ["INSERT INTO t VALUES (1)"],
        ("t",),
    ),
    "names that only Python compares as equal": (
        'CREATE TABLE "É" (id INTEGER PRIMARY KEY);\nCREATE TABLE "é" (id INTEGER PRIMARY KEY);\n',
        'DROP TABLE "É";\n',
        ['INSERT INTO "É" VALUES (1)', 'INSERT INTO "é" VALUES (1)'],
        ("É",),
    ),
    "the content table of a full-text index": (
        "CREATE TABLE d (id INTEGER PRIMARY KEY, x);\n"
        "CREATE VIRTUAL TABLE f USING fts5(x, content='d', content_rowid='id');\n",
        "DROP TABLE d;\n",
        ["INSERT INTO d VALUES (1, 'x')", "INSERT INTO f (rowid, x) VALUES (1, 'x')"],
        ("f", "d"),
    ),
    "a trigger on the ledger": (
        "CREATE TABLE t (v);\n",
        "CREATE TABLE n (v);\nINSERT INTO t VALUES (1);\n",
        ["INSERT INTO t VALUES (5)", "CREATE TRIGGER x AFTER INSERT ON d1_migrations BEGIN DELETE FROM t; END"],
        ("t",),
    ),
}


@pytest.mark.parametrize(("base", "change", "rows", "losses"), MIGRATIONS.values(), ids=MIGRATIONS)
def test_no_loss_hides_behind_what_looks_alike(
    project: Project, base: str, change: str, rows: list[str], losses: tuple[str, ...]
) -> None:
    assert losses_of_migrate(pending(project, base, change, *rows)) == losses


def test_a_word_list_of_an_index_holds_nothing_of_its_own(project: Project) -> None:
    base = "CREATE VIRTUAL TABLE f USING fts5(x);\nCREATE VIRTUAL TABLE words USING fts5vocab(f, row);\n"
    pending(project, base, "INSERT INTO f VALUES ('a b');\n", "INSERT INTO f VALUES ('a')").migrate()
    assert project.database.query("SELECT doc FROM words WHERE term = 'a'").scalar() == 2


def test_the_consent_to_a_table_is_not_the_consent_to_one_whose_name_begins_so(project: Project) -> None:
    base = 'CREATE TABLE a (v);\nCREATE TABLE "a.b" (v);\n'
    pending(project, base, 'DELETE FROM "a.b";\n', "INSERT INTO a VALUES (1)", 'INSERT INTO "a.b" VALUES (1)')
    with pytest.raises(LossRefused) as caught:
        project.migrate(accept="a,a.b")
    assert caught.value.losses == ('"a.b"',)
    project.migrate(accept='"a.b"')


def test_a_counter_that_falls_is_said(project: Project) -> None:
    table = "(id INTEGER PRIMARY KEY AUTOINCREMENT, v)"
    rebuild = f"CREATE TABLE t2 {table};\nINSERT INTO t2 SELECT id, v FROM t;\nDROP TABLE t;\n"
    applied(
        project,
        f"CREATE TABLE t {table};\n",
        "ALTER TABLE t ADD COLUMN n;\n",
        rebuild + "ALTER TABLE t2 RENAME TO t;\n",
        "INSERT INTO t VALUES (1, 'x', NULL), (50, 'y', NULL)",
        "DELETE FROM t WHERE id = 50",
    )
    ready = rollback.prepare(project.workspace, "2")
    assert isinstance(ready, Prepared)
    assert ready.warnings == (
        "the AUTOINCREMENT counter of t falls from 50 to 1: ids of deleted rows will be given again",
    )


# -- the record of what is applied -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM d1_migrations",
        "INSERT INTO D1_Migrations (name) VALUES ('0099_x.sql')",
        "DROP TABLE d1_migrations",
        "ALTER TABLE d1_migrations RENAME TO old",
        "DELETE FROM d1ops_history",
        "CREATE TABLE d1ops_notes (v)",
        "CREATE TRIGGER x AFTER INSERT ON d1_migrations BEGIN SELECT 1; END",
        "CREATE VIEW d1ops_guard AS SELECT 1",
    ],
)
def test_no_script_writes_to_the_ledger_or_the_history(project: Project, statement: str) -> None:
    applied(project, PAIR, "CREATE TABLE n (v);\n", f"DROP TABLE n;\n{statement};\n")
    before = look(project.workspace)
    with pytest.raises(LedgerRefused, match="which d1ops alone writes"):
        project.rollback("2")
    project.write({"0003_more.sql": f"{statement};\n"})
    with pytest.raises(LedgerRefused, match="which d1ops alone writes"):
        project.migrate()
    assert look(project.workspace) == before


def test_a_migration_may_bring_the_ledger_that_is_there_anyway(project: Project) -> None:
    project.write({"0001_a.sql": f"CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER);\n{PAIR}"}).migrate()
    assert project.states() == {"0001": "applied"}


def test_a_ledger_that_refuses_the_change_is_found_in_rehearsal(project: Project) -> None:
    applied(project, PAIR, "CREATE TABLE n (v);\n", "DROP TABLE n;\n")
    project.run("CREATE TRIGGER x BEFORE DELETE ON d1_migrations BEGIN SELECT RAISE(ABORT, 'never'); END")
    with pytest.raises(
        StatementRejected, match="d1_migrations does not take the change of rollback 0002 change: never"
    ):
        project.rollback("2")


def test_a_foreign_ledger_is_an_error_and_no_crash(project: Project) -> None:
    project.run("CREATE TABLE d1_migrations (id, name, applied_at)", "INSERT INTO d1_migrations VALUES ('x', 'y', 1)")
    with pytest.raises(LedgerRefused, match="which is no number"):
        look(project.workspace)


def test_nothing_pending_is_nothing_done(project: Project) -> None:
    assert migrate.migrate(project.workspace, migrate.prepare(project.workspace), YES).events == ()


# -- between rehearsal and batch -------------------------------------------------------------------------


def test_a_child_that_got_its_first_row_since_the_rehearsal_is_not_lost(filled: Project) -> None:
    filled.run("DELETE FROM artists", "DELETE FROM reviews")
    filled.write(
        {},
        {
            "0002_rollback.sql": "DROP INDEX users_clerk;\nCREATE TABLE u (id TEXT PRIMARY KEY, email TEXT);\n"
            "INSERT INTO u SELECT id, email FROM users;\nDROP TABLE users;\nALTER TABLE u RENAME TO users;\n"
        },
    )
    for row in ("INSERT INTO artists VALUES ('a9', 'u1')", "INSERT INTO reviews VALUES ('r9', 'u1')"):
        ready = rollback.prepare(filled.workspace, "2")
        assert isinstance(ready, Prepared)
        assert ready.backup is not None
        filled.run(row)
        before = filled.rows()
        with pytest.raises(TargetMoved, match=r"would take more of (artists|reviews\.user_id) than in the rehearsal"):
            rollback.rollback(filled.workspace, ready, ready.backup, YES)
        assert filled.rows() == before
        filled.run("DELETE FROM artists")


def test_a_script_that_takes_more_on_the_target_than_on_the_clone_is_undone(project: Project) -> None:
    applied(project, PAIR, "CREATE TABLE n (v);\n", "DROP TABLE n;\nDELETE FROM a WHERE total_changes() > 5;\n")
    project.run("INSERT INTO a VALUES (1, 'x')")
    with pytest.raises(TargetMoved, match="would take more of a than in the rehearsal"):
        project.rollback("2")
    assert project.rows()["a"] == [(1, "x")]
    assert not look(project.workspace).everything.has_table("d1ops_guard")


def test_a_number_that_json_rounds_is_no_failure_after_the_commit(project: Project) -> None:
    applied(project, PAIR, "CREATE TABLE n (v);\n", "DROP TABLE n;\nSELECT 9223372036854775807;\n")
    project.rollback("2")
    assert project.states()["0002"] == "rolled back"


def test_nothing_is_sent_where_the_journal_cannot_be_written_before(project: Project) -> None:
    project.write({"0001_a.sql": PAIR, "0002_b.sql": "CREATE TABLE b (v);\n"})
    (project.root / ".d1ops" / "backups" / "dev" / "journal.jsonl").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        project.migrate()
    assert project.states() == {"0001": "pending", "0002": "pending"}


def test_a_column_that_was_rewritten_and_still_holds_its_values_moved_nothing(project: Project) -> None:
    change = "ALTER TABLE a ADD COLUMN w;\nUPDATE a SET w = 1, v = lower(v);\n"
    applied(project, PAIR + "INSERT INTO a VALUES (1, 'X');\n", change, "ALTER TABLE a DROP COLUMN w;\n")
    project.rollback("2")
    assert project.rows()["a"] == [(1, "x")]


@pytest.mark.parametrize(
    ("made", "changed", "undo"),
    [
        ("ALTER TABLE a ADD COLUMN w INTEGER;\n", "UPDATE a SET w = id * 2;\n", "ALTER TABLE a DROP COLUMN w;\n"),
        (
            "CREATE TABLE b (id INTEGER PRIMARY KEY, v TEXT);\nINSERT INTO b SELECT * FROM a;\n",
            "DELETE FROM b WHERE id = 2;\nUPDATE b SET v = upper(v);\n",
            "DROP TABLE b;\n",
        ),
    ],
)
def test_what_a_migration_did_to_what_goes_with_it_needs_no_consent(
    project: Project, made: str, changed: str, undo: str
) -> None:
    project.write(
        {
            "0001_base.sql": PAIR + "INSERT INTO a VALUES (1, 'x'), (2, NULL);\n",
            "0002_made.sql": made,
            "0003_c.sql": changed,
        },
        {"0002_rollback.sql": undo, "0003_rollback.sql": "SELECT 1;\n"},
    ).migrate()
    project.rollback("2", cascade=True)
    assert project.rows() == {"a": [(1, "x"), (2, None)]}


# -- backups ---------------------------------------------------------------------------------------------

WIDE = ", ".join(f'"column {n:03} {"x" * 200}"' for n in range(100))

AWKWARD = {
    "100 columns with long names": (f"CREATE TABLE t ({WIDE})", "INSERT INTO t DEFAULT VALUES"),
    "99 columns and a rowid": (
        f"CREATE TABLE t ({', '.join(f'c{n}' for n in range(99))})",
        "INSERT INTO t (rowid, c7) VALUES (41, 'x')",
    ),
    "names that a query could clash with": (
        'CREATE TABLE r (c1, c0, "a.b", "a""b", "new\nline", "?", ":p", "/*", "--")',
        "INSERT INTO r (c1, c0) VALUES (1, 2)",
    ),
    "a renamed full-text index": (
        "CREATE VIRTUAL TABLE f USING fts5(x)",
        "INSERT INTO f VALUES ('x')",
        "ALTER TABLE f RENAME TO t",
    ),
    "a full-text index without its content": ("CREATE VIRTUAL TABLE f USING fts5(x, content='gone')",),
    "a view and a trigger on nothing": (
        "CREATE TABLE t (a)",
        "CREATE VIEW v AS SELECT * FROM gone",
        "CREATE TRIGGER x AFTER INSERT ON t BEGIN INSERT INTO gone VALUES (1); END",
    ),
}


@pytest.mark.parametrize("statements", AWKWARD.values(), ids=AWKWARD)
def test_an_awkward_table_is_backed_up_and_does_not_stop_a_rollback(
    project: Project, statements: tuple[str, ...]
) -> None:
    applied(project, PAIR, "CREATE TABLE n (v);\n", "DROP TABLE n;\n", *statements)
    project.rollback("2")
    assert project.states()["0002"] == "rolled back"


def by_hand(project: Project, *statements: str) -> None:
    """Run statements that D1 would refuse, as an older D1 or an older schema may have let in."""
    connection = apsw.Connection(str(project.root / "state" / "dev.sqlite"))
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_rows_that_break_a_check_are_kept_as_they_are(project: Project) -> None:
    applied(project, "CREATE TABLE t (v CHECK (v > 0));\n", "CREATE TABLE n (v);\n", "DROP TABLE n;\n")
    by_hand(project, "PRAGMA ignore_check_constraints = ON", "INSERT INTO t VALUES (-1)")
    backup, _ = backups.create(project.workspace)
    with backup.unpacked() as path:
        copy = open_copy(path)
        assert copy.ask("SELECT v FROM t") == [(-1,)]
        copy.close()
    project.rollback("2")


def test_rows_that_their_own_schema_refuses_stop_the_backup_with_a_reason(project: Project) -> None:
    project.run("CREATE TABLE t (v)", "INSERT INTO t VALUES (NULL)")
    by_hand(
        project,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = 'CREATE TABLE t (v NOT NULL)' WHERE name = 't'",
    )
    with pytest.raises(BackupRefused, match="t holds a row that its own schema refuses: NOT NULL"):
        backups.create(project.workspace)
    assert backups.listed(project.workspace) == []


def test_a_value_too_large_for_an_answer_comes_by_pieces(project: Project) -> None:
    project.run("CREATE TABLE t (v, w)", "INSERT INTO t VALUES (zeroblob(3000000), 1), (CAST(x'ff' AS TEXT), 2)")
    backup, _ = backups.create(project.workspace)
    assert backup.manifest.method == "key ranges"
    with backup.unpacked() as path:
        copy = open_copy(path)
        assert copy.ask("SELECT typeof(v), octet_length(v), w FROM t") == [("blob", 3_000_000, 1), ("text", 1, 2)]
        copy.close()
