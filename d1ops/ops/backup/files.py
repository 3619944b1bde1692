"""Files of a backup: packed with Zstandard, encrypted to recipients where there are some, for their owner alone.

Everything streams; nothing holds a whole file.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import zstandard

from d1ops.errors import BackupRefused, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from threading import Event

_PIECE = 1024 * 1024
_LEVEL = 1
"""Seen with rows of a database: twice as fast as level 3, and no larger."""
_NAME_IT = "name the file with the identity of one of its recipients: backup.key_file, or D1OPS_IDENTITY"
_NO_IDENTITY = "a file that age-keygen or ssh-keygen wrote"


@dataclass(frozen=True, slots=True)
class Packed:
    """What packing came to: checksums and sizes of the plain and of the packed file."""

    data_sha256: str
    data_bytes: int
    packed_sha256: str
    packed_bytes: int


def create_private(path: Path) -> BinaryIO:
    """Open a new file that its owner alone may read."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")


def write_private(path: Path, data: bytes) -> None:
    """Write a new file, 0600, to the disk."""
    with create_private(path) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Have the system write a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> tuple[str, int]:
    """Return checksum and size of a file."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size


class _Counting:
    """Passes pieces on and remembers their checksum and size."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, piece: bytes) -> int:
        self.digest.update(piece)
        self.size += len(piece)
        self._sink.write(piece)
        return len(piece)

    def flush(self) -> None:
        self._sink.flush()


class Stopped(Exception):
    """Nobody waits for the file any more."""


class _Stoppable:
    """A file that raises Stopped when it is read after somebody said `stop`."""

    def __init__(self, file: BinaryIO, stop: Event | None) -> None:
        self._file = file
        self._stop = stop

    def read(self, size: int = -1) -> bytes:
        _go_on(self._stop)
        return self._file.read(size)


def pack(source: Path, destination: Path, recipients: Sequence[str], stop: Event | None = None) -> Packed:
    """Compress a file, encrypt it where there are recipients, and prove that it unpacks to what it was.

    What is encrypted is proved before: nobody here may be able to read it afterwards. Raises ConfigError for a
    recipient that is none, Stopped soon after somebody says `stop`.
    """
    keys = [_recipient(text) for text in recipients]
    plain = hashlib.sha256()
    zst = destination.with_name(destination.name.removesuffix(".age")) if keys else destination
    with source.open("rb") as file, create_private(zst) as sink:
        counting = _Counting(sink)
        compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
        with compressor.stream_writer(counting, size=source.stat().st_size, closefd=False) as writer:  # type: ignore[arg-type]  # whatever has write
            while piece := file.read(_PIECE):
                _go_on(stop)
                plain.update(piece)
                writer.write(piece)
        sink.flush()
        os.fsync(sink.fileno())
    packed = Packed(plain.hexdigest(), source.stat().st_size, counting.digest.hexdigest(), counting.size)
    if _sha256_unpacked(zst, stop) != packed.data_sha256:
        raise BackupRefused("the packed file does not unpack to what was packed", hint="check the disk")
    if not keys:
        return packed
    with zst.open("rb") as file, create_private(destination) as sink:
        try:
            _pyrage().encrypt_io(_Stoppable(file, stop), sink, keys)
        except Exception:
            _go_on(stop)  # What the source raised comes as another error.
            raise
        sink.flush()
        os.fsync(sink.fileno())
    zst.unlink()
    sha256, size = sha256_of(destination)
    return Packed(packed.data_sha256, packed.data_bytes, sha256, size)


def unpack(source: Path, destination: Path, *, encrypted: bool, identity: Path | None) -> str:
    """Write the plain file (new, 0600) and return its checksum. Raises BackupRefused for what cannot be unpacked,
    ConfigError where it is encrypted and no identity opens it."""
    if not encrypted:
        return _decompress(source, destination)
    keys = identities_of(identity)
    between = destination.with_name(destination.name + ".zst")
    try:
        with source.open("rb") as file, create_private(between) as sink:
            try:
                _pyrage().decrypt_io(file, sink, keys)
            except _pyrage().DecryptError as error:
                raise ConfigError(
                    f"{source.name} cannot be decrypted: {error}",
                    key="backup.key_file",
                    hint=_NAME_IT,
                ) from None
        return _decompress(between, destination)
    finally:
        between.unlink(missing_ok=True)


def _decompress(source: Path, destination: Path) -> str:
    digest = hashlib.sha256()
    with source.open("rb") as file, create_private(destination) as sink:
        try:
            with zstandard.ZstdDecompressor().stream_reader(file) as reader:
                while piece := reader.read(_PIECE):
                    digest.update(piece)
                    sink.write(piece)
        except zstandard.ZstdError as error:
            raise BackupRefused(f"{source.name} cannot be unpacked: {error}", hint="d1ops backup list") from None
    return digest.hexdigest()


def _sha256_unpacked(path: Path, stop: Event | None) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as reader:
        while piece := reader.read(_PIECE):
            _go_on(stop)
            digest.update(piece)
    return digest.hexdigest()


def _go_on(stop: Event | None) -> None:
    if stop is not None and stop.is_set():
        raise Stopped


# -- keys --------------------------------------------------------------------------------------------------


def _pyrage() -> Any:
    try:
        import pyrage  # type: ignore[import-untyped]  # it comes without types
    except ImportError:
        raise ConfigError(
            "backups are encrypted here, and pyrage is not installed",
            key="backup.recipients",
            hint="pip install 'd1ops[encrypt]'",
        ) from None
    return pyrage


def check_recipients(recipients: Iterable[str]) -> None:
    """Raise ConfigError for a recipient that is none, before anything is read."""
    for text in recipients:
        _recipient(text)


def _recipient(text: str) -> Any:
    pyrage = _pyrage()
    kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
    try:
        return kind.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise ConfigError(
            f"{text!r} is no recipient",
            key="backup.recipients",
            hint="an age key (age1...) or an SSH public key (ssh-ed25519 ...), as age-keygen and ssh-keygen print them",
        ) from None


def identities_of(path: Path | None) -> list[Any]:
    """Read the identities of a file, as age-keygen or ssh-keygen wrote it. Raises ConfigError, without its text."""
    if path is None:
        raise ConfigError(
            "the backup is encrypted, and no identity is given",
            key="backup.key_file",
            hint=_NAME_IT,
        )
    pyrage = _pyrage()
    wrong = ConfigError(f"{path} holds no identity", file=path, key="backup.key_file", hint=_NO_IDENTITY)
    try:
        data = path.read_bytes()
        if data.startswith(b"-----BEGIN"):
            return [pyrage.ssh.Identity.from_buffer(data)]
        lines = [line.strip() for line in data.decode().splitlines()]
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", file=path, key="backup.key_file") from None
    except (pyrage.IdentityError, UnicodeDecodeError):
        raise wrong from None
    if not found:
        raise wrong
    return found
