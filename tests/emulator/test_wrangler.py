"""Real wrangler against the emulator, over both engines: every command of `d1` that speaks to the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from d1ops.client import D1Client
    from d1ops.emulator import Emulator
    from tests.emulator.conftest import Wrangler

SCRIPT = """CREATE TABLE artists (id INTEGER PRIMARY KEY, name TEXT NOT NULL, score REAL, photo BLOB);
CREATE TABLE tracks (id INTEGER PRIMARY KEY, artist INTEGER REFERENCES artists(id), title TEXT);
CREATE INDEX tracks_by_artist ON tracks(artist);
CREATE TRIGGER shout AFTER INSERT ON artists BEGIN
  UPDATE artists SET name = CASE WHEN new.name = '' THEN 'nobody' ELSE upper(new.name) END WHERE id = new.id;
END;
INSERT INTO artists VALUES (1, 'ada', 1.5, X'00ff'), (2, '', NULL, NULL);
INSERT INTO tracks VALUES (1, 1, 'It''s; not the end');
"""


def test_create_list_info_and_delete(wrangler: Wrangler, server: Emulator, api: D1Client) -> None:
    said = wrangler.run("create", "music", "--location", "weur")
    made = api.get_database("music")
    assert f'"database_id": "{made.uuid}"' in said
    assert "music" in {each["name"] for each in wrangler.json("list")}
    server.database(made.uuid).query("CREATE TABLE t(a)")
    api.query(made.uuid, "SELECT * FROM t")
    told = wrangler.json("info", "music")
    assert (told["uuid"], told["name"], told["num_tables"]) == (made.uuid, "music", 1)
    assert (told["read_queries_24h"], told["write_queries_24h"], told["running_in_region"]) == (1, 0, "WEUR")
    assert "Deleted 'music' successfully" in wrangler.run("delete", "music", "-y")
    assert made.uuid not in {each.uuid for each in api.list_databases()}


def test_a_name_that_is_taken_is_an_error(wrangler: Wrangler, server: Emulator) -> None:
    server.create_database("taken")
    wrangler.run("create", "taken", expect=1)


def test_execute_a_command_a_file_and_a_mistake(wrangler: Wrangler, server: Emulator) -> None:
    wrangler.configure("execute", server.create_database("execute"))
    (wrangler.root / "seed.sql").write_text(SCRIPT)
    (done,) = wrangler.json("execute", "execute", "--remote", "--file", "seed.sql")
    assert (done["results"][0]["Total queries executed"], done["success"]) == (6, True)
    assert done["finalBookmark"]
    answers = wrangler.json(
        "execute", "execute", "--remote", "--command", "SELECT * FROM artists; SELECT title, 1 AS n FROM tracks"
    )
    assert answers[0]["results"] == [
        {"id": 1, "name": "ADA", "score": 1.5, "photo": [0, 255]},
        {"id": 2, "name": "nobody", "score": None, "photo": None},
    ]
    assert answers[1]["results"] == [{"title": "It's; not the end", "n": 1}]
    assert answers[0]["meta"]["rows_read"] == 2
    error = wrangler.json("execute", "execute", "--remote", "--command", "SELECT * FROM nope", expect=1)
    assert error["error"]["notes"][0]["text"] == "no such table: nope: SQLITE_ERROR [code: 7500]"


def test_a_file_that_fails_changes_nothing_and_a_known_file_is_not_sent_again(
    wrangler: Wrangler, server: Emulator
) -> None:
    id_ = server.create_database("imports")
    wrangler.configure("imports", id_)
    (wrangler.root / "bad.sql").write_text("CREATE TABLE t(a UNIQUE);\nINSERT INTO t VALUES(1), (1);\n")
    assert "UNIQUE constraint failed" in wrangler.run("execute", "imports", "--remote", "--file", "bad.sql", expect=1)
    assert server.database(id_).query("SELECT count(*) FROM sqlite_schema WHERE name = 't'").scalar() == 0
    (wrangler.root / "good.sql").write_text("CREATE TABLE IF NOT EXISTS t(a);\nINSERT INTO t VALUES(1);\n")
    wrangler.run("execute", "imports", "--remote", "--file", "good.sql")
    assert "File already uploaded" in wrangler.run("execute", "imports", "--remote", "--file", "good.sql")
    assert server.database(id_).query("SELECT count(*) FROM t").scalar() == 2


def test_export_everything_the_schema_the_data_and_one_table(wrangler: Wrangler, server: Emulator) -> None:
    id_ = server.create_database("exports")
    wrangler.configure("exports", id_)
    server.database(id_).ingest(SCRIPT)

    def export(*options: str) -> str:
        wrangler.run("export", "exports", "--remote", "-y", "--output", "out.sql", *options)
        return (wrangler.root / "out.sql").read_text()

    whole = export()
    copy = server.create_database("exports-copy")
    server.database(copy).ingest(whole)
    for sql in ("SELECT * FROM artists", "SELECT * FROM tracks", "SELECT type, name FROM sqlite_schema ORDER BY 1, 2"):
        assert server.database(copy).query(sql).rows == server.database(id_).query(sql).rows
    schema = export("--no-data")
    assert "CREATE TRIGGER shout" in schema
    assert 'INSERT INTO "' not in schema
    data = export("--no-schema", "--table", "tracks")
    assert data.splitlines() == [
        "PRAGMA defer_foreign_keys=TRUE;",
        """INSERT INTO "tracks" ("id","artist","title") VALUES(1,1,'It''s; not the end');""",
    ]


def test_export_refuses_virtual_tables_unless_asked(wrangler: Wrangler, server: Emulator) -> None:
    id_ = server.create_database("virtual")
    wrangler.configure("virtual", id_)
    server.database(id_).query("CREATE VIRTUAL TABLE f USING fts5(a)")
    said = wrangler.run("export", "virtual", "--remote", "-y", "--output", "out.sql", expect=1)
    assert "cannot export databases with Virtual Tables (fts5)" in said
    wrangler.run("export", "virtual", "--remote", "-y", "--output", "out.sql", "--compatibility", "sqlite3_cli_only")
    assert "CREATE VIRTUAL TABLE f" in (wrangler.root / "out.sql").read_text()


def test_migrations_are_listed_applied_and_stop_at_a_failing_one(wrangler: Wrangler, server: Emulator) -> None:
    id_ = server.create_database("moves")
    wrangler.configure("moves", id_)
    folder = wrangler.root / "migrations"
    folder.mkdir()
    (folder / "0001_first.sql").write_text(SCRIPT)
    (folder / "0002_second.sql").write_text("ALTER TABLE artists ADD COLUMN born TEXT;\n-- a comment at the end")
    assert "0002_second.sql" in wrangler.run("migrations", "list", "moves", "--remote")
    wrangler.run("migrations", "apply", "moves", "--remote")
    assert "No migrations to apply" in wrangler.run("migrations", "list", "moves", "--remote")
    (folder / "0003_third.sql").write_text("CREATE TABLE half(a);\nINSERT INTO nope VALUES(1);")
    assert "no such table: nope" in wrangler.run("migrations", "apply", "moves", "--remote", expect=1)
    found = server.database(id_).query("SELECT name FROM d1_migrations ORDER BY id").rows
    assert found == (("0001_first.sql",), ("0002_second.sql",))
    assert server.database(id_).query("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").scalar() == 0


def test_time_travel_tells_and_restores_by_bookmark_and_by_time(
    wrangler: Wrangler, server: Emulator, api: D1Client
) -> None:
    id_ = server.create_database("times")
    wrangler.configure("times", id_)
    api.query(id_, "CREATE TABLE t AS SELECT 1 AS a")
    before = wrangler.json("time-travel", "info", "times")["bookmark"]
    moment = server.settings.now().isoformat()
    api.query(id_, "UPDATE t SET a = 2")
    done = wrangler.json("time-travel", "restore", "times", "--bookmark", before)
    assert api.query(id_, "SELECT a FROM t").scalar() == 1
    wrangler.json("time-travel", "restore", "times", "--bookmark", done["previous_bookmark"])
    assert api.query(id_, "SELECT a FROM t").scalar() == 2
    wrangler.json("time-travel", "restore", "times", "--timestamp", moment)
    assert api.query(id_, "SELECT a FROM t").scalar() == 1


def test_insights_tell_what_was_executed(wrangler: Wrangler, server: Emulator, api: D1Client) -> None:
    id_ = server.create_database("insights")
    wrangler.configure("insights", id_)
    api.query(id_, "CREATE TABLE t(a)")
    api.query(id_, "INSERT INTO t VALUES('a'), ('b'), ('c')")
    for number in range(3):
        api.query(id_, f"SELECT * FROM t WHERE a <> {number} -- a comment")
    found = wrangler.json("insights", "insights", "--sort-by", "reads", "--limit", "1")
    assert [(each["query"], each["numberOfTimesRun"], each["totalRowsRead"]) for each in found] == [
        ("SELECT * FROM t WHERE a <> ?", 3, 9)
    ]
    assert (found[0]["avgRowsRead"], found[0]["queryEfficiency"]) == (3, 1)
    assert {each["databaseId"] for each in wrangler.json("insights", "--limit", "10000")} >= {id_}


def test_a_database_that_is_not_there_is_told_as_wrangler_knows_it(wrangler: Wrangler) -> None:
    error = wrangler.json("execute", "nope", "--remote", "--command", "SELECT 1", expect=1)
    assert "Couldn't find" in error["error"]["text"]
