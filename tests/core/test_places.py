"""Where the catalog makes an object, through renames, rebuilds and columns that came later."""

from __future__ import annotations

import pytest

from d1ops.core.catalog import build_catalog
from d1ops.core.mirror import schema_of
from d1ops.core.places import NOWHERE, Place, Places, find_places
from d1ops.core.replay import replay
from d1ops.errors import StatementRejected
from d1ops.ops.workspace import read_catalog
from tests.support.project import REPOSITORY


def places(**files: str) -> Places:
    catalog = build_catalog({f"{name.lstrip('m')}.sql": text.encode() for name, text in files.items()}, {})
    return find_places(catalog.migrations)


def at(file: str, line: int) -> Place:
    return Place(f"db/migrations/{file}.sql", line)


def test_a_table_an_index_and_the_lines_of_columns() -> None:
    found = places(
        m0001='-- first\nCREATE TABLE "Users" (\n  id TEXT PRIMARY KEY, -- (a, b\n  "e mail" TEXT,\n  plan TEXT\n);\n',
        m0002='\n\nCREATE UNIQUE INDEX\n  users_mail ON users ("e mail");',
    )
    assert found.of_table("USERS") == at("0001", 2)
    assert found.of_table("users", ("ID",)) == at("0001", 3)
    assert found.of_table("users", ("E MAIL", "plan")) == at("0001", 4)
    assert found.of_table("users", ("nothing", "plan")) == at("0001", 5)
    assert found.of_table("users", ("nothing",)) == at("0001", 2)
    assert found.of_index("Users_Mail") == at("0002", 3)
    assert found.of_table("nothing") is None
    assert found.of_index("nothing") is None
    assert NOWHERE.of_table("users", ("id",)) is None


def test_a_column_that_came_later_is_where_it_was_added() -> None:
    found = places(
        m0001="CREATE TABLE t (\n id INTEGER PRIMARY KEY);",
        m0002="ALTER TABLE t ADD a REFERENCES t;\nALTER TABLE main.[T] ADD COLUMN 'b' REFERENCES t;",
    )
    assert found.of_table("t", ("a",)) == at("0002", 1)
    assert found.of_table("t", ("B", "a")) == at("0002", 2)
    assert found.of_table("t", ("id",)) == at("0001", 2)


def test_a_renamed_table_stays_where_it_was_made() -> None:
    found = places(m0001="CREATE TABLE a (id);\nCREATE INDEX i ON a (id);", m0002="ALTER TABLE a RENAME TO b;")
    assert found.of_table("b") == at("0001", 1)
    assert found.of_index("i") == at("0001", 2)


def test_a_rebuilt_table_is_where_its_new_form_was_written() -> None:
    found = places(
        m0001="CREATE TABLE t (id);\nALTER TABLE t ADD v;\nCREATE TABLE other (id);",
        m0002="CREATE TABLE t_new (\n id,\n v);\nDROP TABLE t;\nALTER TABLE t_new RENAME TO t;\nALTER TABLE t ADD w;",
    )
    assert found.of_table("t") == at("0002", 1)
    assert found.of_table("t", ("v",)) == at("0002", 3)
    assert found.of_table("t", ("w",)) == at("0002", 6)
    assert found.of_table("other") == at("0001", 3)


def test_the_last_object_of_a_name_counts_and_one_that_is_dropped_is_still_found() -> None:
    found = places(
        m0001="CREATE TABLE t (id);\nCREATE INDEX i ON t (id);",
        m0002="DROP INDEX i;\nCREATE INDEX i ON t (id DESC);",
        m0003="DROP TABLE t;",
    )
    assert found.of_index("i") == at("0002", 2)
    assert found.of_table("t") == at("0001", 1)


def test_every_object_of_the_sample_is_made_by_the_statement_that_is_pointed_at() -> None:
    catalog = read_catalog(REPOSITORY, "db/migrations", "db/rollbacks")
    found = find_places(catalog.migrations)
    objects = [
        o for o in schema_of(replay(catalog.migrations)).objects if o.sql is not None and o.name != "sqlite_sequence"
    ]
    assert len(objects) > 50
    for o in objects:
        place = found.of_table(o.name) if o.type == "table" else found.of_index(o.name)
        assert place is not None
        line = (REPOSITORY / place.path).read_text().splitlines()[place.line - 1]
        assert o.name in line
    artist = found.of_table("gigs", ("organizer_user_id",))
    assert artist is not None
    assert "organizer_user_id" in (REPOSITORY / artist.path).read_text().splitlines()[artist.line - 1]


def test_a_script_that_does_not_run_is_named() -> None:
    with pytest.raises(StatementRejected, match=r"db/migrations/0002\.sql:2:"):
        places(m0001="CREATE TABLE t (id);", m0002="CREATE TABLE u (id);\nCREATE INDEX i ON v (id);")
