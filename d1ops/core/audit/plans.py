"""How SQLite would run a query, and what it reads from one end to the other.

EXPLAIN QUERY PLAN names a table by its alias, so its lines alone do not say which `SCAN x` is a real table, and
`SELECT max(v) FROM t` says `SEARCH t` while it reads every row. So the program that SQLite compiled is read beside
the plan: its `Explain` instructions are the lines of the plan, a cursor is opened on a root page, and the root
page belongs to a table or an index. A whole read is a loop that begins at an end of such a b-tree (`Rewind`,
`Last`) under a line that does not search.

Source: SQLite documentation, "The SQLite Bytecode Engine" and "EXPLAIN QUERY PLAN". D1 bills every step of such a
loop as a row read.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import apsw

from d1ops.core.sql import quote_text, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.values import Value


@dataclass(frozen=True, slots=True)
class Tree:
    """A b-tree of the user's: a table's rows (`index` is None) or one of its indexes."""

    table: str
    index: str | None


@dataclass(frozen=True, slots=True)
class WholeRead:
    """A b-tree that is read from one end, and the line of the plan that says so ("" where none does)."""

    tree: Tree
    line: str
    filters: bool = False
    """Whether entries are compared and passed over after they were read."""
    counts: bool = False
    """Whether it is SQLite's own count(*), which looks at no row but is billed for each."""
    repeats: bool = False
    """Whether it is done again for each row of something else."""
    filters_joined: bool = False
    """Whether what is looked up for each entry is compared and passed over."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a query. `lines` are indented by two spaces a level; `reads` are the b-trees that it looks into.

    `early_ends` counts the loops that min() and max() leave once they have a value, which no line tells.
    """

    lines: tuple[str, ...]
    whole_reads: tuple[WholeRead, ...]
    aggregates: bool
    reads: frozenset[Tree] = frozenset()
    early_ends: int = 0


class PlanRefused(Exception):
    """The query does not compile. `offset` is the byte in its text where SQLite points."""

    def __init__(self, text: str, offset: int | None) -> None:
        super().__init__(text)
        self.text = text
        self.offset = offset


class _Step(NamedTuple):
    address: int
    opcode: str
    p1: int
    p2: int
    p3: int
    text: str


def trees_of(engine: Engine, tables: frozenset[str]) -> dict[int, Tree]:
    """Return the b-trees of `tables` (names as in the schema) by their root page."""
    rows = engine.ask("SELECT rootpage, tbl_name, name, type FROM sqlite_master WHERE rootpage > 0")
    found: dict[int, Tree] = {}
    for page, table, name, kind in rows:
        assert isinstance(page, int)
        if table in tables:
            found[page] = Tree(str(table), str(name) if kind == "index" else None)
    return found


def plan_of(engine: Engine, sql: str, parameters: int, trees: Mapping[int, Tree]) -> Plan:
    """Plan a query that takes `parameters` values under D1's rules; nothing is executed.

    Raises PlanRefused when it does not compile.
    """
    values = (None,) * parameters or None
    # SQLite compiles a statement again once a value is bound that its plan could depend on, and the listing of the
    # second program has no lines. With its stability guarantee no plan depends on a value.
    engine.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    try:
        rows = list(engine.connection.execute(sql, values, can_cache=False, explain=2))
        steps = _steps(engine, sql, values)
    except apsw.Error as error:
        offset = getattr(error, "error_offset", -1)
        raise PlanRefused(str(error), offset if offset >= 0 else None) from None
    return Plan(
        lines=indented(rows),
        whole_reads=tuple(read for program in _programs(steps) for read in _whole_reads(program, trees)),
        aggregates=any(step.opcode in ("AggStep", "Count") for step in steps),
        reads=frozenset(_reads(steps, trees)),
        early_ends=sum(_ends_early(step, after) for step, after in pairwise(steps)),
    )


def best_plan_of(engine: Engine, sql: str, parameters: int, trees: Mapping[int, Tree]) -> Plan:
    """Plan a query as `plan_of` does, and where it reads something whole, with patterns that begin with a letter given
    to its LIKEs: where an index serves those, somebody made it for them."""
    plan = plan_of(engine, sql, parameters, trees)
    if not plan.whole_reads or not parameters:
        return plan
    text, left = with_pattern(sql)
    if text == sql:
        return plan
    return min(plan, plan_of(engine, text, left, trees), key=lambda plan: len(plan.whole_reads))


_PATTERNS = {"LIKE": "a%", "GLOB": "a*"}
"""Patterns that begin with a letter: the best that can be asked for."""


def with_pattern(sql: str) -> tuple[str, int]:
    """Return a query with a pattern in the place of every parameter that follows a LIKE or a GLOB, and how many
    parameters it still takes."""
    pieces: list[str] = []
    count = 0
    pattern: str | None = None
    for token in tokens(sql):
        if token.kind == "parameter" and pattern is not None:
            pieces.append(quote_text(pattern))
        else:
            pieces.append(token.text)
            if token.kind == "parameter":
                count = max(count, int(token.text[1:])) if token.text[1:].isdecimal() else count + 1
        if token.kind not in ("space", "comment"):
            pattern = _PATTERNS.get(token.upper)
    return "".join(pieces), count


def rows_counted(engine: Engine, sql: str, values: Sequence[Value]) -> int:
    """Return how many rows SQLite's own count(*) passes over when a query runs: it looks at pages, D1 bills rows.

    0 for a query that does not compile.
    """
    if "COUNT" not in sql.upper():
        return 0
    with engine.free():
        tables = frozenset(str(name) for (name,) in engine.ask("SELECT name FROM sqlite_master WHERE type = 'table'"))
        try:
            steps = _steps(engine, sql, tuple(values) or None)
        except apsw.Error:
            return 0
        trees = trees_of(engine, tables)
        reads = (read for program in _programs(steps) for read in _whole_reads(program, trees))
        return sum(engine.count(read.tree.table) for read in reads if read.counts)


def lines_that_run(engine: Engine, sql: str, values: Sequence[Value] | None) -> tuple[str, ...]:
    """Return the lines of a query's plan without what it skips: the look for children of a new parent row, which SQLite
    takes only while violations are outstanding. Raises apsw.Error where the query does not compile."""
    steps = _steps(engine, sql, values)
    if not any(step.opcode == "Explain" for step in steps):
        # Compiled again for a value that its plan depends on, which takes the lines out of the listing.
        rows = engine.connection.execute(sql, values, can_cache=False, explain=2)
        return tuple(str(line) for _, _, _, line in rows)
    lines: list[str] = []
    for program in _programs(steps):
        resumes_at = 0
        for step in program:
            if step.opcode == "FkIfZero":
                resumes_at = max(resumes_at, step.p2)
            elif step.opcode == "Explain" and step.address >= resumes_at:
                lines.append(step.text)
    return tuple(lines)


def _steps(engine: Engine, sql: str, values: Sequence[Value] | None) -> list[_Step]:
    """Compile a query. In the program of an EXPLAIN QUERY PLAN the lines of the plan are instructions."""
    listing = engine.connection.execute(f"EXPLAIN QUERY PLAN {sql}", values, can_cache=False, explain=1)
    return [_Step(address, opcode, p1, p2, p3, p4 or "") for address, opcode, p1, p2, p3, p4, *_ in listing]


def indented(rows: Iterable[Sequence[Value]]) -> tuple[str, ...]:
    """Return the lines of a plan, from the rows (id, parent, -, line) of EXPLAIN QUERY PLAN."""
    depth: dict[Value, int] = {}
    lines: list[str] = []
    for number, parent, _, line in rows:
        depth[number] = depth.get(parent, -1) + 1
        lines.append("  " * depth[number] + str(line))
    return tuple(lines)


def _reads(steps: Sequence[_Step], trees: Mapping[int, Tree]) -> Iterator[Tree]:
    """Yield the b-trees that are opened to be read, and those that a line names.

    A write looks through an index by the same cursor that it changes it with.
    """
    lines = [step.text for step in steps if step.opcode == "Explain"]
    for step in steps:
        tree = trees.get(step.p2) if step.opcode in ("OpenRead", "ReopenIdx", "OpenWrite") else None
        if tree is None:
            continue
        if step.opcode != "OpenWrite" or (tree.index and any(f"INDEX {tree.index}" in line for line in lines)):
            yield tree


def _programs(steps: Sequence[_Step]) -> Iterator[Sequence[_Step]]:
    """Yield the main program and those of its triggers and foreign-key actions; each begins at address 0."""
    starts = [position for position, step in enumerate(steps) if step.address == 0]
    for start, end in zip(starts, [*starts[1:], len(steps)], strict=True):
        yield steps[start:end]


def _whole_reads(program: Sequence[_Step], trees: Mapping[int, Tree]) -> Iterator[WholeRead]:
    loops = _Loops.of(program)
    cursors: dict[int, Tree | None] = {}
    line = ""
    builds_index = False
    resumes_at = 0
    for position, step in enumerate(program):
        tree = cursors.get(step.p1) if position >= resumes_at else None
        match step.opcode:
            case "Explain":
                line = step.text
                # The Bloom filter beside an automatic index is explained while the index is being built.
                builds_index = builds_index and line.startswith("BLOOM FILTER")
            case "OpenAutoindex":
                builds_index = True
                cursors[step.p1] = None
            case "OpenRead" | "OpenWrite" | "ReopenIdx":
                cursors[step.p1] = trees.get(step.p2)
            case "OpenEphemeral" | "OpenDup" | "OpenPseudo" | "SorterOpen" | "VOpen":
                cursors[step.p1] = None
            case "FkIfZero":
                # A new parent row makes SQLite look for children only while violations are outstanding.
                resumes_at = step.p2
            case "Count" if tree is not None:
                # A bare count(*) is explained after it was compiled.
                after = (later.text for later in program[position:] if later.opcode == "Explain")
                yield WholeRead(tree, next(after, ""), counts=True, repeats=loops.repeat(step))
            case "Rewind" | "Last" if tree is not None and builds_index:
                yield WholeRead(tree, _automatic(program[position:]), repeats=loops.repeat(step))
            case "Rewind" | "Last" if tree is not None and not _searches(line):
                body = _body(program, position)
                if _repeats(body):
                    repeats = loops.repeat(step)
                    yield WholeRead(tree, line, _filters(body), repeats=repeats, filters_joined=_filters_joined(body))
            case _:
                pass


@dataclass(frozen=True, slots=True)
class _Loops:
    """What a program repeats, as pairs of its first and last address, and what it does only once inside of that.

    A loop is a jump back; the one that every program ends with leads to its first instruction.
    """

    loops: Sequence[tuple[int, int]]
    onces: Sequence[tuple[int, int]]

    @classmethod
    def of(cls, program: Sequence[_Step]) -> _Loops:
        return cls(
            [(back.p2, back.address) for back in program if back.opcode in _JUMPS_BACK and 1 < back.p2 < back.address],
            [(once.address, once.p2) for once in program if once.opcode == "Once"],
        )

    def repeat(self, step: _Step) -> bool:
        """Return whether an instruction is inside a loop, and not in what that loop does but `Once`."""
        here = step.address
        around = [start for start, end in self.loops if start <= here < end]
        return bool(around) and max(around) > max((at for at, end in self.onces if at < here < end), default=-1)


def _searches(line: str) -> bool:
    """Return whether a line of a plan reads a part: `SEARCH t USING INDEX i (k=?)`.

    Without a condition, SEARCH stands for min() or max() over all that there is.
    """
    return line.startswith("SEARCH ") and "?" in line


def _automatic(rest: Sequence[_Step]) -> str:
    """Return the line of the automatic index that is being built; it follows the building."""
    return next((step.text for step in rest if step.opcode == "Explain" and " AUTOMATIC " in step.text), "")


def _body(program: Sequence[_Step], start: int) -> Sequence[_Step]:
    """Return a loop without its beginning, up to the Next or Prev that repeats it; empty when nothing does."""
    for position in range(start + 1, len(program)):
        if program[position].opcode in ("Next", "Prev") and program[position].p1 == program[start].p1:
            return program[start + 1 : position + 1]
    return ()


def _repeats(body: Sequence[_Step]) -> bool:
    """Return whether a loop can come to a second entry.

    min() and max() of an indexed column leave the loop after its first entry with a Goto in front of a Next that
    nothing reaches; a condition that passes over entries jumps to that Next.
    """
    if len(body) < 2 or not _ends_early(body[-2], body[-1]):
        return bool(body)
    return any(_jumps(inner, body[-1]) for inner in body[:-2])


def _ends_early(step: _Step, after: _Step) -> bool:
    return step.opcode == "Goto" and after.opcode in ("Next", "Prev") and step.p2 > after.address


def _filters(body: Sequence[_Step]) -> bool:
    """Return whether a condition in a loop passes over entries.

    DISTINCT over an order passes over what equals the entry before it, which it copies for the next comparison.
    """
    return any(
        step.opcode in _COMPARES and _jumps(step, body[-1]) and not _remembers(step, after)
        for step, after in pairwise(body)
    )


def _filters_joined(body: Sequence[_Step]) -> bool:
    """Return whether a condition passes over entries in a loop inside a loop. An outer join keeps its row anyway."""
    ends = {step.address for step in body[:-1] if step.opcode in ("Next", "Prev")}
    line = ""
    for step in body:
        if step.opcode == "Explain":
            line = step.text
        elif step.opcode in _COMPARES and step.p2 in ends and "LEFT-JOIN" not in line:
            return True
    return False


def _remembers(compares: _Step, after: _Step) -> bool:
    """Return whether what was compared is then copied over what it was compared with."""
    place = compares.p1 - after.p1
    return after.opcode == "Copy" and place >= 0 and compares.p3 - after.p2 == place


def _jumps(step: _Step, to: _Step) -> bool:
    """Return whether an instruction can jump to another; the second operand of Column is not an address."""
    return step.p2 == to.address and step.opcode != "Column"


_COMPARES = frozenset(("Eq", "Ne", "Lt", "Le", "Gt", "Ge", "If", "IfNot", "NotNull", "NotFound"))
"""What a condition becomes. IsNull is not among them: it also keeps NULL from being looked up in a joined table."""

_JUMPS_BACK = frozenset(("Next", "Prev", "VNext", "SorterNext", "Goto"))
