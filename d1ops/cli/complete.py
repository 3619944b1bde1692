"""What the shell offers for an argument that is being typed. A completion never fails and never writes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def envs() -> list[str]:
    """Return the names of the project's environments."""
    from d1ops.config.load import find_project, known_envs
    from d1ops.errors import D1opsError

    with suppress(D1opsError, OSError):
        return list(known_envs(find_project(Path.cwd())))
    return []


def migrations() -> list[tuple[str, str]]:
    """Return the numbers of the migrations of env dev, or of the usual folders, with their names."""
    import os

    from d1ops.config.load import find_project, load_settings
    from d1ops.errors import D1opsError
    from d1ops.ops.workspace import read_catalog

    with suppress(D1opsError, OSError):
        settings = load_settings(find_project(Path.cwd()), "dev", os.environ)
        catalog = read_catalog(settings.project, settings.catalog.migrations, settings.catalog.rollbacks)
        return [(migration.label, migration.name) for migration in catalog.migrations]
    return []
