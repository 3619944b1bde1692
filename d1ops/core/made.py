"""What a migration makes, changes and removes, read from the database before and after it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.schema import diff
from d1ops.core.trial import data_columns, data_tables, opened, user_schema

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Made:
    """What a migration does to the schema. `columns` (`table.column`) are those that it adds to tables of others,
    `rows` what it inserts, by table; `changed` and `removed` are labels such as `table users`."""

    tables: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    rows: tuple[tuple[str, int], ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def touched_tables(self) -> frozenset[str]:
        """Tables that were there and are not as they were."""
        return frozenset(c.partition(".")[0] for c in self.columns) | frozenset(
            o.partition(" ")[2] for o in (*self.changed, *self.removed)
        )


def made_between(before: bytes, after: bytes) -> Made:
    """Compare two images."""
    with closing(opened(before)) as old, closing(opened(after)) as new:
        differences = diff(user_schema(old), user_schema(new))
        there, ordinary = {t.lower(): t for t in data_tables(old)}, set(data_tables(new))
        added: dict[str, list[str]] = {"table": [], "index": [], "view": [], "trigger": []}
        columns: list[str] = []
        changed: list[str] = []
        for difference in differences:
            kind, _, name = difference.label.partition(" ")
            if difference.change == "extra" and (kind != "table" or name in ordinary):
                added[kind].append(name)
            elif difference.change in ("different", "reordered"):
                had, has = (data_columns(each, name) if kind == "table" else [] for each in (old, new))
                fresh = _without(has, had)
                columns += [f"{name}.{column}" for column in fresh]
                if len(had) + len(fresh) != len(has) or not fresh:
                    changed.append(difference.label)
        rows = []
        for table in sorted(ordinary):
            more = new.count(table) - (old.count(there[table.lower()]) if table.lower() in there else 0)
            rows += [(table, more)] if more > 0 else []
        return Made(
            tables=tuple(added["table"]),
            columns=tuple(columns),
            indexes=tuple(added["index"]),
            views=tuple(added["view"]),
            triggers=tuple(added["trigger"]),
            rows=tuple(rows),
            changed=tuple(changed),
            removed=tuple(d.label for d in differences if d.change == "missing"),
        )


def _without(names: Iterable[str], others: Iterable[str]) -> list[str]:
    known = {name.lower() for name in others}
    return [name for name in names if name.lower() not in known]
