"""Defects that people put into rollback scripts, one at a time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True)
class Mutant:
    """A rollback script with one defect. `kind` names the defect, `what` says where it is."""

    kind: str
    what: str
    statements: tuple[str, ...]


@dataclass(frozen=True)
class Scene:
    """What a mutation may draw on: the columns of the tables and the names of the indexes while the script runs."""

    columns: dict[str, tuple[str, ...]]
    definitions: dict[str, str]
    indexes: tuple[str, ...]


_LOST = (
    ("CHECK", r"\s+CHECK\s*\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)"),
    ("DEFAULT", r"\s+DEFAULT\s+(?:'[^']*'|[\w.]+|\([^()]*\))"),
    ("collation", r"\s+COLLATE\s+\w+"),
    ("NOT NULL", r"\s+NOT NULL"),
    ("UNIQUE", r"\s+UNIQUE(?=\s*[,)])"),
    ("AUTOINCREMENT", r"\s+AUTOINCREMENT"),
    ("STRICT", r"\s*STRICT\s*$"),
    ("WITHOUT ROWID", r"\s*WITHOUT ROWID\s*$"),
    (
        "foreign key",
        r"\s+REFERENCES\s+\w+\s*(?:\([^()]*\))?(?:\s+ON (?:DELETE|UPDATE) (?:CASCADE|SET NULL|SET DEFAULT))*",
    ),
    ("foreign key action", r"\s+ON (?:DELETE|UPDATE) (?:CASCADE|SET NULL|SET DEFAULT)"),
    ("generated column", r"\s+AS\s*\([^()]*\)\s*(?:STORED|VIRTUAL)"),
)


def mutants(script: Sequence[str], scene: Scene) -> Iterator[Mutant]:
    """Yield every script that differs by one defect."""
    for index, sql in enumerate(script):
        place = f"{index + 1}: {' '.join(sql.split())[:60]}"
        if len(script) > 1:
            yield Mutant("drop a statement", place, (*script[:index], *script[index + 1 :]))
        if index + 1 < len(script):
            swapped = (*script[:index], script[index + 1], sql, *script[index + 2 :])
            yield Mutant("wrong order", place, swapped)
        for kind, other in _other_forms(sql, scene):
            yield Mutant(kind, place, (*script[:index], *other, *script[index + 1 :]))
    for kind, extra in _extras(scene):
        yield Mutant(kind, extra, (*script, extra))


def _other_forms(sql: str, scene: Scene) -> Iterator[tuple[str, tuple[str, ...]]]:
    words = sql.split()
    head = [word.upper() for word in words[:3]]
    if head[:2] == ["DROP", "INDEX"]:
        for other in [name for name in scene.indexes if name != words[2]][:2]:
            yield "drop a wrong index", (f"DROP INDEX {other}",)
    if "DROP COLUMN" in sql:
        yield "rebuild instead of DROP COLUMN", _rebuild(words[2], words[5], scene)
        others = [c for c in scene.columns.get(words[2], ()) if c != words[5]]
        for other in others[-1:]:
            yield "drop a wrong column", (sql.replace(words[5], other),)
    if "RENAME" in sql.upper().split() and head[:1] == ["ALTER"]:
        yield "wrong name", (f"{sql}_old",)
    if head[:2] == ["CREATE", "TABLE"] and " AS SELECT" not in sql:
        yield from _other_tables(sql)
    if " AS SELECT" in sql and head[:2] == ["CREATE", "TABLE"]:
        for kind, tail in (("copies one row", " LIMIT 1"), ("copies no row", " WHERE 0")):
            yield f"the copy {kind}", (sql + tail,)
        yield "the copy is DISTINCT", (sql.replace(" AS SELECT ", " AS SELECT DISTINCT ", 1),)
        if "rowid AS stash_rowid" in sql:
            yield "the copy is DISTINCT, without rowid", _without_rowid_copy(sql)
    if head[:2] == ["INSERT", "INTO"] and "SELECT" in sql:
        yield from _other_copies(sql)
    if head[:2] == ["CREATE", "INDEX"] or head == ["CREATE", "UNIQUE", "INDEX"]:
        yield from _other_indexes(sql)
    yield from _other_bodies(sql, head)
    if head[:2] == ["DELETE", "FROM"] and "WHERE" in sql:
        yield "deletes too much", (sql.partition(" WHERE ")[0],)
        yield "deletes too little", (f"{sql} AND 0",)


def _other_bodies(sql: str, head: list[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    if head[:2] == ["CREATE", "VIEW"]:
        yield "changed view", (sql.replace("count(", "max(").replace("n FROM", "n2 FROM"),)
        yield "changed view", (f"{sql} LIMIT 3",)
    if head[:2] == ["CREATE", "TRIGGER"]:
        yield "changed trigger", (re.sub(r"\bAFTER\b", "BEFORE", sql, count=1),)
        yield "changed trigger", (re.sub(r"\bBEGIN\b", "BEGIN SELECT 0;", sql, count=1),)
        yield "changed trigger", (re.sub(r"'([a-z]+)'", r"'\1 '", sql, count=1),)


def _rebuild(table: str, column: str, scene: Scene) -> tuple[str, ...]:
    """The textbook rebuild, with everything that goes wrong with it on D1."""
    kept = ", ".join(name for name in scene.columns[table] if name != column)
    definition = scene.definitions[table]
    return (
        "PRAGMA foreign_keys = OFF",
        f"CREATE TABLE {table}_new AS SELECT {kept} FROM {table}"
        if not definition
        else re.sub(rf"(?i)(CREATE TABLE )\"?{table}\"?", rf"\1{table}_new", definition, count=1),
        f"INSERT INTO {table}_new ({kept}) SELECT {kept} FROM {table}",
        f"DROP TABLE {table}",
        f"ALTER TABLE {table}_new RENAME TO {table}",
    )


def _other_tables(sql: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for kind, pattern in _LOST:
        for match in re.finditer(pattern, sql, re.IGNORECASE):
            yield f"lost {kind}", (sql[: match.start()] + sql[match.end() :],)
    for old, new in (
        ("ON DELETE CASCADE", "ON DELETE SET NULL"), ("ON DELETE SET NULL", "ON DELETE CASCADE"),
        ("NOCASE", "RTRIM"), (" TEXT", " BLOB"), (" REAL", " NUMERIC"), (" INTEGER NOT", " INT NOT"),
    ):  # fmt: skip
        if old in sql:
            yield "changed column", (sql.replace(old, new, 1),)
    opening, closing = sql.index("("), sql.rindex(")")
    parts = _by_comma(sql[opening + 1 : closing])
    columns = [p for p in parts if p.split()[0].upper() not in ("PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "CONSTRAINT")]
    if len(columns) > 1:
        rest = parts[len(columns) :]
        reordered = ",".join([*columns[1:], columns[0], *rest])
        yield "column order", (f"{sql[:opening]}({reordered}){sql[closing + 1 :]}",)


def _by_comma(body: str) -> list[str]:
    parts, depth = [""], 0
    for c in re.sub(r"--[^\n]*", "", body):
        depth += {"(": 1, ")": -1}.get(c, 0)
        if c == "," and not depth:
            parts.append("")
        else:
            parts[-1] += c
    return parts


def _other_copies(sql: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    match = re.match(r"(?is)(INSERT INTO \S+) \((.*?)\) SELECT (.*?) FROM (\S+)$", sql)
    if match is None:
        return
    into, columns, values, source = match[1], match[2].split(", "), match[3].split(", "), match[4]

    def copy(into_columns: list[str], cells: list[str], tail: str = "") -> tuple[str, ...]:
        return (f"{into} ({', '.join(into_columns)}) SELECT {', '.join(cells)} FROM {source}{tail}",)

    for name in values[1:]:
        yield "the copy has a WHERE", copy(columns, values, f" WHERE {name} IS NOT NULL")
    yield "the copy has a LIMIT", copy(columns, values, " LIMIT 2")
    unnumbered = copy([c for c in columns if c != "rowid"], [v for v in values if "rowid" not in v])
    yield "the copy is doubled", (sql, re.sub("^INSERT", "INSERT OR IGNORE", unnumbered[0]))
    for index, name in enumerate(values):
        fewer = columns[:index] + columns[index + 1 :], values[:index] + values[index + 1 :]
        yield "lost rowid" if "rowid" in name else "wrong copy list", copy(*fewer)
        yield "a value is not copied", copy(columns, [*values[:index], "NULL", *values[index + 1 :]])
        yield (
            "a value is changed",
            copy(
                columns,
                [
                    *values[:index],
                    f"concat({name}, '~')" if "rowid" not in name else f"{name} + 7",
                    *values[index + 1 :],
                ],
            ),
        )
        if index + 1 < len(values):
            swapped = [*values[:index], values[index + 1], name, *values[index + 2 :]]
            yield "swapped columns", copy(columns, swapped)


def _without_rowid_copy(sql: str) -> tuple[str, ...]:
    return (re.sub(r"AS SELECT rowid AS stash_rowid, ", "AS SELECT DISTINCT NULL AS stash_rowid, ", sql),)


def _other_indexes(sql: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    if "UNIQUE" in sql:
        yield "lost UNIQUE", (sql.replace("UNIQUE ", "", 1),)
    else:
        yield "gained UNIQUE", (sql.replace("CREATE ", "CREATE UNIQUE ", 1),)
    if " WHERE " in sql:
        yield "lost condition of an index", (sql.partition(" WHERE ")[0],)
    if " DESC" in sql:
        yield "changed index", (sql.replace(" DESC", "", 1),)
    if ", " in sql.partition("(")[2]:
        yield "changed index", (re.sub(r", [^,()]+\)", ")", sql, count=1),)


def _extras(scene: Scene) -> Iterator[tuple[str, str]]:
    tables = sorted(scene.columns)
    for table in tables[:2]:
        column = scene.columns[table][-1]
        yield "deletes rows beside", f"DELETE FROM {table}"
        yield "overwrites values beside", f"UPDATE {table} SET {column} = {column} || 'x'"
    for index in scene.indexes[:2]:
        yield "drops an index beside", f"DROP INDEX {index}"
    yield "leaves a table over", "CREATE TABLE left_over AS SELECT 1 AS one"
