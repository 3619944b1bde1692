"""The runbook: up to date, the same every time, and every command and query in it does what it says."""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from d1ops.core.engine import Engine
from d1ops.core.ledger import ledger_ddl
from d1ops.core.mirror import schema_of
from d1ops.core.rehearsal import dangling
from d1ops.core.replay import replay, run_script
from d1ops.core.reversibility import judge
from d1ops.core.runbook import verification_query
from d1ops.core.runbook_text import OUTCOMES, QUESTIONS, SAFE_REBUILD, WRONG_REBUILD
from d1ops.core.schema import structure
from d1ops.core.sql import split
from d1ops.errors import AnswerIsNo, ScriptError, UsageError
from d1ops.ops import docs
from d1ops.ops.workspace import read_catalog
from tests.support.project import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.project import Project


@pytest.fixture(scope="module")
def sample() -> str:
    return docs.render(read_catalog(REPOSITORY, "db/migrations", "db/rollbacks"), docs.read_notes(REPOSITORY))


def rendered(project: Project) -> str:
    return docs.render(project.workspace.catalog, docs.read_notes(project.root))


def section(text: str, heading: str) -> str:
    level = heading.partition(" ")[0]
    rest = text[text.index(f"{heading}\n") + len(heading) :]
    return re.split(rf"(?m)^#{{1,{len(level)}}} ", rest)[0]


# -- the sample ------------------------------------------------------------------------------------------


def test_the_runbook_of_the_repository_is_up_to_date(sample: str) -> None:
    assert (REPOSITORY / docs.RUNBOOK).read_text(encoding="utf-8") == sample
    docs.check(REPOSITORY, sample)


def test_the_matrix_says_what_the_proof_says(sample: str) -> None:
    rows = re.findall(
        r"(?m)^\| (\d{4}) +\| \w+ +\| (\w+) +\| (.+?) +(?:\| [^|]+){2}\| (.+?) +\|$",
        section(sample, "## Reversibility matrix"),
    )
    assert {label: (verdict, holds) for label, verdict, _, holds in rows} == {
        **dict.fromkeys(("0001", "0002", "0003", "0004", "0005", "0006"), ("reversible", "cascade only")),
        **dict.fromkeys(("0008", "0010"), ("reversible", "alone")),
        **dict.fromkeys(("0007", "0009"), ("lossy", "alone")),
        **dict.fromkeys(("0011", "0012"), ("safe", "alone")),
    }
    assert [lost for label, _, lost, _ in rows if label in ("0007", "0009", "0012")] == [
        "the values of users.clerk_id",
        "the values of 7 columns",
        "nothing",
    ]


def test_every_migration_has_its_section_with_its_commands(sample: str) -> None:
    for migration in read_catalog(REPOSITORY, "db/migrations", "db/rollbacks").migrations:
        text = section(sample, f"### {migration.label} {migration.name}")
        assert re.search(rf"(?m)^d1ops rollback {migration.label}( --cascade)? --env dev$", text)
        assert f"db/rollbacks/{migration.label}_rollback.sql" in text
        assert "- depends on it: " in text
        assert "- its rollback destroys: " in text


def test_the_table_of_foreign_keys_names_what_serves_each(sample: str) -> None:
    text = section(sample, "## Foreign keys and the indexes that serve them")
    rows = re.findall(r"(?m)^\| (\S+\.\S+) +\| (\w+) +\| (\w+ ?\w*) +\| (.+?) +\| (\d{4}|-) +\|$", text)
    assert len(rows) == 29
    assert text.startswith("\n\n29 of 29 foreign keys")
    served = {child: (by, since) for child, _, _, by, since in rows}
    assert served["reviews.reviewer_user_id"] == ("idx_reviews_reviewer_user_id", "0012")
    assert served["artists.user_id"] == ("UNIQUE (user_id)", "0001")
    assert served["gig_favorites.user_id"] == ("PRIMARY KEY (user_id, gig_id)", "0002")


def test_lines_fit_a_terminal(sample: str) -> None:
    assert [line for line in sample.splitlines() if len(line) > 100 and not line.startswith("|")] == []


def test_the_query_of_a_section_finds_the_migration_until_it_is_rolled_back(sample: str) -> None:
    catalog = read_catalog(REPOSITORY, "db/migrations", "db/rollbacks")
    with closing(replay(catalog.migrations)) as engine:
        engine.execute(ledger_ddl("d1_migrations"))
        for migration in catalog.migrations:
            engine.execute("INSERT INTO d1_migrations (name) VALUES (?)", (migration.file,))
        for migration in reversed(catalog.migrations):
            text = section(sample, f"### {migration.label} {migration.name}")
            (query,) = re.findall(r"```sql\n(.+?);\n```", text, re.DOTALL)
            assert engine.execute(query).rows != ()
            assert migration.rollback is not None
            run_script(engine, migration.rollback.statements)
            engine.execute("DELETE FROM d1_migrations WHERE name = ?", (migration.file,))
            assert engine.execute(query).rows == ()


def test_the_query_names_everything_that_is_left_over(small: Project) -> None:
    small.migrate()
    query = verification_query(judge(small.workspace.catalog)[1])
    assert query.splitlines()[1] == "WHERE name = '0002_clerk.sql'"
    assert small.database.query(query).rows == (
        ("ledger", "0002_clerk.sql"),
        ("index", "users_clerk"),
        ("column", "users.clerk_id"),
    )


# -- the decision ----------------------------------------------------------------------------------------


def test_the_flowchart_and_the_list_say_the_same(sample: str) -> None:
    text = section(sample, "## Which way back?")
    chart, _, listed = text.partition("The same in words")
    arrows = re.findall(r"(?m)^  (\w+) -->\|(.+?)\| (\w+)$", chart)
    assert arrows == [(name, answer, target) for name, _, answers in QUESTIONS for answer, target in answers]
    flat = re.sub(r"\s+", " ", listed)
    for _, question, answers in QUESTIONS:
        assert question in flat
        assert all(f"- {answer}: " in flat for answer, _ in answers)
    assert all(outcome in flat for outcome in OUTCOMES.values())


def test_every_question_and_outcome_is_reached_and_nothing_goes_round() -> None:
    targets = {target for _, _, answers in QUESTIONS for _, target in answers}
    names = [name for name, _, _ in QUESTIONS]
    assert targets == {*names[1:], *OUTCOMES}
    order = {name: position for position, name in enumerate(names)}
    arrows = [(order[name], order[target]) for name, _, a in QUESTIONS for _, target in a if target in order]
    assert all(start < end for start, end in arrows)


# -- the trap --------------------------------------------------------------------------------------------

PARENT = """
CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT, clerk_id TEXT);
CREATE TABLE artists (id TEXT PRIMARY KEY, user_id TEXT REFERENCES users (id) ON DELETE CASCADE);
INSERT INTO users VALUES ('u1', 'a@b', 'c1'), ('u2', 'c@d', NULL);
INSERT INTO artists VALUES ('a1', 'u1'), ('a2', 'u2'), ('a3', 'u2');
"""


def after(script: str) -> Engine:
    engine = Engine.memory()
    run_script(engine, split(PARENT))
    run_script(engine, split(script))
    return engine


def test_the_wrong_rebuild_of_the_runbook_deletes_the_children(sample: str) -> None:
    assert WRONG_REBUILD in sample
    with closing(after(WRONG_REBUILD)) as engine:
        assert (engine.count("users"), engine.count("artists")) == (2, 0)


def test_the_safe_rebuild_of_the_runbook_keeps_every_row_and_link(sample: str) -> None:
    assert SAFE_REBUILD in sample
    with closing(after(SAFE_REBUILD)) as engine, closing(after("ALTER TABLE users DROP COLUMN clerk_id;")) as wanted:
        forms = [{o.key: structure(o) for o in schema_of(each).objects} for each in (engine, wanted)]
        assert forms[0] == forms[1]
        for query in ("SELECT * FROM users ORDER BY id", "SELECT * FROM artists ORDER BY id"):
            assert engine.ask(query) == wanted.ask(query)
        assert not dangling(engine)


# -- notes, verdicts, files ------------------------------------------------------------------------------


def test_the_same_catalog_and_notes_give_the_same_text(small: Project) -> None:
    assert rendered(small) == rendered(small)


def test_notes_are_woven_into_their_section(small: Project) -> None:
    (small.root / docs.NOTES).mkdir(parents=True)
    (small.root / docs.NOTES / "0002.md").write_text("Ask **Clerk** first.\n")
    text = rendered(small)
    assert section(text, "### 0002 clerk").rstrip().endswith("\nAsk **Clerk** first.")
    assert text.count("Ask **Clerk** first.") == 1


def test_a_note_without_a_migration_is_an_error(small: Project) -> None:
    (small.root / docs.NOTES).mkdir(parents=True)
    (small.root / docs.NOTES / "2.md").write_text("x\n")
    with pytest.raises(UsageError, match=r"docs/rollback_notes/2.md belongs to no migration"):
        rendered(small)
    (small.root / docs.NOTES / "2.md").write_bytes(b"\xff")
    with pytest.raises(ScriptError, match=r"docs/rollback_notes/2.md:1:1: byte 0xff is not UTF-8"):
        rendered(small)


def test_what_cannot_be_rolled_back_says_why(small: Project) -> None:
    small.write(
        {
            "0004_mend.sql": "UPDATE users SET email = 'x';\n",
            "0005_bare.sql": "CREATE VIEW mails AS SELECT email FROM users;\n",
            "0006_sent.sql": "-- d1ops: irreversible the mail is sent\nCREATE TABLE sent (id);\n",
            "0007_rows.sql": "INSERT INTO reviews (id) VALUES ('r');\n",
        },
        {"0004_rollback.sql": "SELECT 1;\n", "0007_rollback.sql": "DELETE FROM reviews WHERE id = 'r';\n"},
    )
    text = rendered(small)
    why = re.sub(r"\s+", " ", section(text, "## What cannot be rolled back, and why"))
    assert "- 0004 mend (irreversible): users: of 3 rows, email (2 values)" in why
    assert "- 0005 bare (unproven): it has no rollback script" in why
    assert "- 0006 sent (irreversible): marked irreversible: the mail is sent" in why
    assert "| 0005 | bare " in text
    assert "d1ops rollback" not in section(text, "### 0005 bare")
    assert "**unproven**: nothing shows that its rollback works." in section(text, "### 0005 bare")
    assert "**irreversible**: no script brings back what it took." in section(text, "### 0004 mend")
    assert "- its rollback destroys: the 1 row it inserted into reviews" in section(text, "### 0007 rows")


def test_what_a_migration_changes_and_removes_is_named(project: Project) -> None:
    project.write(
        {
            "0001_a.sql": "CREATE TABLE a (x, y);\nCREATE INDEX ax ON a (x);\nCREATE TABLE b (z REFERENCES a (x));\n",
            "0002_b.sql": "DROP INDEX ax;\nALTER TABLE a RENAME COLUMN x TO xx;\n"
            "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END;\nCREATE VIEW v AS SELECT 1 AS one;\n",
            "0003_c.sql": "SELECT 1;\n",
            "0004_d.sql": "CREATE TABLE d (id INTEGER PRIMARY KEY REFERENCES d (id));\n",
        },
        {
            "0002_rollback.sql": "DROP VIEW v;\nDROP TRIGGER t;\nALTER TABLE a RENAME COLUMN xx TO x;\n"
            "CREATE INDEX ax ON a (x);\n",
            "0003_rollback.sql": "SELECT 1;\n",
        },
    )
    text = rendered(project)
    listed = section(text, "### 0002 b")
    assert "- objects that it removes: index ax\n" in listed
    assert "- objects that it changes: table a, table b\n" in listed
    assert "- views that it makes: v\n" in listed
    assert "- triggers that it makes: t\n" in listed
    assert "- it makes nothing\n" in section(text, "### 0003 c")
    assert re.search(r"\| d\.id +\| d +\| NO ACTION \| PRIMARY KEY \| 0004 +\|", text)
    assert re.search(r"\| b\.z +\| a +\| NO ACTION \| NOTHING +\| - +\|", text)


def test_an_empty_catalog_has_a_runbook_too(project: Project) -> None:
    text = rendered(project)
    assert "0 migrations: none yet." in text
    assert "0 of 0 foreign keys" in text


def test_check_says_from_which_line_it_is_out_of_date(small: Project, tmp_path: Path) -> None:
    text = rendered(small)
    with pytest.raises(AnswerIsNo, match=r"docs/MIGRATION_ROLLBACK.md does not exist"):
        docs.check(tmp_path, text)
    assert docs.write(tmp_path, text) is True
    assert docs.write(tmp_path, text) is False
    docs.check(tmp_path, text)
    file = tmp_path / docs.RUNBOOK
    file.write_text(text.replace("## Fix forward first", "## Fix it"))
    with pytest.raises(AnswerIsNo, match=r"out of date from line 11 on") as caught:
        docs.check(tmp_path, text)
    assert caught.value.hint == "d1ops docs writes it anew; commit the result"
    file.write_text(text + "more\n")
    with pytest.raises(AnswerIsNo, match=rf"out of date from line {len(text.splitlines()) + 1} on"):
        docs.check(tmp_path, text)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(AnswerIsNo, match="from line 1 on"):
        docs.check(tmp_path, text)


def test_a_place_that_cannot_be_written_is_an_error(small: Project, tmp_path: Path) -> None:
    (tmp_path / "docs").write_text("a file")
    with pytest.raises(UsageError, match=r"docs/MIGRATION_ROLLBACK.md cannot be written: "):
        docs.write(tmp_path, "text")
