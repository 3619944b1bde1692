"""Many runners of `migrate` on one database at once, each with a client, a journal and a name of its own."""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from d1ops.client import Budget, D1Client, Settings
from d1ops.core.ledger import EventKind, State
from d1ops.database.base import Atomicity
from d1ops.database.http import HttpDatabase
from d1ops.emulator import Emulator, EngineName
from d1ops.emulator import Settings as ServerSettings
from d1ops.errors import D1opsError, PartialRun, TargetMoved
from d1ops.ops import migrate
from d1ops.ops.change import Consent
from d1ops.ops.condition import conditions
from d1ops.ops.look import look
from d1ops.ops.workspace import Workspace, read_catalog
from tests.faults.scenarios import MIGRATIONS
from tests.support.node import MODULES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUNNERS = 16


@dataclass
class Round:
    """What came of one round. `wrong` says what must not be."""

    won: int = 0
    refused: int = 0
    partial: int = 0
    late: int = 0
    wrong: list[str] = field(default_factory=list)


class Race:
    """An emulator, and a project in `folder`; every round has a database of its own."""

    def __init__(self, folder: Path, engine: EngineName) -> None:
        self._folder = folder
        self._server = Emulator(ServerSettings(folder=folder / "emulator", engine=engine, modules=(MODULES,)))
        migrations = folder / "db" / "migrations"
        migrations.mkdir(parents=True)
        for name, text in MIGRATIONS.items():
            (migrations / name).write_text(text)

    @contextmanager
    def open(self) -> Iterator[Race]:
        with self._server:
            yield self

    def run(self, number: int, runners: int = RUNNERS) -> Round:
        """Let all runners migrate at the same moment, from an empty database, and look at what is there.

        In every second round whoever is refused runs again at once, so that runs overlap in every way.
        """
        id_ = self._server.create_database(f"round-{number}")
        gate = threading.Barrier(runners)
        ends: list[D1opsError | int] = []

        def go(runner: int) -> None:
            with closing(self._database(id_)) as database:
                workspace = self._workspace(database, f"runner {runner}", self._folder / f"{number}-{runner}")
                gate.wait()
                while True:
                    try:
                        prepared = migrate.prepare(workspace)
                        done = migrate.migrate(workspace, prepared, Consent(workspace.actor))
                        ends.append(len(done.events))
                        return
                    except D1opsError as error:
                        ends.append(error)
                        if number % 2 == 0 or len(ends) > 20 * runners:
                            return

        threads = [threading.Thread(target=go, args=(runner,)) for runner in range(runners)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self._judge(id_, ends, number)

    def _database(self, id_: str) -> HttpDatabase:
        settings = Settings(budget=Budget(10**9), sleep=lambda _: None)
        client = D1Client(self._server.settings.account_id, "t0ken", base_url=self._server.base_url, settings=settings)
        return HttpDatabase(client, id_, name="race", atomicity=Atomicity.PROVED)

    def _workspace(self, database: HttpDatabase, actor: str, state: Path) -> Workspace:
        catalog = read_catalog(self._folder, "db/migrations", "db/rollbacks")
        return Workspace(env="far", database=database, catalog=catalog, state=state, actor=actor)

    def _judge(self, id_: str, ends: list[D1opsError | int], number: int) -> Round:
        found = Round()
        for end in ends:
            cause = end.cause if isinstance(end, PartialRun) else end
            if isinstance(end, int):
                found.won += end > 0
                found.late += end == 0
            elif isinstance(cause, TargetMoved):
                found.partial += isinstance(end, PartialRun)
                found.refused += isinstance(end, TargetMoved)
                found.wrong += _unnamed(cause)
            else:
                found.wrong.append(f"a runner ended with {end!r}")
        with closing(self._database(id_)) as database:
            # Whoever was refused runs again; then everything is applied, whoever did it.
            workspace = self._workspace(database, "the last", self._folder / f"{number}-last")
            prepared = migrate.prepare(workspace)
            migrate.migrate(workspace, prepared, Consent("the last"))
            seen = look(workspace)
            states = [status.state for status in seen.statuses(workspace)]
            if [row.name for row in seen.ledger] != list(MIGRATIONS):
                found.wrong.append(f"the ledger holds {[row.name for row in seen.ledger]}")
            if states != [State.APPLIED] * len(MIGRATIONS):
                found.wrong.append(f"the states are {states}")
            events = [event.migration for event in seen.history if event.kind == EventKind.MIGRATE]
            if events != list(MIGRATIONS):
                found.wrong.append(f"the history says {events}")
            if conditions(workspace, seen):
                found.wrong.append(f"left: {conditions(workspace, seen)}")
            tags = database.query("SELECT count(*) FROM tags").scalar()
            if tags != 2:
                found.wrong.append(f"0005 left {tags!r} rows where it makes 2")
        return found


def _unnamed(error: TargetMoved) -> list[str]:
    """What a loser was not told: who, when and what."""
    if error.actor is None or error.at is None or error.tool is None or not error.others:
        return [f"a loser was not told who was first: {error}"]
    told = all(word in error.message for word in (error.actor, error.at, "migrate 000"))
    return [] if told else [f"a loser's message does not say who, when and what: {error.message}"]
