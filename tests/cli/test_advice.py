"""`audit` with queries from elsewhere, with advice, and with the migration that follows, as a user runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from d1ops.client import D1Client
from d1ops.emulator import Emulator, Settings
from tests.cli.test_reference import is_described, leaves, sections
from tests.support.node import MODULES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.shell import Shell

SOURCE = """
export const byMail = (db: D1Database, mail: string) =>
  db.prepare('SELECT id FROM users WHERE email = ?').bind(mail).first();
export const all = (db: D1Database, table: string) => db.prepare(`SELECT * FROM ${table}`).all();
"""


@pytest.fixture
def coded(filled: Shell) -> Shell:
    """Source code with one query that scans and one that is known only at run time."""
    for file, text in (("src/users.ts", SOURCE), ("src/node_modules/x.js", "db.prepare('SELECT 1 FROM x')")):
        (filled.root / file).parent.mkdir(parents=True, exist_ok=True)
        (filled.root / file).write_text(text)
    filled.write(
        "INSERT INTO users (id, email) SELECT 'n' || value, 'm' || value FROM json_each('[1,2,3,4,5,6,7,8,9]')"
    )
    return filled


def test_queries_of_source_code_are_audited_where_they_stand(coded: Shell) -> None:
    ended = coded("audit", "--from-source", "src", "--format", "json")
    assert ended.code == 1
    (scan,) = [one for one in ended.json["findings"] if one["query"]]
    assert (scan["query"], scan["path"], scan["line"]) == ("byMail", "src/users.ts", 3)
    assert ended.json["sources"] == {
        "files": 1,
        "queries": 1,
        "unresolved": [
            {
                "path": "src/users.ts",
                "line": 4,
                "column": 66,
                "reason": "a name or a piece of SQL is put in at run time",
            }
        ],
        "left_out": [{"path": "src/node_modules", "reason": "not the project's own code"}],
    }
    assert "not audited: src/users.ts:4:66" in ended.err


def test_the_advice_mends_and_its_migration_leaves_nothing_to_find(coded: Shell) -> None:
    ended = coded("audit", "--from-source", "src", "--write-migration", "by_mail", "--format", "json")
    assert ended.code == 1
    indexes = {index["name"]: index for index in ended.json["advice"]["indexes"]}
    assert set(indexes) == {"idx_users_email", "idx_reviews_user_id"}
    assert indexes["idx_users_email"]["queries"] == ["byMail"]
    assert indexes["idx_reviews_user_id"]["foreign_keys"]
    assert ended.json["advice"]["measured_by"] in ("workerd", "sqlite")
    assert ended.json["migration"]["migration"] == "db/migrations/0004_by_mail.sql"
    assert len(ended.json["migration"]["mended"]) == 2
    scan = next(one for one in ended.json["findings"] if one["query"])
    assert "idx_users_email" in scan["fix_sql"]
    assert "idx_users_email" in scan["facts"]["plan_after"][0]
    assert "0004_by_mail.sql" not in coded("check").out, "what the audit writes is as it should be"
    coded.ok("migrate", "--yes")
    assert "0 findings" in coded.ok("audit", "--from-source", "src").out
    coded.ok("rollback", "0004", "--yes")
    assert coded("audit", "--from-source", "src").code == 1


def test_the_advice_is_readable_and_says_how_it_was_measured(coded: Shell) -> None:
    out = coded("audit", "--from-source", "src", "--advice").out
    assert "advice: 2 indexes for 1 query; rows read a run" in out
    assert "CREATE INDEX IF NOT EXISTS idx_users_email ON users (email);" in out
    assert "'byMail' (src/users.ts:3):" in out
    assert "  before: SCAN users" in out
    backup = coded.ok("backup", "create", "--format", "json").json["backup"]["id"]
    assert f"on backup {backup}" in coded("audit", "--from-source", "src", "--advice", "--measure-on", backup).out


TABLE = "CREATE TABLE m (id INTEGER PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users (id), n TEXT);\n"


@pytest.mark.parametrize(
    ("index", "by_hand"),
    [
        ("CREATE INDEX m_u ON m (user_id) -- of users\n;", "SELECT 1"),
        ("CREATE INDEX m_u ON m (user_id);", "CREATE INDEX m_u ON m (user_id COLLATE NOCASE) -- by hand"),
    ],
    ids=["missing", "different"],
)
def test_an_index_that_was_lost_by_hand_is_made_again_and_none_beside_it(
    filled: Shell, index: str, by_hand: str
) -> None:
    filled.migration("0004_m.sql", f"{TABLE}{index} CREATE INDEX r ON reviews (user_id);")
    filled.ok("migrate", "--yes")
    filled.write("DROP INDEX m_u", by_hand)
    written = filled("audit", "--write-migration", "--format", "json").json["migration"]
    assert {key.partition(" ")[0] for key in written["mended"]} == {"foreign-key-without-index", "schema-drift"}
    assert not [sql for sql in written["statements"] if "idx_m" in sql]
    assert "0005  audit_indexes  safe " in filled("check").out, "elsewhere it does nothing"
    filled.ok("migrate", "--yes")
    assert "0 findings" in filled.ok("audit").out
    filled.ok("rollback", "0005", "--yes")
    assert "0 findings" in filled.ok("audit").out, "an older migration makes it"


@pytest.mark.parametrize(
    ("index", "by_hand", "left"),
    [
        ("UNIQUE INDEX m_u", "DROP INDEX m_u", "CREATE UNIQUE INDEX IF NOT EXISTS m_u ON m (user_id);"),
        ("INDEX m_u", "CREATE INDEX m_v ON m (user_id)", "DROP INDEX IF EXISTS m_v;"),
    ],
    ids=["unique", "extra"],
)
def test_what_rows_or_other_databases_decide_is_left_to_a_person(
    filled: Shell, index: str, by_hand: str, left: str
) -> None:
    filled.migration("0004_m.sql", f"{TABLE}CREATE {index} ON m (user_id); CREATE INDEX r ON reviews (user_id);")
    filled.ok("migrate", "--yes")
    filled.write(by_hand)
    ended = filled("audit", "--write-migration")
    assert ended.out.endswith(f"\nno migration written\n  left to you: {left}\n")
    assert not list((filled.root / "db" / "migrations").glob("0005*"))


def test_what_the_advice_makes_worse_is_said(filled: Shell) -> None:
    filled.migration(
        "0004_pairs.sql",
        "CREATE TABLE p (id INTEGER PRIMARY KEY, k TEXT UNIQUE);\n"
        "CREATE TABLE t (a INT, b INT, d TEXT REFERENCES p (k), PRIMARY KEY (a, b));\n",
    )
    filled.ok("migrate", "--yes")
    many = "json_each('[" + ",".join(map(str, range(50))) + "]')"
    filled.write(
        f"INSERT INTO p (k) SELECT 'k' || value FROM {many}",
        f"INSERT INTO t SELECT x.value, y.value, 'k' || x.value FROM {many} AS x, {many} AS y",
    )
    folder = filled.root / "db" / "queries"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pairs.sql").write_text("SELECT p.id, t.a FROM p JOIN t ON t.a = p.k WHERE t.d = ?;\n")
    backup = filled.ok("backup", "create", "--format", "json").json["backup"]["id"]
    argv = ("audit", "--advice", "--measure-on", backup)
    (effect,) = filled(*argv, "--format", "json").json["advice"]["queries"]
    assert effect["rows_read_before"] < effect["rows_read_after"]
    _, _, worse = filled(*argv).out.partition("  reads more with these indexes:\n")
    figures = f"{effect['rows_read_before']:,.0f} -> {effect['rows_read_after']:,.0f} rows read"
    assert worse.startswith(f"    'pairs' (db/queries/pairs.sql:1): {figures}")
    assert "      after:  SEARCH t USING INDEX idx_t_d (d=?)\n" in worse


def test_a_query_that_does_not_run_is_said_and_not_counted(coded: Shell) -> None:
    (coded.root / "db" / "queries").mkdir(exist_ok=True)
    (coded.root / "db" / "queries" / "all.sql").write_text("-- name: all one\nUPDATE users SET id = 'x';\n")
    argv = ("audit", "--from-source", "src", "--advice")
    out = coded(*argv).out
    assert "advice: 2 indexes for 1 query; rows read a run" in out
    assert "  not measured: 'all one' (db/queries/all.sql:2) does not run on the scratch database: UNIQUE con" in out
    document = coded(*argv, "--format", "json").json["advice"]
    reasons = {one["query"]: one["not_run"] for one in document["queries"]}
    assert reasons["byMail"] is None
    assert reasons["all one"].startswith("UNIQUE constraint failed: users.id")


@pytest.mark.parametrize(
    ("argv", "text", "hint"),
    [
        (("a_name",), "'a_name' names a migration, and none is written", "add --write-migration"),
        (("--measure-on", "x"), "--measure-on measures advice", "add --advice"),
        (("--from-source", "nowhere"), "the folder nowhere does not exist", "--from-source"),
        (("--from-insights",), "a sqlite target keeps no query log", "--from-source"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_way_out(
    coded: Shell, argv: tuple[str, ...], text: str, hint: str
) -> None:
    ended = coded("audit", *argv)
    assert ended.code == 2
    assert text in ended.err
    assert hint in ended.err


@pytest.fixture
def far(coded: Shell, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """The same project against D1's API with a query log."""
    with Emulator(Settings(token="edit", analytics_token="look", modules=(MODULES,))) as server:
        id_ = server.create_database("umbrella")
        monkeypatch.setenv("CLOUDFLARE_API_BASE_URL", server.base_url)
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "edit")
        account = server.settings.account_id
        (coded.root / "config" / "far.toml").write_text(
            f'[database]\nkind = "cloudflare"\naccount_id = "{account}"\ndatabase_id = "{id_}"\n'
        )
        coded.ok("migrate", "--env", "far", "--confirm", "far")
        with D1Client(account, "edit", base_url=server.base_url) as api:
            api.query(id_, "INSERT INTO users (id, email) SELECT 'x' || value, value FROM json_each('[1,2,3,4,5]')")
            for number in range(4):
                api.query(id_, f"SELECT id FROM users WHERE email = '{number}'")
                api.query(id_, "SELECT user_id FROM artists WHERE id = ?", ("a",))
        yield server


def test_the_query_log_weighs_and_prices(far: Emulator, coded: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    denied = coded("audit", "--env", "far", "--from-insights")
    assert denied.code == 3
    assert "Account Analytics: Read" in denied.err
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "look")
    argv = ("audit", "--env", "far", "--from-insights", "--days", "7", "--from-source", "src", "--advice")
    document = coded(*argv, "--format", "json").json
    assert document["insights"]["days"] == 7
    seen = {one["query"]: one for one in document["advice"]["queries"] if one["observed"]}
    assert seen["byMail"]["observed"]["executions"] == 4, "one query, wherever it was found"
    (bill,) = [one for one in document["advice"]["months"] if one["query"] == "byMail"]
    assert bill["executions"] == pytest.approx(4 * 30 / 7)
    assert bill["cost_after"] < bill["cost_before"]
    known = sections()
    described = known["audit"] | known["Every document"]
    assert {path for path in leaves(document) if not is_described(path, described)} == set()
    assert "USD a month" in coded(*argv).out


def test_what_the_log_knows_is_broken_by_a_change_is_shown(
    far: Emulator, coded: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    coded.migration("0004_drop.sql", "ALTER TABLE users DROP COLUMN email;\n")
    argv = ("rehearse", "0004", "--env", "far")
    ended = coded(*argv)
    assert ended.code == 5
    assert "the query log was not read (the token lacks the permission Account Analytics: Read)" in ended.out
    assert "breaks the running Worker" not in ended.out
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "look")
    ended = coded(*argv)
    broken = "query 'SELECT id FROM users WHERE email = ?' (query log, 4 runs in 7 days) fails after migrate 0004 drop"
    assert f"breaks the running Worker: {broken}: no such column: email" in ended.out
    assert "queries of the query log of 7 days" in ended.out
    document = coded(*argv, "--format", "json").json
    (one,) = [each for each in document["broken_queries"] if each["executions"] == 4]
    assert (one["query"], one["path"], one["days"]) == ("SELECT id FROM users WHERE email = ?", "", 7)
    assert document["queries"]["problem"] is None
