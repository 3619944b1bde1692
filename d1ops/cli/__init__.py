"""The command line: it parses, calls one use-case, and renders what comes back. Nothing here decides about data.

`run` is the entry, `app` the list of commands, `commands/` one module for each group of verbs. What a command knows
travels in a `Call`. One module writes to standard output (`output`), one to standard error (`diagnostics`). Imports
that cost time happen inside of commands.
"""
