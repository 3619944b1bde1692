"""Folders of source code: what is read, and what is left out and said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.ops.sources import LeftOut, read_sources

if TYPE_CHECKING:
    from pathlib import Path


def test_links_to_files_and_to_folders_are_not_followed_and_are_said(tmp_path: Path) -> None:
    folder, other = tmp_path / "src", tmp_path / "other"
    for each in (folder, other):
        each.mkdir()
        (each / "a.py").write_text("db.execute('SELECT 1')")
    (folder / "folder").symlink_to(other)
    (folder / "file.py").symlink_to(other / "a.py")
    found = read_sources(tmp_path, [folder])
    assert [query.path for query in found.queries] == ["src/a.py"]
    assert found.left_out == (LeftOut("src/folder", "a link"), LeftOut("src/file.py", "a link"))
    assert found.files == 1


def test_a_file_that_is_not_utf_8_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_bytes(b"db.prepare('SELECT \xe9 FROM t')")
    (left,) = read_sources(tmp_path, [tmp_path]).left_out
    assert left == LeftOut("a.ts", "a.ts:1:20: byte 0xe9 is not UTF-8")
