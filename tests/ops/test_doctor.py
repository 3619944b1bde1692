"""The examination of a target and of the local state, on real databases in every state."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import apsw
import pytest

from d1ops.database.base import Atomicity, Capabilities
from d1ops.database.sqlite import SqliteDatabase
from d1ops.errors import Denied
from d1ops.ops import backup, doctor, probe
from d1ops.ops.backup.manifest import PACKED
from d1ops.ops.diagnosis import Check, Diagnosis, Health

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from d1ops.core.values import Result, Statement
    from d1ops.ops.workspace import Workspace
    from tests.support.project import Project


class Remote(SqliteDatabase):
    """The embedded database as if it were D1: nobody knows whether its batches are atomic, and reading is billed."""

    capabilities = Capabilities(atomic_batch=Atomicity.UNKNOWN, ingest=True, time_travel=True, create=True)

    def __init__(self, path: Path, *, denied: str = "", keeps_half: bool = False) -> None:
        super().__init__(path)
        self.target = replace(self.target, kind="cloudflare", account="acc1")
        self._denied, self._keeps_half = denied, keeps_half

    def batch(
        self, statements: Sequence[Statement], *, reads_only: bool = False, lossy: bool = False
    ) -> tuple[Result, ...]:
        counts = any("pragma_foreign_key_check" in statement.sql for statement in statements)
        if (
            self._denied == "all"
            or (self._denied == "counting" and counts)
            or (self._denied == "writes" and not reads_only)
        ):
            raise Denied("Authentication error", code=10000, hint="check CLOUDFLARE_API_TOKEN")
        if self._keeps_half and len(statements) > 100:
            super().batch(statements[:1])
            statements = statements[1:]
        return super().batch(statements, reads_only=reads_only, lossy=lossy)


def remote(project: Project, *, denied: str = "", keeps_half: bool = False) -> Workspace:
    database = Remote(project.root / "state" / "dev.sqlite", denied=denied, keeps_half=keeps_half)
    return replace(project.workspace, database=database)


def found(diagnosis: Diagnosis) -> dict[str, tuple[Health, str]]:
    return {check.name: (check.state, check.fact) for check in diagnosis.checks}


def only(diagnosis: Diagnosis, name: str) -> Check:
    (check,) = [check for check in diagnosis.checks if check.name == name]
    return check


def test_a_healthy_target_has_nothing_but_good_news(filled: Project) -> None:
    backup.create(filled.workspace)
    diagnosis = doctor.examine(filled.workspace)
    assert diagnosis.worst is Health.OK, diagnosis.checks
    assert (diagnosis.requests, diagnosis.target) == (2, filled.database.target)
    facts = found(diagnosis)
    assert set(facts) == {
        "target", "size", "ledger", "history", "migrations", "foreign keys", "atomic batches", "backups", "permissions",
        "sqlite",
    }  # fmt: skip
    assert facts["target"][1].endswith("reachable, 3 tables")
    assert facts["ledger"][1] == "d1_migrations has wrangler's shape"
    assert facts["history"][1] == "d1ops_history has d1ops's shape"
    assert facts["migrations"][1] == "3 applied"
    assert facts["foreign keys"][1] == "every row of 2 child tables has its parent row"
    assert all(check.remedy is None for check in diagnosis.checks)


def test_it_never_writes(filled: Project, small: Project) -> None:
    before, files = filled.rows(), sorted(path for path in filled.root.rglob("*"))
    doctor.examine(filled.workspace, foreign_keys=True)
    assert filled.rows() == before
    assert sorted(path for path in filled.root.rglob("*")) == files


def test_a_target_without_anything_is_well(small: Project) -> None:
    diagnosis = doctor.examine(small.workspace)
    facts = found(diagnosis)
    assert diagnosis.worst is Health.OK
    assert diagnosis.requests == 3
    assert facts["ledger"][1] == "d1_migrations is not there yet; the first change makes it"
    assert facts["history"][1] == "d1ops_history is not there yet; the first change makes it"
    assert facts["migrations"][1] == "3 pending"
    assert facts["backups"][1] == "none of this database yet; every rollback takes its own first"
    assert facts["permissions"] == (Health.OK, f"{small.root / '.d1ops'} is not there yet")


def test_a_file_that_does_not_exist_is_not_made(small: Project, tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "none.sqlite", create=False)
    diagnosis = doctor.examine(replace(small.workspace, database=database), probe=True)
    assert not (tmp_path / "none.sqlite").exists()
    assert only(diagnosis, "atomic batches").fact.startswith("the probe could not be made: the database file")
    assert only(diagnosis, "atomic batches").remedy == "d1ops migrate creates it"


def test_a_target_that_says_no_is_a_finding_and_the_rest_is_examined(filled: Project) -> None:
    diagnosis = doctor.examine(remote(filled, denied="all"))
    assert [check.name for check in diagnosis.checks] == ["target", "backups", "permissions", "sqlite"]
    check = diagnosis.checks[0]
    assert check.state is diagnosis.worst is Health.PROBLEM
    assert check.fact.startswith("cloudflare ")
    assert "account acc1): Authentication error (code 10000)" in check.fact
    assert check.remedy == "check CLOUDFLARE_API_TOKEN"


def test_a_database_larger_than_a_backup_may_read_is_a_warning(filled: Project) -> None:
    diagnosis = doctor.examine(replace(filled.workspace, backup_max_bytes=1000))
    assert only(diagnosis, "size").state is diagnosis.worst is Health.WARNING
    assert "more than the 1,000 that a backup may read" in only(diagnosis, "size").fact


# -- ledger, history, migrations -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ddl", "state", "says"),
    [
        ('create table d1_migrations (id integer primary key autoincrement, "name" text unique,'
         " applied_at timestamp default current_timestamp not null)", Health.OK, "has wrangler's shape"),
        ("CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY, name TEXT, applied_at TEXT)", Health.WARNING,
         "has another shape than wrangler gives it"),
        ("CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY, name TEXT)", Health.PROBLEM,
         "cannot be read: no such column: applied_at"),
    ],
)  # fmt: skip
def test_the_shape_of_the_ledger_is_wranglers(project: Project, ddl: str, state: Health, says: str) -> None:
    project.write({"0001_a.sql": "CREATE TABLE a (x);\n"}).run(ddl)
    check = only(doctor.examine(project.workspace), "ledger")
    assert check.state is state
    assert says in check.fact
    assert (check.remedy is None) == (state is Health.OK)


def test_a_history_of_another_shape_is_a_problem(project: Project) -> None:
    project.run("CREATE TABLE d1ops_history (id INTEGER PRIMARY KEY, at TEXT)")
    check = only(doctor.examine(project.workspace), "history")
    assert check.state is Health.PROBLEM
    assert "d1ops_history has another shape than d1ops gives it, and cannot be read: no such column" in check.fact
    assert check.remedy is not None
    assert check.remedy.startswith("rebuild it as CREATE TABLE IF NOT EXISTS d1ops_history ( id INTEGER")


def test_ledgers_of_other_tools_are_named(filled: Project) -> None:
    filled.run("CREATE TABLE __drizzle_migrations (id)", "CREATE TABLE _prisma_migrations (id)")
    diagnosis = doctor.examine(filled.workspace)
    facts = [check.fact for check in diagnosis.checks if check.name == "other ledger"]
    assert diagnosis.worst is Health.WARNING
    assert [fact.partition(":")[0] for fact in facts] == [
        "__drizzle_migrations is the ledger of drizzle-kit",
        "_prisma_migrations is the ledger of Prisma",
    ]


def test_a_second_ledger_of_wrangler_is_named(filled: Project) -> None:
    check = only(doctor.examine(replace(filled.workspace, ledger="migrations_of_b")), "other ledger")
    assert check.fact.startswith("d1_migrations is the ledger of wrangler: two tools change this schema")
    assert "set catalog.ledger to d1_migrations" in check.fact


def test_migrations_that_need_a_person_are_named_with_what_to_do(filled: Project) -> None:
    filled.rollback("3")
    folder = filled.root / "db" / "migrations"
    with (folder / "0001_base.sql").open("a") as file:
        file.write("-- edited\n")
    (folder / "0002_clerk.sql").rename(folder / "0000_early.sql")
    (filled.root / "db" / "rollbacks" / "0002_rollback.sql").unlink()
    filled.run("INSERT INTO d1_migrations (name) VALUES ('0009_by_wrangler.sql')")
    diagnosis = doctor.examine(filled.workspace)
    assert {name: value for name, value in found(diagnosis).items() if name.startswith("migrations")} == {
        "migrations": (Health.OK, "1 changed, 2 missing, 1 rolled back, 1 out of order"),
        "migrations changed": (Health.PROBLEM, "0001_base.sql"),
        "migrations missing": (Health.PROBLEM, "0002_clerk.sql, 0009_by_wrangler.sql"),
        "migrations out of order": (Health.WARNING, "0000_early.sql"),
        "migrations rolled back": (Health.WARNING, "0003_index.sql"),
    }
    assert only(diagnosis, "migrations missing").remedy is not None
    assert diagnosis.worst is Health.PROBLEM


def test_what_wrangler_applied_is_counted_and_no_warning(project: Project) -> None:
    project.write({"0001_a.sql": "CREATE TABLE a (x);\n"}).migrate()
    project.run("DELETE FROM d1ops_history")
    shutil.rmtree(project.root / ".d1ops")
    diagnosis = doctor.examine(project.workspace)
    assert only(diagnosis, "migrations").fact == "1 unverified"
    assert diagnosis.worst is Health.OK


# -- foreign keys ----------------------------------------------------------------------------------------


def dangling_rows(project: Project) -> None:
    project.run(
        "PRAGMA defer_foreign_keys=ON",
        "INSERT INTO artists VALUES ('x', 'gone'), ('y', 'gone')",
        "PRAGMA defer_foreign_keys=OFF",
    )


def test_violations_are_counted_on_a_local_target(filled: Project) -> None:
    dangling_rows(filled)
    check = only(doctor.examine(filled.workspace), "foreign keys")
    assert (check.state, check.fact) == (Health.PROBLEM, "rows without their parent row: 2 of artists towards users")
    assert check.remedy is not None


def test_violations_are_counted_on_a_remote_target_only_when_asked(filled: Project) -> None:
    dangling_rows(filled)
    diagnosis = doctor.examine(remote(filled))
    assert only(diagnosis, "foreign keys").state is Health.UNKNOWN
    assert only(diagnosis, "foreign keys").remedy == "d1ops doctor --foreign-keys counts them"
    assert diagnosis.requests == 1
    asked = doctor.examine(remote(filled), foreign_keys=True)
    assert only(asked, "foreign keys").state is Health.PROBLEM
    assert asked.requests == 2


def test_violations_that_cannot_be_counted_are_unknown(filled: Project) -> None:
    check = only(doctor.examine(remote(filled, denied="counting"), foreign_keys=True), "foreign keys")
    assert (check.state, check.remedy) == (Health.UNKNOWN, "check CLOUDFLARE_API_TOKEN")
    assert check.fact.startswith("violations cannot be counted: Authentication error")


def test_a_mismatched_foreign_key_is_named_and_hides_no_other(filled: Project) -> None:
    filled.run(
        "CREATE TABLE wrong (email TEXT REFERENCES users (email))", 'CREATE TABLE "it\'s" (u REFERENCES users (id))'
    )
    dangling_rows(filled)
    diagnosis = doctor.examine(filled.workspace)
    check = only(diagnosis, "foreign keys mismatched")
    assert check.state is Health.PROBLEM
    assert check.fact == 'wrong: foreign key mismatch - "wrong" referencing "users"'
    assert "2 of artists towards users" in only(diagnosis, "foreign keys").fact


# -- atomicity -------------------------------------------------------------------------------------------


def test_the_probe_runs_only_when_asked_and_is_remembered(filled: Project) -> None:
    workspace = remote(filled)
    check = only(doctor.examine(workspace), "atomic batches")
    assert (check.state, check.remedy is not None) == (Health.UNKNOWN, True)
    assert not (workspace.state / "targets").exists()
    assert only(doctor.examine(workspace, probe=True), "atomic batches").state is Health.OK
    assert probe.known(workspace) is Atomicity.PROVED
    assert only(doctor.examine(workspace), "atomic batches").state is Health.OK


def test_a_target_that_keeps_half_a_batch_is_a_problem(filled: Project) -> None:
    workspace = remote(filled, keeps_half=True)
    for examined in (doctor.examine(workspace, probe=True), doctor.examine(workspace)):
        assert only(examined, "atomic batches").state is Health.PROBLEM
        assert "kept part of a batch that failed" in only(examined, "atomic batches").fact
        assert "leftover" not in found(examined)


def test_a_probe_that_cannot_be_made_is_a_finding(filled: Project) -> None:
    check = only(doctor.examine(remote(filled, denied="writes"), probe=True), "atomic batches")
    assert (check.state, check.remedy) == (Health.PROBLEM, "check CLOUDFLARE_API_TOKEN")
    assert check.fact == "the probe could not be made: Authentication error (code 10000)"


def test_a_leftover_of_the_probe_is_named_and_dropped_by_the_next(filled: Project) -> None:
    filled.run("CREATE TABLE d1ops_probe (n INTEGER PRIMARY KEY)")
    before = doctor.examine(filled.workspace)
    assert only(before, "probe left behind").remedy == "d1ops doctor --probe"
    assert before.worst is Health.WARNING
    after = doctor.examine(filled.workspace, probe=True)
    assert only(after, "atomic batches").state is Health.OK
    assert "probe left behind" not in found(doctor.examine(filled.workspace))


def test_a_table_of_a_newer_version_is_left_alone(filled: Project) -> None:
    filled.run("CREATE TABLE d1ops_future (n)")
    assert only(doctor.examine(filled.workspace, probe=True), "leftover").fact.startswith("d1ops_future is not known")
    assert filled.database.query("SELECT count(*) FROM d1ops_future").scalar() == 0


# -- the local state -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("later", "age"),
    [(timedelta(minutes=3), "3 minutes"), (timedelta(hours=30), "30 hours"), (timedelta(days=9), "9 days")],
)
def test_the_newest_backup_and_its_age_are_named(filled: Project, later: timedelta, age: str) -> None:
    backup.create(filled.workspace)
    newest, _ = backup.create(filled.workspace)
    now = filled.workspace.now() + later
    check = only(doctor.examine(replace(filled.workspace, now=lambda: now)), "backups")
    assert check.fact.startswith("2 of this database, ")
    assert check.fact.endswith(f"the newest is {newest.id}, {age} old")


def test_backups_of_another_database_are_told_apart(filled: Project) -> None:
    backup.create(filled.workspace)
    other = SqliteDatabase(filled.root / "state" / "other.sqlite")
    check = only(doctor.examine(replace(filled.workspace, database=other)), "backups")
    other.close()
    assert check.fact == "none of this database yet, 1 of other databases; every rollback takes its own first"


@pytest.mark.parametrize("damage", ["manifest", "data", "no data"])
def test_a_damaged_backup_is_named_and_hides_no_other(filled: Project, damage: str) -> None:
    broken, _ = backup.create(filled.workspace)
    whole, _ = backup.create(filled.workspace)
    match damage:
        case "manifest":
            (broken.folder / "manifest.json").write_text("{}")
        case "data":
            (broken.folder / PACKED).write_bytes(b"short")
        case _:
            (broken.folder / PACKED).unlink()
    diagnosis = doctor.examine(filled.workspace)
    check = only(diagnosis, "damaged backup")
    assert check.state is diagnosis.worst is Health.PROBLEM
    assert check.fact.startswith(f"{broken.id}: ")
    assert f"the newest is {whole.id}" in only(diagnosis, "backups").fact


def test_what_an_interrupted_backup_left_is_named(filled: Project) -> None:
    made, _ = backup.create(filled.workspace)
    made.folder.rename(made.folder.with_name(f".{made.id}.partial"))
    check = only(doctor.examine(filled.workspace), "unfinished backup")
    assert check.state is Health.WARNING
    assert f".{made.id}.partial" in check.fact


def test_what_others_may_read_is_named(filled: Project) -> None:
    made, _ = backup.create(filled.workspace)
    assert only(doctor.examine(filled.workspace), "permissions").state is Health.OK
    (made.folder / PACKED).chmod(0o644)
    check = only(doctor.examine(filled.workspace), "permissions")
    assert (check.state, check.remedy) == (Health.WARNING, f"chmod -R go-rwx {filled.workspace.state}")
    assert f"may read {made.folder / PACKED}," in check.fact
    for name in "abcd":
        (made.folder / name).touch(mode=0o644)
    assert "and 2 more, which" in only(doctor.examine(filled.workspace), "permissions").fact


def test_the_sqlite_of_this_machine_is_as_new_as_d1s(small: Project) -> None:
    check = only(doctor.examine(small.workspace), "sqlite")
    assert check.state is Health.OK
    assert check.fact.startswith(f"SQLite {apsw.sqlite_lib_version()} here; ")
    assert [doctor.compare_sqlite(version).state for version in ("3.46.1", "3.52.9", "3.53.0", "3.100.0", "4.0.0")] == [
        *[Health.PROBLEM] * 2,
        *[Health.OK] * 3,
    ]
    assert doctor.compare_sqlite("3.46.1").remedy == "pip install --upgrade apsw"


def test_a_schema_that_cannot_be_rebuilt_is_a_finding(filled: Project) -> None:
    connection = apsw.Connection(str(filled.root / "state" / "dev.sqlite"))
    connection.pragma("writable_schema", 1)
    connection.execute(
        "UPDATE sqlite_master SET sql = 'CREATE INDEX artists_user ON artists (nope)' WHERE name = 'artists_user'"
    )
    connection.close()
    diagnosis = doctor.examine(filled.workspace)
    check = only(diagnosis, "foreign keys")
    assert check.state is Health.PROBLEM
    assert check.fact.startswith("index artists_user cannot be rebuilt from its own definition: no such column: nope")


def test_states_are_ordered_from_best_to_worst() -> None:
    assert sorted(Health, key=lambda state: state.rank) == [Health.OK, Health.UNKNOWN, Health.WARNING, Health.PROBLEM]
