"""`emulate`: a D1 API of our own on this machine."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from d1ops.cli import output
from d1ops.cli.call import Call
from d1ops.cli.declare import command
from d1ops.errors import ConfigError, ExitCode, UsageError

PORT = 8799

E = TypeVar("E", bound=StrEnum)


@command("emulate", "d1ops emulate", "d1ops emulate --port 0 --engine workerd --data .d1ops/emulator")
def emulate(
    call: Call,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Where it listens; 0 takes a free one.")] = PORT,
    engine: Annotated[str, typer.Option("--engine", metavar="sqlite|workerd", help="What runs the SQL.")] = "sqlite",
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            file_okay=False,
            show_default=False,
            help="Where databases are kept. Default: a temporary folder.",
        ),
    ] = None,
    token: Annotated[
        str | None, typer.Option("--token", show_default=False, help="The one token. Default: any is taken.")
    ] = None,
    read_token: Annotated[
        str | None, typer.Option("--read-token", show_default=False, help="A token that may only read.")
    ] = None,
    latency: Annotated[int, typer.Option("--latency", metavar="MS", min=0, help="Wait before every answer.")] = 0,
    faults: Annotated[
        str, typer.Option("--faults", metavar="SPEC", help="Spoil requests: 'seed=7,rate=0.2' (docs/emulator.md).")
    ] = "",
    splitter: Annotated[
        str, typer.Option("--splitter", metavar="exact|d1", help="Cut texts right, or with the service's defects.")
    ] = "exact",
    rate_limit: Annotated[
        int | None, typer.Option("--rate-limit", min=1, show_default=False, help="Requests of a token in 5 minutes.")
    ] = None,
) -> ExitCode:
    """Serve Cloudflare's D1 API on this machine, until it is interrupted.

    wrangler, Cloudflare's SDKs and d1ops itself work against it once the variables that it prints are set.
    """
    try:
        from d1ops.emulator import Emulator, EngineName, Settings, Splitter
        from d1ops.emulator.faults import parse
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the emulator needs {error.name}, which is not installed", hint="pip install 'd1ops[emulator]'"
        ) from None
    import os

    settings = Settings(
        folder=data,
        engine=_choice("--engine", engine, EngineName),
        token=token,
        read_token=read_token,
        latency_seconds=latency / 1000,
        faults=parse(faults),
        splitter=_choice("--splitter", splitter, Splitter),
        rate_limit=rate_limit,
        environ=os.environ,
    )
    emulator = Emulator(settings, port=port)
    try:
        variables = emulator.environment()
        call.note(url=emulator.url, engine=str(settings.engine), data=str(emulator.state.folder), environment=variables)
        call.answer([f"export {name}={value}" for name, value in variables.items()])
        if not call.is_json:
            output.write(f"# D1 over {settings.engine} in {emulator.state.folder}; Ctrl-C ends it.")
        emulator.serve()
    except KeyboardInterrupt:
        pass  # How a server ends.
    finally:
        emulator.close()
    return ExitCode.DONE


def _choice(option: str, text: str, known: type[E]) -> E:
    try:
        return known(text)
    except ValueError:
        listed = " or ".join(known)
        raise UsageError(f"{option} is {listed}, not {text!r}", hint="d1ops emulate --help") from None
