"""The main job on the embedded database: what a rollback leaves, refuses and says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from d1ops.core.mirror import schema_of
from d1ops.core.replay import replay
from d1ops.database.base import Atomicity
from d1ops.errors import (
    LedgerRefused,
    LossRefused,
    NoRollbackScript,
    NotAtomic,
    OutcomeUnknown,
    StatementRejected,
    StructureRefused,
    TargetMoved,
)
from d1ops.ops import rollback
from d1ops.ops.backup import VerifiedBackup
from d1ops.ops.change import Applied, Prepared
from d1ops.ops.look import look
from tests.support.delegate import Delegate
from tests.support.project import YES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.values import Result, Statement
    from d1ops.database.base import Capabilities, Database
    from tests.support.project import Project

REBUILD = (
    "DROP INDEX users_clerk;\n"
    "CREATE TABLE users_new (id TEXT PRIMARY KEY, email TEXT);\n"
    "INSERT INTO users_new SELECT id, email FROM users;\n"
    "DROP TABLE users;\n"
    "ALTER TABLE users_new RENAME TO users;\n"
)


def prepared(project: Project, wanted: str, *, cascade: bool = False) -> Prepared:
    found = rollback.prepare(project.workspace, wanted, cascade=cascade)
    assert isinstance(found, Prepared)
    return found


def send(project: Project, ready: Prepared) -> Applied:
    assert ready.backup is not None
    return rollback.rollback(project.workspace, ready, ready.backup, YES)


def test_a_rollback_takes_its_own_and_leaves_the_rest(filled: Project) -> None:
    before = filled.rows(without=("users.clerk_id",))
    applied = filled.rollback("2")
    assert filled.rows() == before
    assert filled.states() == {"0001": "applied", "0002": "rolled back", "0003": "applied"}
    catalog = filled.workspace.catalog.migrations
    assert (
        applied.look.schema.fingerprint()
        == schema_of(replay([catalog[0], catalog[2]])).users("d1_migrations").fingerprint()
    )
    (event,) = applied.events
    assert (event.kind, event.migration, event.backup) == ("rollback", "0002_clerk.sql", applied.backup_id)
    assert look(filled.workspace).history[-1].nonce == event.nonce


def test_migrate_applies_it_again_and_the_ledger_id_is_the_newest(filled: Project) -> None:
    filled.rollback("2")
    applied = filled.migrate()
    assert [row.name for row in applied.look.ledger] == ["0001_base.sql", "0003_index.sql", "0002_clerk.sql"]
    assert filled.states() == {"0001": "applied", "0002": "applied", "0003": "applied"}


def test_what_is_expected_is_told_from_what_is_collateral(filled: Project) -> None:
    ready = prepared(filled, "2")
    assert (ready.expected, ready.collateral) == (("users.clerk_id",), ())
    assert ready.data_proved


@pytest.mark.parametrize("pragma", ["", "PRAGMA foreign_keys=OFF;\n", "PRAGMA defer_foreign_keys=ON;\n"])
def test_the_rebuild_of_a_parent_is_refused_and_names_every_child(filled: Project, pragma: str) -> None:
    filled.write({}, {"0002_rollback.sql": pragma + REBUILD})
    before = filled.rows()
    ready = prepared(filled, "2")
    with pytest.raises(LossRefused) as caught:
        send(filled, ready)
    assert caught.value.losses == ("artists", "reviews.user_id")
    assert caught.value.hint is not None
    assert "--safe FILE writes a script that does the same" in caught.value.hint
    assert "artists" not in caught.value.hint, "nobody should be handed the words that lose the data"
    assert filled.rows() == before
    assert filled.states()["0002"] == "applied"


def test_a_named_loss_is_taken_and_only_that(filled: Project) -> None:
    filled.write({}, {"0002_rollback.sql": REBUILD})
    with pytest.raises(LossRefused) as caught:
        filled.rollback("2", accept="artists")
    assert caught.value.losses == ("reviews.user_id",)
    filled.rollback("2", accept="artists,reviews")
    assert filled.rows()["artists"] == []


def test_links_set_to_null_are_losses_though_no_count_changes(filled: Project) -> None:
    filled.run("DELETE FROM artists")
    filled.write({}, {"0002_rollback.sql": REBUILD})
    with pytest.raises(LossRefused, match=r"reviews.user_id"):
        filled.rollback("2")


def test_a_script_that_forgets_an_object_is_refused(filled: Project) -> None:
    filled.write({}, {"0003_rollback.sql": "SELECT 1;\n"})
    with pytest.raises(StructureRefused, match=r"index artists_user is left over"):
        filled.rollback("3")


def test_a_script_that_takes_a_foreign_object_is_refused(filled: Project) -> None:
    filled.write({}, {"0003_rollback.sql": "DROP INDEX artists_user; DROP INDEX users_clerk;\n"})
    with pytest.raises(StructureRefused, match=r"index users_clerk is gone"):
        filled.rollback("3")


def test_a_rebuild_that_loses_a_default_is_refused(project: Project) -> None:
    project.write(
        {
            "0001_a.sql": "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT DEFAULT 'x');\n",
            "0002_b.sql": "ALTER TABLE t ADD COLUMN c;\n",
        },
        {
            "0002_rollback.sql": "CREATE TABLE t2 (a INTEGER PRIMARY KEY, b TEXT);\n"
            "INSERT INTO t2 SELECT a, b FROM t;\n"
            "DROP TABLE t;\nALTER TABLE t2 RENAME TO t;\n"
        },
    ).migrate()
    with pytest.raises(StructureRefused, match=r"table t is not what it was without the migration"):
        project.rollback("2")


def test_another_column_order_is_a_warning(project: Project) -> None:
    project.write(
        {
            "0001_a.sql": "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT);\n",
            "0002_b.sql": "ALTER TABLE t ADD COLUMN c;\n",
        },
        {
            "0002_rollback.sql": "CREATE TABLE t2 (b TEXT, a INTEGER PRIMARY KEY);\n"
            "INSERT INTO t2 (a, b) SELECT a, b FROM t;\n"
            "DROP TABLE t;\nALTER TABLE t2 RENAME TO t;\n"
        },
    ).migrate()
    (warning,) = prepared(project, "2").warnings
    assert "table t has its columns in another order" in warning
    project.rollback("2")


def test_drift_elsewhere_survives_and_is_reported(filled: Project) -> None:
    filled.run("CREATE INDEX by_hand ON users (email)")
    ready = prepared(filled, "2")
    assert ready.warnings == ("drift that survives: index by_hand is extra on the target",)
    applied = send(filled, ready)
    assert ("index", "by_hand") in applied.look.schema.by_key()


def test_drift_in_what_is_rolled_back_is_refused(filled: Project) -> None:
    filled.run("DROP INDEX users_clerk", "CREATE INDEX users_clerk ON users (clerk_id)")
    with pytest.raises(StructureRefused, match=r"another form than the migrations made of: index users_clerk"):
        filled.rollback("2")


def test_what_later_migrations_need_is_refused_with_cascade_offered(filled: Project) -> None:
    with pytest.raises(StructureRefused) as caught:
        filled.rollback("1")
    assert "later migrations need 0001" in str(caught.value)
    assert caught.value.hint is not None
    assert "--cascade" in caught.value.hint


def test_cascade_goes_back_newest_first_one_batch_each(filled: Project) -> None:
    applied = filled.rollback("1", cascade=True)
    assert [e.migration for e in applied.events] == ["0003_index.sql", "0002_clerk.sql", "0001_base.sql"]
    assert applied.look.schema.objects == ()
    assert set(filled.states().values()) == {"rolled back"}
    assert filled.migrate().look.schema.tables() == ("users", "artists", "reviews")


def test_rows_that_a_migration_inserted_are_expected_to_go_and_others_are_not(project: Project) -> None:
    project.write(
        {
            "0001_tags.sql": "CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT);\n",
            "0002_more.sql": "INSERT INTO tags VALUES (1, 'rock'), (2, 'jazz');\n",
        },
        {"0002_rollback.sql": "DELETE FROM tags;\n"},
    ).migrate()
    ready = prepared(project, "2")
    assert (ready.expected, ready.collateral, ready.data_proved) == (("tags",), (), False)
    project.run("INSERT INTO tags VALUES (3, 'mine')")
    ready = prepared(project, "2")
    assert (ready.expected, ready.collateral) == ((), ("tags",))


def test_a_migration_that_is_not_applied_needs_no_rollback(small: Project) -> None:
    found = rollback.prepare(small.workspace, "2")
    assert isinstance(found, rollback.NothingToRollBack)
    assert found.state == "pending"


def test_no_script_no_rollback(filled: Project) -> None:
    (filled.root / "db" / "rollbacks" / "0002_rollback.sql").unlink()
    with pytest.raises(NoRollbackScript, match=r"0002_clerk.sql has no rollback script"):
        filled.rollback("2")


def test_a_changed_or_missing_file_makes_the_proof_impossible(filled: Project) -> None:
    path = filled.root / "db" / "migrations" / "0001_base.sql"
    text = path.read_text()
    path.write_text(text + "-- edited\n")
    assert filled.states()["0001"] == "changed"
    with pytest.raises(LedgerRefused, match=r"0001_base.sql was changed after it was applied"):
        filled.rollback("2")
    path.unlink()
    (filled.root / "db" / "rollbacks" / "0001_rollback.sql").unlink()
    assert filled.states()["0001"] == "missing"
    with pytest.raises(LedgerRefused, match=r"0001_base.sql is applied and its file is missing"):
        filled.rollback("2")


def test_a_failing_script_is_found_in_rehearsal(filled: Project) -> None:
    filled.write({}, {"0002_rollback.sql": "DROP INDEX users_clerk;\nDROP INDEX nope;\n"})
    before = look(filled.workspace)
    with pytest.raises(StatementRejected, match=r"db/rollbacks/0002_rollback.sql:2:1: no such index: nope"):
        filled.rollback("2")
    assert look(filled.workspace) == before


def test_foreign_keys_left_dangling_are_refused(project: Project) -> None:
    project.write(
        {
            "0001_a.sql": "CREATE TABLE p (id INTEGER PRIMARY KEY);\nCREATE TABLE c (p REFERENCES p (id));\n",
            "0002_b.sql": "CREATE TABLE keep (id INTEGER);\n",
        },
        {
            "0002_rollback.sql": "DROP TABLE keep;\nPRAGMA defer_foreign_keys=ON;\n"
            "INSERT INTO c VALUES (99);\nPRAGMA defer_foreign_keys=OFF;\n"
        },
    ).migrate()
    with pytest.raises(StructureRefused, match=r"1 in c towards p"):
        project.rollback("2")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("CREATE INDEX sneaky ON artists (id)", "schema of the target changed"),
        ("DELETE FROM d1_migrations WHERE name = '0003_index.sql'", "another runner changed the ledger"),
        ("INSERT INTO users (id, clerk_id) VALUES ('u9', 'c9')", "users.clerk_id is not what it was in the backup"),
    ],
)
def test_a_change_between_rehearsal_and_batch_refuses_itself(filled: Project, change: str, says: str) -> None:
    ready = prepared(filled, "2")
    filled.run(change)
    before = filled.rows()
    with pytest.raises(TargetMoved, match=says):
        send(filled, ready)
    assert filled.rows() == before


def test_a_backup_that_verification_did_not_make_does_not_exist(filled: Project) -> None:
    ready = prepared(filled, "2")
    assert ready.backup is not None
    with pytest.raises(TypeError, match=r"made by verifying"):
        VerifiedBackup(ready.backup.manifest, ready.backup.folder)
    other = prepared(filled, "2").backup
    assert other is not None
    with pytest.raises(StructureRefused, match=r"rehearsed on another backup"):
        rollback.rollback(filled.workspace, ready, other, YES)


class Unproved(Delegate):
    """A target about whose batches nobody knows."""

    @property
    def capabilities(self) -> Capabilities:
        return replace(self.inner.capabilities, atomic_batch=Atomicity.UNKNOWN)


class Losing(Delegate):
    """A target whose answers to writes are lost, before or after the write was carried out."""

    def __init__(self, inner: Database, *, carried_out: bool) -> None:
        super().__init__(inner)
        self.carried_out = carried_out

    def batch(
        self, statements: Sequence[Statement], *, reads_only: bool = False, lossy: bool = False
    ) -> tuple[Result, ...]:
        if reads_only:
            return super().batch(statements, reads_only=True, lossy=lossy)
        if self.carried_out:
            super().batch(statements)
        raise OutcomeUnknown("the connection broke")


def test_a_target_that_nobody_proved_atomic_is_not_changed(filled: Project) -> None:
    ready = prepared(filled, "2")
    assert ready.backup is not None
    workspace = replace(filled.workspace, database=Unproved(filled.database))
    with pytest.raises(NotAtomic, match=r"nobody has proved"):
        rollback.rollback(workspace, ready, ready.backup, YES)


def test_a_lost_answer_is_looked_up_and_never_sent_again(filled: Project) -> None:
    ready = prepared(filled, "2")
    assert ready.backup is not None
    workspace = replace(filled.workspace, database=Losing(filled.database, carried_out=True))
    applied = rollback.rollback(workspace, ready, ready.backup, YES)
    assert [e.kind for e in applied.look.history].count("rollback") == 1
    assert filled.states()["0002"] == "rolled back"


def test_a_request_that_never_arrived_is_reported_as_unknown(filled: Project) -> None:
    ready = prepared(filled, "2")
    assert ready.backup is not None
    workspace = replace(filled.workspace, database=Losing(filled.database, carried_out=False))
    with pytest.raises(OutcomeUnknown, match=r"what became of it cannot be found out now"):
        rollback.rollback(workspace, ready, ready.backup, YES)
    assert filled.states()["0002"] == "applied"
