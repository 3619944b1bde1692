"""`sample` and `tour`: something to try d1ops on."""

from __future__ import annotations

from typing import Annotated

import typer

from d1ops.cli import diagnostics
from d1ops.cli.call import Call
from d1ops.cli.consent import Agreement, Yes, obtain
from d1ops.cli.declare import command
from d1ops.errors import ExitCode, GuardRefused


@command("sample", "d1ops sample", "d1ops sample --rows 1000 --seed 7")
def sample(
    call: Call,
    rows: Annotated[int, typer.Option("--rows", min=1, help="How many rows for every table.")] = 40,
    seed: Annotated[int, typer.Option("--seed", help="The same seed makes the same rows.")] = 1,
    yes: Yes = False,
) -> ExitCode:
    """Fill every table with sample rows, for development.

    Refused on a protected env.
    """
    from dataclasses import asdict

    from d1ops.cli.text import count
    from d1ops.ops import sample as use_case
    from d1ops.ops.look import look

    with call.open(catalog=False) as workspace:
        if workspace.protected:
            raise GuardRefused(
                f"{workspace.env} is protected, and sample rows are for development",
                hint="--env dev, or protected = false in the env's file",
            )
        seen = look(workspace)
        call.introduce(workspace, seen)
        if not seen.schema.tables():
            raise GuardRefused("the database has no tables to fill", hint=call.command("migrate"))
        question = f"Add {count(rows, 'row')} to every table of {workspace.database.target.name}?"
        obtain(workspace, Agreement(yes), question)
        made = use_case.sample(workspace.database, rows=rows, seed=seed, ledger=workspace.ledger)
        call.note(
            rows=made.rows,
            seed=seed,
            tables=[asdict(filled) for filled in made.tables],
            statements=made.statements,
            batches=made.batches,
        )
        for filled in made.tables:
            if filled.shortfall:
                diagnostics.warn(f"{filled.table} got {filled.rows} of {rows} rows: {filled.shortfall}")
        call.answer([f"{count(made.rows, 'row')} in {count(len(made.tables), 'table')}, seed {seed}"])
    return ExitCode.DONE


@command("tour", "d1ops tour")
def tour(call: Call) -> ExitCode:
    """See it work: migrate, roll back, be refused, audit.

    Makes a fresh SQLite database of the sample marketplace in a folder of its own (.d1ops/tour/, or a temporary one)
    and runs real commands on it. Nothing else is touched.
    """
    from datetime import UTC, datetime
    from pathlib import Path

    from d1ops.cli import output
    from d1ops.cli import tour as script

    def tell(text: str) -> None:
        if not call.is_json:
            output.write(text)

    folder = script.make_folder(call.project or Path.cwd(), datetime.now(UTC))
    script.fill_folder(script.find_sample(), folder)
    tell(f"# The tour's folder is {folder}; each command below was run there.")
    done = script.run(folder, tell)
    ended_well = all(each.is_as_expected for each in done)
    call.document = {
        "folder": str(folder),
        "steps": [
            {
                "says": each.step.says,
                "command": ["d1ops", *each.step.command] if each.step.command else None,
                "file": each.step.shows,
                "exit_code": each.exit_code,
                "expected_exit_code": int(each.step.must_exit),
                "output": each.output,
            }
            for each in done
        ],
    }
    if ended_well:
        call.answer(["", f"# That was all. Look around: cd {folder}"])
        return ExitCode.DONE
    call.answer([])
    code = done[-1].exit_code
    return ExitCode(code) if code and code in list(ExitCode) else ExitCode.HUMAN
