"""What a configuration says, as frozen values. Unknown keys and wrong types are refused.

`EnvFile` is what `config/<env>.toml` may hold; `Settings` is the same with every default filled in and every
id taken from where it was found. Paths are text relative to the project root, as a person typed them;
`Settings.at` makes them absolute.
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - pydantic reads the annotations at run time
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Kind: TypeAlias = Literal["sqlite", "workerd", "cloudflare"]

Line: TypeAlias = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$")]
"""Text without control characters."""

Text: TypeAlias = Annotated[Line, Field(min_length=1)]
"""A line that is not empty."""

ACCOUNT_ID = r"^[A-Za-z0-9_-]+$"

AccountId: TypeAlias = Annotated[str, Field(pattern=ACCOUNT_ID)]
"""Goes into the path of a URL. Cloudflare's are 32 hexadecimal digits."""

DEFAULT_LEDGER = "d1_migrations"
"""The ledger table's name when nobody names another (wrangler's `migrations_table`)."""

_MEBIBYTE = 1024 * 1024


def _not_reserved(name: str) -> str:
    if name.lower().startswith(("_cf_", "sqlite_", "d1ops_")):
        raise ValueError("begins with _cf_, sqlite_ or d1ops_, which are reserved")
    return name


LedgerName: TypeAlias = Annotated[Text, AfterValidator(_not_reserved)]


class Section(BaseModel):
    """A table of a configuration file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DatabaseSettings(Section):
    """`[database]`: the target."""

    kind: Kind
    path: Text | None = None
    """sqlite: the file."""
    account_id: AccountId | None = None
    """cloudflare: the account that owns the database."""
    database_id: Text | None = None
    """cloudflare: the uuid. workerd: the local id, which names the file (see `wrangler.local_id`)."""
    database_name: Text | None = None
    """cloudflare: looked up when there is no `database_id`. Otherwise shown, and never checked here."""
    binding: Text | None = None
    """workerd: a binding of wrangler's file; without that file it is the local id."""
    persist: Text = ".wrangler/state"
    """workerd: the state folder, which `wrangler dev` shares (its `--persist-to`)."""
    node_modules: Text | None = None
    """workerd: the folder that holds miniflare, when it is not found by itself."""
    wrangler: Text | None = None
    """Take the ids from wrangler's file: a binding or a database_name there."""
    wrangler_env: Line | None = None
    """The environment of wrangler's file to look in; empty is its top level."""


class CatalogSettings(Section):
    """`[catalog]`: the folders of scripts, and the table that says what is applied."""

    migrations: Text = "db/migrations"
    rollbacks: Text = "db/rollbacks"
    queries: Text = "db/queries"
    ledger: LedgerName = DEFAULT_LEDGER


class CopySettings(Section):
    """`[backup.copy]`: a bucket that speaks S3, such as R2. Credentials come from the environment alone."""

    bucket: Text | None = None
    endpoint: Annotated[str, Field(pattern=r"^https?://[^\s@]+$")] | None = None
    region: Text = "auto"
    prefix: Text = "d1ops"


class BackupSettings(Section):
    """`[backup]`: what may be read without asking, who can read it, and where it is copied to."""

    max_bytes: Annotated[int, Field(gt=0)] = 1024 * _MEBIBYTE
    """The largest database, in bytes, that is backed up without asking."""
    recipients: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    """Keys that backups are encrypted to: age's, or SSH public keys."""
    key_file: Text | None = None
    """The file with the identity that opens them again."""
    copy_to: Annotated[CopySettings, Field(alias="copy")] = CopySettings()


class IgnoreSettings(Section):
    """`[[audit.ignore]]`: a finding that somebody decided not to hear of."""

    rule: Text
    """The rule's id. The audit refuses one that does not exist; no other command is kept from its work by it."""
    reason: Text
    """Why. It is shown wherever the finding would be."""
    table: Text | None = None
    index: Text | None = None
    query: Text | None = None
    """The query's name."""
    columns: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    """Together these say which findings; what is left out fits all."""


class AuditSettings(Section):
    """`[audit]`: what the audit does not report."""

    ignore: Annotated[tuple[IgnoreSettings, ...], Field(strict=False)] = ()


Price: TypeAlias = Annotated[float, Field(ge=0, strict=False, allow_inf_nan=False)]


class PriceSettings(Section):
    """`[prices]`: what rows cost, without what a plan includes. The defaults are D1's published prices."""

    currency: Text = "USD"
    rows_read_per_million: Price = 0.001
    rows_written_per_million: Price = 1.0
    storage_gb_month: Price = 0.75


class EnvFile(Section):
    """What `config/<env>.toml` may say."""

    protected: bool | None = None
    state: Text = ".d1ops"
    """The folder of backups, the journal and what is known of the target."""
    token_command: Annotated[tuple[Text, ...], Field(strict=False, repr=False)] = ()
    """A program and its arguments (no shell); the first line that it prints is the API token."""
    database: DatabaseSettings
    catalog: CatalogSettings = CatalogSettings()
    backup: BackupSettings = BackupSettings()
    audit: AuditSettings = AuditSettings()
    prices: PriceSettings = PriceSettings()


class Settings(EnvFile):
    """Everything that is known of an env before its target is asked."""

    env: str
    project: Path
    """The project root, absolute."""
    source: Path
    """The file that names the target, absolute: `config/<env>.toml`, or wrangler's."""
    protected: bool

    def at(self, path: str) -> Path:
        """Return a configured path, absolute."""
        return self.project / path

    @property
    def shown_source(self) -> str:
        """`source` as a person would type it from the project root."""
        return self.source.relative_to(self.project).as_posix()
