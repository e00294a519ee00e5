"""The prediction log is read back whole, or as it grows, whatever state its segments are in."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from modelyard_router.logbook import Entry, Follower, Logbook
from modelyard_runtime.prediction_log import PredictionLog

MUCH = 1_000_000


def filled(log: PredictionLog, first: int, count: int) -> None:
    """Add requests numbered from `first`, each flushed."""
    for number in range(first, first + count):
        log.add(b'{"n": %d}' % number, b'{"id":"%d"}' % number)
        log.flush()


def numbers(entries: list[Entry]) -> list[int]:
    return [json.loads(entry.request)["n"] for entry in entries]


def half_a_line(folder: Path) -> Path:
    """Append the beginning of a line to the newest segment, as a process does that is killed while it writes."""
    path = max(folder.glob("*.jsonl"))
    with path.open("ab") as file:
        file.write(b'{"time":1.5,"request":{"n":99},"ans')
    return path


def test_an_entry_has_the_bytes_that_were_received_and_sent(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.add(b'{ "rows":\n[{"a": "x\\ny"}] }', b'{"id":"1","predictions":[0]}')
    log.feedback(b'{"id":"1","labels":[1]}')
    log.flush()
    first, second = Logbook(tmp_path).entries()
    assert (first.request, first.answer, first.feedback) == (
        b'{ "rows": [{"a": "x\\ny"}] }', b'{"id":"1","predictions":[0]}', b"",
    )  # fmt: skip
    assert (second.request, second.answer, second.feedback) == (b"", b"", b'{"id":"1","labels":[1]}')
    assert 0 < first.at <= second.at


def test_segments_of_several_processes_are_read_oldest_first(tmp_path: Path) -> None:
    one, other = PredictionLog(tmp_path, segment_bytes=100), PredictionLog(tmp_path)
    filled(one, 0, 2)
    filled(other, 10, 2)
    filled(one, 2, 4)
    found = numbers(list(Logbook(tmp_path).entries()))
    assert found.index(0) < found.index(10) < found.index(5)
    assert sorted(found) == [0, 1, 2, 3, 4, 5, 10, 11]
    assert sorted(numbers(Follower(tmp_path).read(MUCH))) == sorted(found)


def test_a_folder_that_is_not_there_is_an_empty_log(tmp_path: Path) -> None:
    assert list(Logbook(tmp_path / "none").entries()) == []
    follower = Follower(tmp_path / "none")
    assert (follower.read(MUCH), follower.behind(), follower.skip_to_end(), follower.offsets) == (
        [],
        0,
        0,
        {},
    )


@pytest.mark.parametrize(
    "broken",
    [
        b"\n", b"\0\0\0\n", b'{"time":1.5,"requ{"time":2.5,"request":{},"answer":{}}\n', b"[1]\n", b'{"time":1.5}\n',
        b'{"time":"now","request":{},"answer":{}}\n', b'{"time":1.5,"request":{}}\n', b'\xff{"time":1}\n',
    ],
)  # fmt: skip
def test_a_line_that_is_none_of_a_log_is_passed_over(tmp_path: Path, broken: bytes) -> None:
    log = PredictionLog(tmp_path)
    filled(log, 0, 1)
    with next(tmp_path.glob("*.jsonl")).open("ab") as file:
        file.write(broken)
    filled(log, 1, 1)
    assert numbers(list(Logbook(tmp_path).entries())) == [0, 1]
    follower = Follower(tmp_path)
    assert numbers(follower.read(MUCH)) == [0, 1]
    assert follower.behind() == 0


def test_a_half_written_line_is_read_once_it_is_whole(tmp_path: Path) -> None:
    filled(PredictionLog(tmp_path), 0, 1)
    path = half_a_line(tmp_path)
    follower = Follower(tmp_path)
    assert numbers(list(Logbook(tmp_path).entries())) == [0]
    assert numbers(follower.read(MUCH)) == [0]
    assert follower.behind() == 0  # there is nothing that it has not looked at
    assert follower.read(MUCH) == []
    with path.open("ab") as file:
        file.write(b'wer":{"id":"99"}}\n')
    assert follower.behind() > 0
    assert numbers(follower.read(MUCH)) == [99]
    assert numbers(list(Logbook(tmp_path).entries())) == [0, 99]


def test_a_line_that_will_never_be_whole_does_not_hold_up_the_segments_after_it(tmp_path: Path) -> None:
    filled(PredictionLog(tmp_path), 0, 1)
    half_a_line(tmp_path)
    filled(PredictionLog(tmp_path), 1, 3)
    follower = Follower(tmp_path)
    assert numbers(follower.read(MUCH)) == [0, 1, 2, 3]
    assert follower.behind() == 0


def test_a_follower_returns_each_line_once_and_stops_after_the_limit(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, segment_bytes=200)
    follower = Follower(tmp_path)
    filled(log, 0, 20)
    line = next(tmp_path.glob("*.jsonl")).stat().st_size // 4
    found, behind = [], follower.behind()
    while part := follower.read(line + 1):
        assert len(part) in (1, 2)
        assert follower.behind() < behind
        found += part
        behind = follower.behind()
    assert numbers(found) == list(range(20))
    assert behind == 0
    filled(log, 20, 5)
    assert numbers(follower.read(MUCH)) == list(range(20, 25))


def test_a_line_longer_than_the_limit_is_returned_all_the_same(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.add(b'{"n":0,"text":"%s"}' % (b"x" * 500_000), b"{}")
    log.flush()
    filled(log, 1, 1)
    follower = Follower(tmp_path)
    assert numbers(follower.read(1)) == [0]
    assert numbers(follower.read(1)) == [1]


def test_offsets_survive_a_restart_as_json(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    filled(log, 0, 3)
    first = Follower(tmp_path)
    first.read(MUCH)
    filled(log, 3, 2)
    later = Follower(tmp_path, json.loads(json.dumps(first.offsets)))
    assert numbers(later.read(MUCH)) == [3, 4]


def test_what_is_skipped_is_counted_and_not_read(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    filled(log, 0, 3)
    path = half_a_line(tmp_path)
    follower = Follower(tmp_path)
    assert follower.skip_to_end() == path.stat().st_size
    assert (follower.behind(), follower.read(MUCH)) == (0, [])
    with path.open("ab") as file:
        file.write(b'wer":{"id":"99"}}\n')  # the rest of a line that was skipped is no line
    filled(log, 3, 1)
    assert numbers(follower.read(MUCH)) == [3]


def test_segments_that_vanish_are_forgotten(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, segment_bytes=100)
    filled(log, 0, 8)
    follower = Follower(tmp_path)
    entries = Logbook(tmp_path).entries()
    assert numbers([next(entries)]) == [0]
    follower.read(MUCH)
    assert len(follower.offsets) == 4
    for path in sorted(tmp_path.glob("*.jsonl"))[:-1]:
        path.unlink()
    assert numbers(list(entries)) == [1, 6, 7]  # an open segment is read on; the next ones are gone
    assert follower.behind() == 0
    assert len(follower.offsets) == 1
    filled(log, 8, 1)
    assert numbers(follower.read(MUCH)) == [8]


def test_a_segment_deleted_between_listing_and_reading_is_passed_over(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    filled(log, 0, 2)
    (tmp_path / "00000000000000000001-1-dead-000000.jsonl").symlink_to(tmp_path / "gone")
    assert numbers(list(Logbook(tmp_path).entries())) == [0, 1]
    assert numbers(Follower(tmp_path).read(MUCH)) == [0, 1]


def test_entries_since_a_moment_leave_out_older_lines_and_segments(tmp_path: Path) -> None:
    filled(PredictionLog(tmp_path), 0, 2)
    (old,) = tmp_path.glob("*.jsonl")
    filled(PredictionLog(tmp_path), 2, 2)
    moment = [entry.at for entry in Logbook(tmp_path).entries()][3]
    assert numbers(list(Logbook(tmp_path).entries(moment)))[-1:] == [3]
    assert all(entry.at >= moment for entry in Logbook(tmp_path).entries(moment))
    old.chmod(0o000)
    os.utime(old, (1, 1))
    assert set(numbers(list(Logbook(tmp_path).entries(moment - 100)))) == {2, 3}
