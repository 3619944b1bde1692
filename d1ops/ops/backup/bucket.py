"""Copies of backups in a bucket that speaks S3, such as R2. Credentials come from the environment alone."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from d1ops.errors import BackupRefused, ConfigError, Denied, NotFound, Unreachable
from d1ops.ops.backup import files
from d1ops.ops.backup.manifest import MANIFEST, Manifest, parse_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from d1ops.errors import DatabaseError

_PART_BYTES = 8 * 1024 * 1024
KEY_ID, SECRET, SESSION = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"


@dataclass(frozen=True)
class Bucket:
    """A bucket at an endpoint, and the prefix of what is ours in it. `environ` holds the credentials."""

    bucket: str
    endpoint: str | None = None
    region: str = "auto"
    prefix: str = "d1ops"
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    @property
    def name(self) -> str:
        """The bucket and the prefix, as a person writes them."""
        return f"s3://{self.bucket}/{self.prefix}"

    @cached_property
    def _store(self) -> Any:
        try:
            from obstore.store import S3Store
        except ImportError:
            raise ConfigError(
                "backups are copied to a bucket here, and obstore is not installed",
                key="backup.copy.bucket",
                hint="pip install 'd1ops[bucket]'",
            ) from None
        missing = [name for name in (KEY_ID, SECRET) if not self.environ.get(name)]
        if missing:
            raise ConfigError(
                f"no credentials for {self.name}: {' and '.join(missing)} not set",
                key=missing[0],
                hint=f"set {KEY_ID} and {SECRET}; R2 makes them under 'Manage API tokens'",
            )
        config: Any = {
            "endpoint": self.endpoint,
            "region": self.region,
            "access_key_id": self.environ[KEY_ID],
            "secret_access_key": self.environ[SECRET],
            "session_token": self.environ.get(SESSION) or None,
            "virtual_hosted_style_request": False,
        }
        config = {name: value for name, value in config.items() if value is not None}
        return S3Store(
            self.bucket,
            config=config,
            client_options={"allow_http": (self.endpoint or "").startswith("http://")},
            retry_config={"max_retries": 3},
        )

    def _path(self, env: str, backup_id: str, name: str) -> str:
        return "/".join(part for part in (self.prefix.strip("/"), env, backup_id, name) if part)

    def put(self, folder: Path, manifest: Manifest) -> None:
        """Copy a backup, its manifest last, and read the size back. Raises Unreachable or Denied when it is not taken.

        The backup itself is whole either way.
        """
        import obstore

        here = f"backup {manifest.id} is made and verified here, and its copy is not in {self.name}"
        store = self._store
        try:
            for name in (manifest.packed_file, MANIFEST):
                path = self._path(manifest.env, manifest.id, name)
                with (folder / name).open("rb") as file:
                    obstore.put(store, path, file, chunk_size=_PART_BYTES, max_concurrency=2)
                if obstore.head(store, path)["size"] != (folder / name).stat().st_size:
                    raise Unreachable(f"{here}: {name} arrived with another size")
        except Exception as error:  # noqa: BLE001 - the library has no common base; what is ours passes through
            raise _failed(error, here) from None

    def get(self, env_folder: Path, backup_id: str) -> tuple[Path, Manifest]:
        """Download a backup beside those of its env, into a private folder of this process.

        Raises NotFound for a backup that is not there, Unreachable and Denied, BackupRefused for a damaged manifest.
        """
        import obstore

        from d1ops.ops.backup.verified import private_folder

        store, env = self._store, env_folder.name
        folder = private_folder(env_folder, f"{backup_id}-copy")
        what = f"backup {backup_id} cannot be fetched from {self.name}"
        try:
            data = bytes(obstore.get(store, self._path(env, backup_id, MANIFEST)).bytes())
            manifest = parse_manifest(data, f"{self.name}/{env}/{backup_id}/{MANIFEST}")
            if manifest.id != backup_id:
                raise BackupRefused(
                    f"the manifest in {self.name} belongs to backup {manifest.id}", hint="d1ops backup verify ID"
                )
            files.write_private(folder / MANIFEST, data)
            with files.create_private(folder / manifest.packed_file) as sink:
                for piece in obstore.get(store, self._path(env, backup_id, manifest.packed_file)).stream():
                    sink.write(bytes(piece))
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if not isinstance(error, Exception):
                raise
            raise _failed(error, what) from None
        return folder, manifest


def _failed(error: Exception, what: str) -> Exception:
    """Return the error of ours for what the library raised; its own texts may quote a request."""
    from obstore import exceptions

    if isinstance(error, BackupRefused | ConfigError | Unreachable):
        return error
    kinds: dict[type[Exception], tuple[type[DatabaseError], str]] = {
        FileNotFoundError: (NotFound, "it is not there"),
        exceptions.PermissionDeniedError: (Denied, "the credentials may not do this"),
        exceptions.UnauthenticatedError: (Denied, "the credentials are wrong"),
    }
    for kind, (ours, text) in kinds.items():
        if isinstance(error, kind):
            return ours(f"{what}: {text}", hint=f"check bucket, endpoint, {KEY_ID} and {SECRET}")
    if isinstance(error, OSError) and not isinstance(error, exceptions.BaseError):  # The disk here.
        return error
    return Unreachable(
        f"{what}: the bucket did not answer as it should", hint="check backup.copy.endpoint and try again"
    )
