"""The catalog: where a project begins, what it remembers, and that processes do not get into each other's way."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from modelyard.catalog import Yard, checked_name, find_root, open_yard, project_settings, user_config
from modelyard.errors import InvalidNameError, NameTakenError, UnknownNameError, UsageError


def test_the_root_is_the_nearest_ancestor_that_is_marked(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    assert find_root(deep) == deep
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.modelyard]\n")
    assert find_root(deep) == tmp_path / "a"
    (tmp_path / "a" / "b" / ".modelyard").mkdir()
    assert find_root(deep) == tmp_path / "a" / "b"
    (tmp_path / "a" / "b" / "c" / "pyproject.toml").write_text("not toml [")
    assert find_root(deep) == tmp_path / "a" / "b"


def test_looking_makes_nothing_and_writing_makes_an_ignored_folder(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    assert yard.records("study") == ()
    assert not yard.folder.exists()
    yard.record("study", "s", {})
    assert (yard.folder / ".gitignore").read_text() == "*\n"
    assert [path.name for path in yard.folder.iterdir() if path.suffix == ".sqlite"] == ["yard.sqlite"]


def test_a_record_keeps_its_first_date_and_its_last_payload() -> None:
    yard = open_yard()
    first = yard.record("study", "s", {"n": 1})
    second = yard.record("study", "s", {"n": 2})
    assert (second.created, second.payload) == (first.created, {"n": 2})
    with pytest.raises(NameTakenError, match=r"a study named 's' exists already"):
        yard.claim("study", "s", {})
    yard.delete("study", "s")
    with pytest.raises(UnknownNameError, match=r"no study named 's' in .*; there: none"):
        yard.get("study", "s")


def test_numbers_go_on_and_stems_do_not_mix() -> None:
    yard = open_yard()
    names = [yard.add_numbered("evaluation", stem, {}).name for stem in ("tree", "tree", "tree-x", "tree")]
    assert names == ["tree-1", "tree-2", "tree-x-1", "tree-3"]


FULL = """
import resource, sys
from modelyard.catalog import open_yard
from modelyard.errors import CatalogError
yard = open_yard()
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # no file may grow any more, as on a full disk
try:
    yard.record("study", "more", {"n": 2})
except CatalogError as error:
    print(error)
print([record.name for record in yard.records("study")])
"""


def test_on_a_full_disk_writing_is_one_line_and_what_is_there_can_be_read(project: Path) -> None:
    open_yard().record("study", "s", {"n": 1})
    done = subprocess.run(
        [sys.executable, "-c", FULL], capture_output=True, text=True, cwd=project, check=True
    )
    told, there = done.stdout.splitlines()
    assert told.startswith("the project's catalog cannot be written: ")
    assert str(project) in told
    assert there == "['s']"
    assert [record.name for record in open_yard().records("study")] == ["s"]


def test_many_processes_write_at_once_and_none_is_lost(project: Path) -> None:
    write = "for _ in range(25): open_yard().add_numbered('evaluation', 'e', {})"
    code = f"from modelyard.catalog import open_yard\n{write}"
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]
    assert [process.wait(timeout=120) for process in running] == [0] * 4
    names = {record.name for record in open_yard().records("evaluation")}
    assert names == {f"e-{number}" for number in range(1, 101)}


def test_those_who_come_first_at_the_same_moment_do_not_lock_each_other_out(tmp_path: Path) -> None:
    def write(yard: Yard, start: threading.Barrier) -> None:
        start.wait()
        yard.add_numbered("evaluation", "e", {})

    for number in range(40):
        yard, start = Yard(tmp_path / str(number)), threading.Barrier(4)
        yard.folder.mkdir(parents=True)
        (yard.folder / "yard.sqlite.new").write_bytes(b"of a process that was killed")
        with ThreadPoolExecutor(4) as threads:
            for writing in [threads.submit(write, yard, start) for _ in range(4)]:
                writing.result()
        assert {record.name for record in yard.records("evaluation")} == {"e-1", "e-2", "e-3", "e-4"}
        assert list(yard.folder.glob("*.new*")) == []


@pytest.mark.parametrize(("kind", "journal"), [("ext4", "wal"), ("nfs4", "delete"), ("fuse.sshfs", "delete")])
def test_a_network_disk_gets_no_write_ahead_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, journal: str
) -> None:
    Part = namedtuple("Part", "mountpoint fstype")
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: [Part("/", "ext4"), Part(str(tmp_path), kind)])
    yard = Yard(tmp_path / "project")
    yard.record("study", "s", {})
    with sqlite3.connect(yard.folder / "yard.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == (journal,)


@pytest.mark.parametrize("name", ["churn", "a", "my-model_2.0", "x" * 63])
def test_good_names_are_taken_as_they_are(name: str) -> None:
    assert checked_name(name, "bundle") == name


@pytest.mark.parametrize("name", ["", "My Model", "-a", "a-", "ä", "a/b", "..", "a:1", "x" * 64])
def test_bad_names_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(InvalidNameError, match=r"cannot name a bundle"):
        checked_name(name, "bundle")


def test_settings_that_are_no_table_or_no_toml_are_one_line(tmp_path: Path) -> None:
    assert project_settings(tmp_path, "cv") == {}
    (tmp_path / "pyproject.toml").write_text("[tool.modelyard]\ncv = 3\n")
    with pytest.raises(UsageError, match=r"must be a table of flags, found 3"):
        project_settings(tmp_path, "cv")
    (tmp_path / "pyproject.toml").write_text("[tool")
    with pytest.raises(UsageError, match=r"is not valid TOML"):
        project_settings(tmp_path, "cv")


def test_the_users_folder_is_closed_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_CONFIG_DIR", str(tmp_path / "mine"))
    assert user_config().stat().st_mode & 0o777 == 0o700
