"""Paths that are not there or cannot be read: what was meant, as far as that can be told."""

from __future__ import annotations

from pathlib import Path

import pytest

from mien.core.paths import absent, unreadable


def test_a_name_like_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "fer2013.csv").touch()
    assert absent(tmp_path / "fer2103.csv").hint == f"did you mean {tmp_path / 'fer2013.csv'}?"
    (tmp_path / "v.csv").touch()
    assert "did you mean" not in str(absent(tmp_path / "gone.csv"))
    assert absent(tmp_path / "Fer2013.csv").hint == f"did you mean {tmp_path / 'fer2013.csv'}?"


def test_the_first_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    assert absent(tmp_path / "a" / "b" / "c.csv").hint == f"the folder {tmp_path / 'a'} is not there"
    (tmp_path / "f").touch()
    assert absent(tmp_path / "f" / "c.csv").hint == f"the folder {tmp_path / 'f'} is not there"


def test_else_from_where_paths_count(tmp_path: Path) -> None:
    assert absent(tmp_path / "x.csv").hint == f"mien works in {Path.cwd()}: paths count from there"
    assert absent(Path("no-such-picture")).message == "no-such-picture: no such file or folder"


def test_an_address_is_no_path() -> None:
    told = absent(Path("http://example.org/a.png"))
    assert "an address, not a file" in told.message
    assert told.hint is not None
    assert "download it first" in told.hint


def test_what_cannot_be_read_says_why_and_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    assert unreadable(path, FileNotFoundError(2, "No such file or directory")).message == absent(path).message
    closed = unreadable(path, PermissionError(13, "Permission denied", str(path)))
    assert str(closed) == f"{path}: cannot be read (Permission denied)\n  → ask for the permission to read it"
    with pytest.raises(UnicodeDecodeError) as caught:
        b"caf\xe9".decode()
    assert unreadable(path, caught.value).hint == "save it as UTF-8"
    assert unreadable(path, ValueError("line 3")).message == f"{path}: cannot be read (line 3)"
