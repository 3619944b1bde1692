"""Catalogs of any size, the same for the same seed: migrations as projects have them, each with a rollback that a
person would write."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from d1ops.core.catalog import Catalog, build_catalog
from d1ops.core.engine import Engine
from d1ops.core.replay import run_script
from d1ops.core.sql import split
from d1ops.errors import StatementRejected


@dataclass
class Table:
    name: str
    columns: list[str]
    is_parent: bool = False


@dataclass
class Author:
    """Writes migrations one after another, and remembers what is there."""

    seed: int
    tables: list[Table] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._serial = 0

    def pair(self, *, new_table: bool) -> tuple[str, str]:
        """Return the next migration and its rollback."""
        self._serial += 1
        if new_table or not self.tables:
            return self.create_table()
        kinds = [self.add_column] * 4 + [self.create_index] * 4 + [self.insert_rows] * 2
        kinds += [self.create_view, self.create_trigger, self.rename_column, self.several_indexes]
        return self._random.choice(kinds)()

    def create_table(self) -> tuple[str, str]:
        name = f"{self._random.choice(('order', 'item', 'note', 'file', 'event', 'page'))}_{self._serial}"
        columns = ["label", "amount", "created_at"]
        parts = [
            "id INTEGER PRIMARY KEY" if self._serial % 2 else "id TEXT PRIMARY KEY NOT NULL",
            "label TEXT NOT NULL DEFAULT 'none'",
            "amount INTEGER CHECK (amount >= 0)",
            "created_at TEXT NOT NULL DEFAULT (datetime('now'))",
        ]
        hubs = self.tables[:8] if self._random.random() < 0.5 else self.tables
        parents = self._random.sample(hubs, min(len(hubs), self._random.choice((0, 1, 1, 2))))
        action = self._random.choice(("CASCADE", "SET NULL", "NO ACTION"))
        indexes = []
        for parent in parents:
            parent.is_parent = True
            column = f"{parent.name}_id"
            columns.append(column)
            parts.append(f"{column} REFERENCES {parent.name} (id) ON DELETE {action}")
            indexes.append(f"CREATE INDEX idx_{name}_{column} ON {name} ({column});\n")
        self.tables.append(Table(name, columns))
        return f"CREATE TABLE {name} (\n  {',  '.join(parts)}\n);\n{''.join(indexes)}", f"DROP TABLE {name};\n"

    def add_column(self) -> tuple[str, str]:
        table, column = self._random.choice(self.tables), f"extra_{self._serial}"
        table.columns.append(column)
        kind = self._random.choice(("TEXT", "INTEGER NOT NULL DEFAULT 0", "REAL CHECK (abs(extra_%d) < 1e9)"))
        kind = kind.replace("%d", str(self._serial))
        return (
            f"ALTER TABLE {table.name} ADD COLUMN {column} {kind};\n",
            f"ALTER TABLE {table.name} DROP COLUMN {column};\n",
        )

    def create_index(self) -> tuple[str, str]:
        table = self._random.choice(self.tables)
        name = f"idx_{self._serial}"
        return (
            f"CREATE INDEX {name} ON {table.name} ({self._random.choice(table.columns)});\n",
            f"DROP INDEX {name};\n",
        )

    def several_indexes(self) -> tuple[str, str]:
        tables = self._random.sample(self.tables, min(len(self.tables), 5))
        names = [f"idx_{self._serial}_{number}" for number, _ in enumerate(tables)]
        made = [f"CREATE INDEX {name} ON {table.name} (label);\n" for name, table in zip(names, tables, strict=True)]
        return "".join(made), "".join(f"DROP INDEX {name};\n" for name in names)

    def insert_rows(self) -> tuple[str, str]:
        name = f"kind_{self._serial}"
        self.tables.append(Table(name, ["label"]))
        return (
            f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, label TEXT UNIQUE);\n"
            f"INSERT INTO {name} (id, label) VALUES (101, 'first'), (102, 'second');\n",
            f"DROP TABLE {name};\n",
        )

    def create_view(self) -> tuple[str, str]:
        table, name = self._random.choice(self.tables), f"view_{self._serial}"
        return f"CREATE VIEW {name} AS SELECT id, label FROM {table.name};\n", f"DROP VIEW {name};\n"

    def create_trigger(self) -> tuple[str, str]:
        table, name = self._random.choice(self.tables), f"touch_{self._serial}"
        return (
            f"CREATE TRIGGER {name} AFTER UPDATE OF label ON {table.name}\n"
            f"BEGIN\n  UPDATE {table.name} SET label = trim(label) WHERE id = new.id;\nEND;\n",
            f"DROP TRIGGER {name};\n",
        )

    def rename_column(self) -> tuple[str, str]:
        table = self._random.choice(self.tables)
        old = self._random.choice(table.columns)
        new = f"renamed_{self._serial}"
        if old == "label":
            return self.add_column()
        table.columns[table.columns.index(old)] = new
        return (
            f"ALTER TABLE {table.name} RENAME COLUMN {old} TO {new};\n",
            f"ALTER TABLE {table.name} RENAME COLUMN {new} TO {old};\n",
        )


def generated_catalog(migrations: int, tables: int, seed: int = 1) -> Catalog:
    """Return a catalog of so many migrations that make about so many tables, spread evenly."""
    author = Author(seed)
    forward: dict[str, bytes] = {}
    back: dict[str, bytes] = {}
    for number in range(1, migrations + 1):
        up, down = author.pair(new_table=len(author.tables) * migrations < number * tables)
        forward[f"{number:04}_generated.sql"] = up.encode()
        back[f"{number:04}_rollback.sql"] = down.encode()
    return build_catalog(forward, back)


def entangled_catalog(migrations: int, seed: int) -> Catalog:
    """Return a catalog of few names and many dependencies: migrations that move, rename, drop and rewrite what others
    made, with rollbacks right and wrong. Every migration runs after the earlier ones."""
    draw = random.Random(seed)
    forward: dict[str, bytes] = {}
    back: dict[str, bytes] = {}
    engine = Engine.memory()
    while len(forward) < migrations:
        pairs = [_entangled(draw, len(forward)) for _ in range(draw.choice((1, 1, 2)))]
        script = "".join(f"{up};\n" for up, _ in pairs)
        try:
            run_script(engine, split(script))
        except StatementRejected:
            continue
        number = len(forward) + 1
        forward[f"{number:04}_entangled.sql"] = script.encode()
        if draw.random() < 0.9:
            undo = "".join(f"{down};\n" for _, down in reversed(pairs))
            back[f"{number:04}_rollback.sql"] = undo.encode()
    engine.close()
    return build_catalog(forward, back)


def _entangled(draw: random.Random, serial: int) -> tuple[str, str]:
    def table() -> str:
        return draw.choice("abcdef")

    def column() -> str:
        return draw.choice(("x", "y", "z", f"c{serial}"))

    t, u, c, d = table(), table(), column(), column()
    view, trigger, index = (f"{kind}{draw.randrange(4)}" for kind in "vgi")
    on_delete = draw.choice(("CASCADE", "SET NULL", "NO ACTION"))
    made = f"CREATE TABLE {t} (id INTEGER PRIMARY KEY, x TEXT, r REFERENCES {u} (id) ON DELETE {on_delete})"
    pairs = [
        (made, f"DROP TABLE {t}"),
        (made, f"DROP TABLE {t}"),
        (f"CREATE TABLE IF NOT EXISTS {t} (id INTEGER PRIMARY KEY, y INT)", f"DROP TABLE IF EXISTS {t}"),
        (f"CREATE TABLE {t} AS SELECT * FROM {u}", f"DROP TABLE {t}"),
        (f"ALTER TABLE {t} ADD COLUMN {c} TEXT", f"ALTER TABLE {t} DROP COLUMN {c}"),
        (f"ALTER TABLE {t} ADD COLUMN {c} INT NOT NULL DEFAULT 7", f"ALTER TABLE {t} DROP COLUMN {c}"),
        (f"ALTER TABLE {t} ADD COLUMN {c} REFERENCES {u} (id)", f"ALTER TABLE {t} DROP COLUMN {c}"),
        (f"ALTER TABLE {t} RENAME COLUMN {c} TO {d}", f"ALTER TABLE {t} RENAME COLUMN {d} TO {c}"),
        (f"ALTER TABLE {t} RENAME TO {u}", f"ALTER TABLE {u} RENAME TO {t}"),
        (f"ALTER TABLE {t} DROP COLUMN {c}", f"ALTER TABLE {t} ADD COLUMN {c} TEXT"),
        (f"CREATE INDEX {index} ON {t} ({c})", f"DROP INDEX {index}"),
        (f"CREATE UNIQUE INDEX IF NOT EXISTS {index} ON {t} (id, {c})", f"DROP INDEX IF EXISTS {index}"),
        (f"DROP INDEX IF EXISTS {index}", f"CREATE INDEX {index} ON {t} ({c})"),
        (f"CREATE VIEW {view} AS SELECT * FROM {t}", f"DROP VIEW {view}"),
        (f"CREATE VIEW {view} AS SELECT id, {c} AS n FROM {t}", f"DROP VIEW {view}"),
        (f"DROP VIEW IF EXISTS {view}", f"CREATE VIEW IF NOT EXISTS {view} AS SELECT id FROM {t}"),
        (
            f"CREATE TRIGGER {trigger} AFTER INSERT ON {t} BEGIN UPDATE {u} SET id = id WHERE id = new.id; END",
            f"DROP TRIGGER {trigger}",
        ),
        (
            f"CREATE TRIGGER {trigger} AFTER DELETE ON {t} BEGIN INSERT INTO {u} (id) VALUES (NULL); END",
            f"DROP TRIGGER {trigger}",
        ),
        (f"DROP TRIGGER IF EXISTS {trigger}", "SELECT 1"),
        (f"INSERT INTO {t} (id) VALUES ({100 + serial})", f"DELETE FROM {t} WHERE id = {100 + serial}"),
        (f"INSERT INTO {t} (id, {c}) SELECT id + 1000, {d} FROM {u} WHERE id > 99", f"DELETE FROM {t} WHERE id > 1099"),
        (f"INSERT OR REPLACE INTO {t} (id, {c}) VALUES (101, 'p')", f"DELETE FROM {t} WHERE id = 101"),
        (f"UPDATE {t} SET {c} = 5 WHERE id = 100", f"UPDATE {t} SET {c} = NULL WHERE id = 100"),
        (f"DELETE FROM {t} WHERE id = 101", "SELECT 1"),
        (f"DROP TABLE {t}", made),
    ]
    up, down = draw.choice(pairs)
    return up, draw.choice(pairs)[1] if draw.random() < 0.08 else down
