"""The cases of the corpus: data in `corpus/*.sql` and the tables of `tables`.

A file is a section. A line that begins with `--@` says what the lines below it are:

    --@ setup           statements that every case of the section finds done
    --@ lines           every line is a case of one statement, named by its text
    --@ case NAME       statements sent as one batch
    --@ text NAME       one text sent as it stands, whatever it holds
    --@ request         a further batch of the same case
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from d1ops.core.sql import split
from d1ops.core.values import Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CORPUS = Path(__file__).with_name("corpus")

Request: TypeAlias = tuple[Statement, ...]


@dataclass(frozen=True)
class Case:
    """Requests sent one after the other. `name` is its own within the section."""

    name: str
    requests: tuple[Request, ...]


@dataclass(frozen=True)
class Section:
    """Cases that each begin with what `setup` makes."""

    name: str
    setup: Request
    cases: tuple[Case, ...]


def section(name: str, setup: Request, cases: Iterable[Case]) -> Section:
    """Return a section whose cases are sure to have names of their own."""
    made = Section(name, setup, tuple(cases))
    names = [case.name for case in made.cases]
    assert len(names) == len(set(names)), f"{name}: {sorted({each for each in names if names.count(each) > 1})}"
    return made


def read(path: Path) -> Section:
    """Read a file of the corpus."""
    setup: Request = ()
    cases: list[Case] = []
    for directive, body in _blocks(path.read_text()):
        kind, _, name = directive.partition(" ")
        match kind:
            case "setup":
                setup = _batch(body, path)
            case "lines":
                cases += [Case(line, ((Statement(line),),)) for line in body.splitlines() if line]
            case "case":
                cases.append(Case(name, (_batch(body, path),)))
            case "text":
                cases.append(Case(name, ((Statement(body.strip("\n")),),)))
            case "request":
                last = cases.pop()
                cases.append(Case(last.name, (*last.requests, _batch(body, path))))
            case _:
                raise ValueError(f"{path.name}: --@ {directive}")
    return section(path.stem, setup, cases)


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    head, *blocks = text.split("--@ ")
    assert all(not line or line.startswith("--") for line in head.splitlines())
    for block in blocks:
        directive, _, body = block.partition("\n")
        yield directive.strip(), body


def _batch(body: str, path: Path) -> Request:
    return tuple(Statement(statement.sql) for statement in split(body, path.name))
