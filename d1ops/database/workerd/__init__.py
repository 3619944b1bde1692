"""D1 in the engine that Cloudflare runs: workerd, as `wrangler dev` starts it, over the same file."""

from d1ops.database.workerd.adapter import WorkerdDatabase, database_file
from d1ops.database.workerd.process import module_roots

__all__ = ["WorkerdDatabase", "database_file", "module_roots"]
