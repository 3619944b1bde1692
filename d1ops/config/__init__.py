"""Configuration: which database an env points at, who may reach it, and how to open it.

`load` reads `config/<env>.toml` and wrangler's own file into one `Settings`, `login` finds the token and the
account, `open` makes a `Database` of them. The submodules are imported where they are needed: pydantic and
the adapters cost start-up time.
"""
