"""The worker of d1ops answers as miniflare's own D1 object does, in the same workerd.

Miniflare's object (the code behind `wrangler dev`) is run here without miniflare: the pinned package's
`database.worker.js` and the two modules that it imports. Each case is sent to both, over databases of their own.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from d1ops.database.workerd import WorkerdDatabase

if TYPE_CHECKING:
    from collections.abc import Iterator

NODE = Path(__file__).parents[1] / "node"
WORKERS = NODE / "node_modules" / "miniflare" / "dist" / "src" / "workers"

_CONFIG = """
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main), (name = "databases", disk = (writable = true))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
  extensions = [(modules = [
    (name = "miniflare:shared", esModule = embed "index.worker.js"),
    (name = "miniflare:zod", esModule = embed "zod.worker.js"),
  ])],
);
const main :Workerd.Worker = (
  modules = [
    (name = "main.mjs", esModule = embed "main.mjs"),
    (name = "database.worker.js", esModule = embed "database.worker.js"),
  ],
  compatibilityDate = "2023-07-24",
  compatibilityFlags = ["nodejs_compat", "experimental"],
  durableObjectNamespaces = [(className = "D1DatabaseObject", uniqueKey = "miniflare-D1DatabaseObject")],
  durableObjectStorage = (localDisk = "databases"),
  bindings = [(name = "DATABASES", durableObjectNamespace = "D1DatabaseObject")],
);
"""
_MAIN = """
export { D1DatabaseObject } from "database.worker.js";
export default {
  async fetch(request, env) {
    const stub = env.DATABASES.get(env.DATABASES.idFromName("oracle"));
    try {
      return await stub.fetch(request, { cf: { miniflare: { name: "oracle" } } });
    } catch (error) {
      return Response.json({ success: false, error: error.message });
    }
  },
};
"""


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of miniflare's D1 object."""
    folder = tmp_path_factory.mktemp("oracle")
    for file in ("d1/database.worker.js", "shared/index.worker.js", "shared/zod.worker.js"):
        shutil.copy(WORKERS / file, folder)
    (folder / "config.capnp").write_text(_CONFIG)
    (folder / "main.mjs").write_text(_MAIN)
    (binary,) = NODE.glob("node_modules/@cloudflare/workerd-*/bin/workerd")
    ready, control = os.pipe()
    command = [
        str(binary),
        "serve",
        "--experimental",
        f"--directory-path=databases={folder}",
        f"--control-fd={control}",
        str(folder / "config.capnp"),
    ]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, pass_fds=[control], stderr=log) as process,
        os.fdopen(ready) as messages,
    ):
        os.close(control)
        try:
            yield json.loads(messages.readline())["port"]
        finally:
            process.kill()


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerdDatabase]:
    with closing(WorkerdDatabase("ours", tmp_path_factory.mktemp("ours"), [NODE])) as database:
        yield database


Statements = list[tuple[str, list[Any]]]


def _ask_oracle(port: int, statements: Statements) -> dict[str, Any]:
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        body = json.dumps([{"sql": sql, "params": params} for sql, params in statements])
        connection.request("POST", "/query?resultsFormat=ROWS_AND_COLUMNS", body)
        answer = json.loads(connection.getresponse().read())
    if isinstance(answer, dict):
        return {"error": answer["error"]}
    return {"results": [{**each["results"], "meta": each["meta"]} for each in answer]}


def _ask_ours(database: WorkerdDatabase, statements: Statements) -> dict[str, Any]:
    body = json.dumps({"statements": [{"sql": sql, "params": params} for sql, params in statements]})
    answer = database._host.post("/batch", body.encode())
    if "results" in answer:
        return answer
    return {"error": answer.get("error") or answer["lost"]}


def _comparable(answer: dict[str, Any]) -> dict[str, Any]:
    """Leave out what tells who answered, how long it took, and the random name of an internal error."""
    if "error" in answer:
        return {"error": answer["error"].partition("internal error; reference =")[0] or "internal error"}
    named = ("rows_read", "rows_written", "changes", "last_row_id", "changed_db", "size_after")
    return {"results": [{**each, "meta": {name: each["meta"][name] for name in named}} for each in answer["results"]]}


CASES: list[Statements] = [
    [("CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT UNIQUE, n)", [])],
    [("CREATE TABLE c(id INTEGER PRIMARY KEY, p INTEGER REFERENCES p(id) ON DELETE CASCADE)", [])],
    [("CREATE TABLE plain(p INTEGER REFERENCES p(id))", [])],
    [("CREATE TABLE st(a INT) STRICT", []), ("CREATE VIEW v AS SELECT * FROM p", [])],
    [("CREATE VIRTUAL TABLE f USING fts5(body)", [])],
    [("INSERT INTO p VALUES(1, ?, ?)", ["a", 1]), ("INSERT INTO p VALUES(2, ?, ?)", ["b", [0, 255]])],
    [("INSERT INTO p(name, n) VALUES(?, ?) RETURNING *", ["c", None])],
    [("INSERT INTO c(p) VALUES(1), (1), (2)", []), ("INSERT INTO f VALUES('one two')", [])],
    [("SELECT *, id, typeof(n) FROM p ORDER BY id", [])],
    [("SELECT id, id AS id FROM p WHERE 0", [])],
    [("SELECT * FROM v", []), ("SELECT * FROM f WHERE f MATCH 'two'", [])],
    [("SELECT 9007199254740993, -9223372036854775808, 9e999, -9e999, 1.0, 0.1, -0.0, 1e21, 5e-324", [])],
    [("SELECT x'', x'00ff', CAST(x'ff41' AS TEXT), char(0) || 'a', 1 = 1", [])],
    [("SELECT ?, typeof(?), ?2", [1, "x"]), ("SELECT ?2, ?1", ["a", "b"])],
    [("SELECT 1; SELECT 2", [])],
    [("PRAGMA table_info(p)", []), ("PRAGMA foreign_keys", []), ("PRAGMA foreign_keys = OFF", [])],
    [("SELECT total_changes() > 0, changes(), last_insert_rowid()", [])],
    [("UPDATE p SET n = 5 WHERE id = 1", []), ("DELETE FROM p WHERE id = 1", []), ("SELECT count(*) FROM c", [])],
    [("EXPLAIN QUERY PLAN SELECT * FROM p WHERE name = ?", ["a"])],
    [("INSERT INTO p VALUES(9, 'kept?', 0)", []), ("INSERT INTO p VALUES(9, 'b', 0)", [])],
    [("INSERT INTO p VALUES(10, 'b', 0)", [])],
    [("INSERT INTO plain VALUES(77)", [])],
    [("PRAGMA defer_foreign_keys = ON", []), ("INSERT INTO plain VALUES(77)", [])],
    [("PRAGMA defer_foreign_keys = ON", []), ("INSERT INTO plain VALUES(77)", []), ("DELETE FROM plain", [])],
    [("INSERT INTO st VALUES('x')", [])],
    [("SELECT count(*) FROM p", []), ("SELECT count(*) FROM plain", [])],
    [("SELECT * FROM nope", [])],
    [("SELECT nope", [])],
    [("selec 1", [])],
    [("CREATE TRIGGER x", [])],
    [("", [])],
    [("-- nothing", [])],
    [("  -- one\n  -- two\n", [])],
    [("/* nothing */", [])],
    [(";", [])],
    [("BEGIN", [])],
    [("SAVEPOINT s", [])],
    [("VACUUM", [])],
    [("ATTACH ':memory:' AS x", [])],
    [("CREATE TEMP TABLE x(a)", [])],
    [("CREATE TABLE _cf_x(a)", [])],
    [("SELECT power(2, 3)", [])],
    [("SELECT soundex('a')", [])],
    [("PRAGMA user_version", [])],
    [("SELECT ?", [])],
    [("SELECT 1", ["x"])],
    [("SELECT 1; SELECT ?", ["x"])],
    [("SELECT ?; SELECT 1", ["x"])],
    [(f"SELECT {', '.join('?' * 101)}", ["x"] * 101)],
    [(f"SELECT '{'x' * 100_000}'", [])],
    [("SELECT 1 LIKE ?", ["%" * 51])],
    [("SELECT 1" + " UNION ALL SELECT 1" * 5, [])],
    [("SELECT zeroblob(30000000)", [])],
    [("SELECT json_extract('{}', 'd1ops:it''s\n100%')", [])],
    [("ALTER TABLE p ADD COLUMN z DEFAULT (random())", [])],
    [("ALTER TABLE p DROP COLUMN n", []), ("SELECT sql FROM sqlite_master WHERE name = 'p'", [])],
    [("ANALYZE", []), ("SELECT * FROM sqlite_stat1 ORDER BY 1, 2", [])],
    [("DROP TABLE p", [])],
    [("SELECT name, sql FROM sqlite_master ORDER BY name", [])],
]


def test_answers_as_miniflares_own_object(oracle: int, ours: WorkerdDatabase) -> None:
    for statements in CASES:
        expected = _comparable(_ask_oracle(oracle, statements))
        assert _comparable(_ask_ours(ours, statements)) == expected, statements


def test_differs_where_a_comment_stands_for_a_statement(oracle: int, ours: WorkerdDatabase) -> None:
    """Miniflare drops it, so that answers no longer stand where their statements stood; here the batch is refused."""
    statements: Statements = [("SELECT 1", []), ("-- nothing", []), ("SELECT 2", [])]
    assert len(_ask_oracle(oracle, statements)["results"]) == 2
    assert _ask_ours(ours, statements) == {"error": "No SQL statements detected."}
