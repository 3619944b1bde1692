"""Drift for people and for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from d1ops.core.schema import Difference
    from d1ops.ops.drift import Drift

_WORDS = {
    "missing": "is missing on the target",
    "extra": "is on the target and no migration makes it",
    "different": "has another form on the target",
    "reordered": "has its columns in another order on the target",
}


def drift_document(found: Drift) -> dict[str, Any]:
    """The differences, object by object, with both texts."""
    return {
        "clean": found.is_clean,
        "objects": [
            {"object": d.label, "change": d.change, "migrations": d.before, "target": d.after}
            for d in (*found.differences, *found.reordered)
        ],
    }


def drift_lines(found: Drift) -> list[str]:
    """The differences with both texts, and a line that sums them up."""
    from d1ops.cli.text import count

    lines: list[str] = []
    for difference in (*found.differences, *found.reordered):
        lines += [f"{difference.label} {_WORDS[difference.change]}", *_texts(difference), ""]
    if found.is_clean and not found.reordered:
        return ["no drift: the target is what its migrations make"]
    if found.is_clean:
        return [*lines, "no drift but for the order of columns, which INSERT without column names and SELECT * see"]
    return [*lines, f"drift: {count(len(found.differences), 'object')} not as the migrations make them"]


def _texts(difference: Difference) -> list[str]:
    return [
        *_text("migrations", difference.before),
        *_text("target", difference.after),
    ]


def _text(name: str, sql: str | None) -> list[str]:
    if sql is None:
        return []
    first, *rest = sql.splitlines()
    margin = " " * (len(name) + 4)
    return [f"  {name}: {first}", *(f"{margin}{line}" for line in rest)]
