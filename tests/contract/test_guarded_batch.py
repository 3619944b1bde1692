"""The guarded batch on every engine: what somebody did by hand since the rehearsal makes it refuse itself, and what was
wrong before does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from d1ops.core import rules
from d1ops.core.values import Statement
from d1ops.errors import StructureRefused, TargetMoved
from d1ops.ops import migrate, rollback
from d1ops.ops.change import Prepared
from d1ops.ops.look import look
from tests.support.project import YES, Project, accepting

if TYPE_CHECKING:
    from pathlib import Path

    from d1ops.ops.change import Applied
    from tests.contract.conftest import Adapter

BASE = (
    "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT);\n"
    "CREATE TABLE posts (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users (id) ON DELETE CASCADE);\n"
    "CREATE TABLE likes (user_id INTEGER REFERENCES users (id) ON DELETE SET NULL, n INTEGER);\n"
)
ROWS = (
    "INSERT INTO users (id, email) VALUES (1, 'a'), (2, 'b')",
    "INSERT INTO posts VALUES (10, 1), (20, 2)",
    "INSERT INTO likes VALUES (1, 5), (2, 6)",
)


@pytest.fixture
def project(tmp_path: Path, database: Adapter) -> Project:
    project = Project(tmp_path, database).write(
        {
            "0001_base.sql": BASE,
            "0002_nick.sql": "ALTER TABLE users ADD COLUMN nick TEXT;\n",
            "0003_notes.sql": "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);\n",
        },
        {
            "0002_rollback.sql": "ALTER TABLE users DROP COLUMN nick;\n",
            "0003_rollback.sql": "DROP TABLE notes;\n",
        },
    )
    project.migrate()
    project.run(*ROWS, "UPDATE users SET nick = 'n' || id", "INSERT INTO notes VALUES (1, 'one')")
    return project


def ready(project: Project, number: str) -> Prepared:
    prepared = rollback.prepare(project.workspace, number)
    assert isinstance(prepared, Prepared)
    return prepared


def send(project: Project, prepared: Prepared, accept: str = "") -> Applied:
    assert prepared.backup is not None
    return rollback.rollback(project.workspace, prepared, prepared.backup, accepting(accept))


@pytest.mark.parametrize(
    ("number", "by_hand", "assertion", "subjects"),
    [
        ("3", "INSERT INTO notes VALUES (2, 'two')", "content", ("notes",)),
        ("3", "UPDATE notes SET text = 'eno'", "content", ("notes",)),
        ("2", "UPDATE users SET nick = 'n3' WHERE id = 2", "content", ("users.nick",)),
        ("2", "UPDATE users SET nick = 'n' || (3 - id)", "content", ("users.nick",)),
        ("2", "CREATE INDEX by_hand ON users (email)", "schema", ("index by_hand",)),
        ("2", "DROP TABLE likes", "schema", ("table likes",)),
        ("2", "INSERT INTO d1_migrations (name) VALUES ('0009_x.sql')", "ledger", ("0009_x.sql is new",)),
        ("2", "DELETE FROM d1_migrations WHERE name = '0003_notes.sql'", "ledger", ("0003_notes.sql is gone",)),
    ],
)
def test_a_change_by_hand_is_named_and_nothing_is_done(
    project: Project, number: str, by_hand: str, assertion: str, subjects: tuple[str, ...]
) -> None:
    prepared = ready(project, number)
    project.run(by_hand)
    before, seen = project.rows(), look(project.workspace)
    with pytest.raises(TargetMoved) as caught:
        send(project, prepared)
    assert (caught.value.assertion, caught.value.subjects) == (assertion, subjects)
    assert all(subject.split(" ")[0] in str(caught.value) for subject in subjects)
    assert caught.value.hint is not None
    assert (project.rows(), look(project.workspace)) == (before, seen)
    if assertion == "content":  # Looked at again, the change is what was asked for.
        send(project, ready(project, number))


def test_the_first_row_of_an_empty_table_is_not_dropped_with_it(project: Project) -> None:
    project.run("DELETE FROM notes", "UPDATE users SET nick = NULL")
    for number, by_hand, name in (
        ("3", "INSERT INTO notes VALUES (1, 'late')", "notes"),
        ("2", "UPDATE users SET nick = 'late' WHERE id = 1", "users.nick"),
    ):
        prepared = ready(project, number)
        project.run(by_hand)
        with pytest.raises(TargetMoved) as caught:
            send(project, prepared)
        assert caught.value.subjects == (name,)


def test_rows_that_lose_nothing_may_come_and_go_meanwhile(project: Project) -> None:
    prepared = ready(project, "2")
    project.run(
        "INSERT INTO users (id, email) VALUES (3, 'c')", "INSERT INTO notes VALUES (7, 'x')", "DELETE FROM likes"
    )
    send(project, prepared)
    assert len(project.rows()["users"]) == 3


def test_a_statement_that_finds_more_than_in_the_rehearsal_is_undone(project: Project) -> None:
    project.run("UPDATE users SET nick = NULL")
    project.write({"0004_tidy.sql": "UPDATE users SET nick = 'gone' WHERE nick IS NULL AND email = 'temp';\n"})
    prepared = migrate.prepare(project.workspace)
    project.run("UPDATE users SET email = 'temp' WHERE id = 1")
    before = project.rows()
    with pytest.raises(TargetMoved, match=r"0004_tidy.sql would change 1 rows, 0 in the rehearsal") as caught:
        migrate.migrate(project.workspace, prepared, YES)
    assert (caught.value.assertion, caught.value.expected, caught.value.found) == ("changes", 0, 1)
    assert project.rows() == before


def test_rows_that_came_since_may_be_changed_as_well(project: Project) -> None:
    project.write({"0004_nick.sql": "UPDATE users SET nick = 'n' || id WHERE nick IS NULL;\n"})
    project.run("UPDATE users SET nick = NULL")
    prepared = migrate.prepare(project.workspace)
    project.run("INSERT INTO users (id, email) VALUES (3, 'c')", "UPDATE users SET nick = 'own' WHERE id = 1")
    migrate.migrate(project.workspace, prepared, YES)
    assert project.database.query("SELECT nick FROM users ORDER BY id").rows == (("own",), ("n2",), ("n3",))


OVERWRITES = {
    "UPDATE": ("UPDATE users SET nick = 'n' || id;\n", "users.nick"),
    "UPDATE of equal values": ("UPDATE users SET email = lower(email);\n", "users.email"),
    "UPSERT": ("INSERT INTO users (id, nick) VALUES (1, 'n') ON CONFLICT DO UPDATE SET nick = 'n';\n", "users.nick"),
    "a trigger": (
        "CREATE TRIGGER t AFTER INSERT ON notes BEGIN UPDATE users SET nick = new.text; END;\n"
        "INSERT INTO notes VALUES (9, 'n');\nDROP TRIGGER t;\n",
        "users.nick",
    ),
}


@pytest.mark.parametrize(("script", "name"), OVERWRITES.values(), ids=OVERWRITES)
@pytest.mark.parametrize(
    "by_hand",
    [
        "UPDATE users SET nick = 'own', email = 'Own' WHERE id = 1",
        "INSERT INTO users (id, email, nick) VALUES (3, 'Own', 'own')",
    ],
    ids=["written", "inserted"],
)
def test_what_was_written_since_is_not_overwritten(project: Project, script: str, name: str, by_hand: str) -> None:
    project.run("UPDATE users SET nick = NULL")
    project.write({"0004_nick.sql": script})
    prepared = migrate.prepare(project.workspace)
    assert prepared.losses == ()
    project.run(by_hand)
    before = project.rows()
    with pytest.raises(TargetMoved) as caught:
        migrate.migrate(project.workspace, prepared, YES)
    assert caught.value.subjects == (name,)
    assert project.rows() == before


def test_no_more_values_expire_than_in_the_rehearsal(project: Project) -> None:
    project.write({"0004_expire.sql": "UPDATE users SET nick = NULL WHERE CAST(email AS INTEGER) < unixepoch();\n"})
    project.run("UPDATE users SET email = '99999999999'")
    prepared = migrate.prepare(project.workspace)
    assert prepared.losses == ()
    project.run("UPDATE users SET email = '1' WHERE id = 1")
    with pytest.raises(TargetMoved, match=r"would take more of users\.nick than in the rehearsal \(2 -> 1"):
        migrate.migrate(project.workspace, prepared, YES)
    assert project.database.query("SELECT count(nick) FROM users").scalar() == 2


REPLACES = {
    "a new row": ("INSERT OR REPLACE INTO notes VALUES (9, 'default');\n", "INSERT INTO notes VALUES (9, 'own')"),
    "an equal row": ("REPLACE INTO users (id, email) VALUES (1, 'a');\n", "UPDATE users SET nick = 'own' WHERE id = 1"),
    "every row": (
        "INSERT OR REPLACE INTO users (id, email) SELECT id, email FROM users;\n",
        "UPDATE users SET nick = 'own' WHERE id = 2",
    ),
}


@pytest.mark.parametrize(("script", "by_hand"), REPLACES.values(), ids=REPLACES)
def test_what_was_written_since_is_not_replaced(project: Project, script: str, by_hand: str) -> None:
    project.run("DELETE FROM posts", "DELETE FROM likes", "UPDATE users SET nick = NULL")
    project.write({"0004_replace.sql": script})
    prepared = migrate.prepare(project.workspace)
    assert prepared.losses == ()
    project.run(by_hand)
    before = project.rows()
    with pytest.raises(TargetMoved, match="is not what it was in the backup"):
        migrate.migrate(project.workspace, prepared, YES)
    assert project.rows() == before


RENAMED = {
    "table": {"0004_r.sql": "ALTER TABLE users RENAME TO people;\nUPDATE people SET nick = 'new';\n"},
    "column": {"0004_r.sql": "ALTER TABLE users RENAME nick TO n;\nUPDATE users SET n = 'new';\n"},
    "both": {
        "0004_r.sql": 'ALTER TABLE users RENAME COLUMN nick TO "N n";\nALTER TABLE Users RENAME TO "Pe ople";\n'
        'UPDATE "pe ople" SET "n N" = \'new\';\n'
    },
    "two steps": {
        "0004_r.sql": "ALTER TABLE users RENAME COLUMN nick TO n;\nALTER TABLE users RENAME TO people;\n",
        "0005_r.sql": "UPDATE people SET n = 'new';\n",
    },
}


@pytest.mark.parametrize("scripts", RENAMED.values(), ids=RENAMED)
def test_under_another_name_it_is_not_overwritten_either(project: Project, scripts: dict[str, str]) -> None:
    project.run("UPDATE users SET nick = NULL")
    project.write(scripts)
    prepared = migrate.prepare(project.workspace)
    project.run("UPDATE users SET nick = 'own' WHERE id = 1")
    before = project.rows()
    with pytest.raises(TargetMoved) as caught:
        migrate.migrate(project.workspace, prepared, YES)
    assert caught.value.subjects == ("users.nick",)
    assert project.rows() == before


COPIES = {
    "a column left out": (
        "CREATE TABLE n (id INTEGER PRIMARY KEY, text TEXT);\nINSERT INTO n (id) SELECT id FROM notes;\n"
        "DROP TABLE notes;\nALTER TABLE n RENAME TO notes;\n",
        "UPDATE notes SET text = 'own'",
        "notes.text",
    ),
    "the old one renamed first": (
        "ALTER TABLE notes RENAME TO old;\nCREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);\n"
        "INSERT INTO notes (id) SELECT id FROM old;\nDROP TABLE old;\n",
        "UPDATE notes SET text = 'own'",
        "notes.text",
    ),
    "a value left out": (
        "CREATE TABLE n (id INTEGER PRIMARY KEY, text TEXT);\nINSERT INTO notes VALUES (2, 'two');\n"
        "INSERT INTO n SELECT id, nullif(text, 'own') FROM notes;\nDROP TABLE notes;\nALTER TABLE n RENAME TO notes;\n",
        "INSERT INTO notes VALUES (3, 'own')",
        "notes.text",
    ),
    "rows left out under another name": (
        "CREATE TABLE n (id INTEGER PRIMARY KEY, text TEXT);\nINSERT INTO n SELECT * FROM notes WHERE id < 9;\n"
        "DROP TABLE notes;\n",
        "INSERT INTO notes VALUES (9, 'own')",
        "notes",
    ),
}


@pytest.mark.parametrize(("script", "by_hand", "name"), COPIES.values(), ids=COPIES)
def test_a_copy_that_leaves_out_what_came_since_is_undone(
    project: Project, script: str, by_hand: str, name: str
) -> None:
    project.run("UPDATE notes SET text = NULL")
    project.write({"0004_copy.sql": script})
    prepared = migrate.prepare(project.workspace)
    project.run(by_hand)
    before = project.rows()
    with pytest.raises(TargetMoved) as caught:
        migrate.migrate(project.workspace, prepared, YES)
    assert caught.value.subjects == (name,)
    assert project.rows() == before


REBUILD = (
    "PRAGMA defer_foreign_keys = ON;\n"
    "CREATE TABLE parents_new (id INTEGER PRIMARY KEY, name TEXT);\n"
    "INSERT INTO parents_new SELECT id, name FROM parents;\n"
    "DROP TABLE parents;\n"
    "ALTER TABLE parents_new RENAME TO parents;\n"
)


@pytest.fixture
def family(tmp_path: Path, database: Adapter) -> Project:
    """A parent that is rebuilt, with a plain child whose foreign key has no action."""
    project = Project(tmp_path, database).write(
        {
            "0001_base.sql": "CREATE TABLE parents (id INTEGER PRIMARY KEY, name TEXT);\n"
            "CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents (id));\n",
            "0002_age.sql": "ALTER TABLE parents ADD COLUMN age INTEGER;\n",
        },
        {"0002_rollback.sql": REBUILD},
    )
    project.migrate()
    project.run("INSERT INTO parents VALUES (1, 'a', 40), (2, 'b', 50)", "INSERT INTO children VALUES (1, 1), (2, 2)")
    return project


def test_a_correct_rebuild_with_a_plain_child_commits(family: Project) -> None:
    before = family.rows(without=("parents.age",))
    family.rollback("2")
    assert family.rows() == before
    assert family.database.query("SELECT count(*) FROM pragma_foreign_key_check('children')").scalar() == 0
    assert family.states()["0002"] == "rolled back"


def test_a_rebuild_that_forgets_a_row_is_refused_where_it_leaves_a_child_alone(family: Project) -> None:
    family.write({}, {"0002_rollback.sql": REBUILD.replace("FROM parents;", "FROM parents WHERE id < 9;")})
    prepared = ready(family, "2")
    family.run("INSERT INTO parents VALUES (9, 'late', NULL)", "INSERT INTO children VALUES (9, 9)")
    before = family.rows()
    with pytest.raises(TargetMoved) as caught:
        send(family, prepared)
    assert caught.value.assertion == "figures"
    assert set(caught.value.subjects) == {"parents", "children"}
    assert "leave rows of children without a parent (0 -> 1, 0 -> 0 in the rehearsal)" in str(caught.value)
    assert family.rows() == before


def test_what_dangled_and_mismatched_before_is_not_held_against_a_change(family: Project) -> None:
    family.run(
        "CREATE TABLE no_key (n INTEGER)",
        "CREATE TABLE mismatched (n INTEGER REFERENCES no_key (n))",
        "CREATE TABLE orphans (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents (id))",
    )
    family.database.batch(
        [
            Statement("PRAGMA defer_foreign_keys=ON"),
            Statement("INSERT INTO orphans VALUES (1, 77), (2, 1)"),
            Statement("INSERT INTO children VALUES (3, 99)"),
            Statement("PRAGMA defer_foreign_keys=OFF"),
        ]
    )
    before = family.rows(without=("parents.age",))
    family.rollback("2")
    assert family.rows() == before
    family.migrate()


def test_a_script_that_leaves_rows_dangling_is_refused(family: Project) -> None:
    family.write(
        {}, {"0002_rollback.sql": REBUILD + "DELETE FROM parents WHERE id = 2;\nPRAGMA defer_foreign_keys=OFF;\n"}
    )
    with pytest.raises(StructureRefused, match=r"1 in children towards parents"):
        family.rollback("2", accept="parents")


def test_five_hundred_tables_are_guarded_within_the_limits(tmp_path: Path, database: Adapter) -> None:
    number = 500
    children = "".join(
        f"CREATE TABLE child_{n} (id INTEGER PRIMARY KEY, hub INTEGER REFERENCES hub (id) ON DELETE CASCADE,"
        f" other INTEGER REFERENCES hub (id) ON DELETE SET NULL);\n"
        for n in range(number)
    )
    project = Project(tmp_path, database).write(
        {
            "0001_base.sql": f"CREATE TABLE hub (id INTEGER PRIMARY KEY);\n{children}",
            "0002_less.sql": "DELETE FROM hub WHERE id = 2;\n",
        }
    )
    project.migrate(to="1")
    project.run("INSERT INTO hub VALUES (1), (2)", *(f"INSERT INTO child_{n} VALUES (1, 1, 1)" for n in range(number)))
    prepared = migrate.prepare(project.workspace)
    from d1ops.ops.guard import batch_of  # The test measures what would be sent.

    event = look(project.workspace).history[-1]
    names = [row.name for row in prepared.look.ledger]
    statements = batch_of(project.workspace, prepared, 0, event, names, prepared.look.schema.text()).statements()
    assert len(statements) < 60
    assert max(len(each.sql.encode()) for each in statements) <= rules.MAX_STATEMENT_BYTES
    assert max(len(each.params) for each in statements) <= rules.MAX_PARAMETERS
    project.run("UPDATE child_77 SET other = 2")
    with pytest.raises(TargetMoved) as caught:
        migrate.migrate(project.workspace, prepared, accepting("hub"))
    assert caught.value.subjects == ("child_77.other",)
    project.run("UPDATE child_77 SET other = 1")
    migrate.migrate(project.workspace, prepared, accepting("hub"))
    assert project.database.query("SELECT count(*) FROM hub").scalar() == 1
