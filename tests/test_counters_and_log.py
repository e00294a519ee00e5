"""What several workers count and log is right together, also after one of them was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from disks import fill, small_disk
from modelyard.packaging.learning import learn_contract, learn_profile
from modelyard_runtime.cells import Cells
from modelyard_runtime.metrics import Metrics
from modelyard_runtime.prediction_log import PredictionLog
from modelyard_runtime.profile import FedBins, ProfileBins
from people import FRAME

CHILD = """
import os, sys, time
from pathlib import Path
from modelyard_runtime.cells import Cells
cells = Cells(3, Path(sys.argv[1]), "layout")
for _ in range(1000):
    cells.own[0] += 1
cells.own[2] += os.getpid()
print("counted", flush=True)
time.sleep(60)
"""


def counting(folder: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "counted\n"
    return child


def test_counts_of_all_processes_are_summed_and_those_of_a_killed_one_stay(tmp_path: Path) -> None:
    children = [counting(tmp_path) for _ in range(2)]
    own = Cells(3, tmp_path, "layout")
    own.own[0] += 5
    pids = sum(child.pid for child in children)
    assert own.total().tolist() == [2005, 0, pids]
    for child in children:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert own.total().tolist() == [2005, 0, pids]
    later = Cells(3, tmp_path, "layout")  # a worker that starts adds the dead ones' files up into one
    assert later.total().tolist() == [2005, 0, pids]
    assert len(list(tmp_path.glob("layout.*.cells"))) == 3
    assert Cells(3, tmp_path, "layout").total().tolist() == [2005, 0, pids]


def test_counts_of_another_layout_are_not_added(tmp_path: Path) -> None:
    first, second = Cells(2, tmp_path, "one"), Cells(2, tmp_path, "two")
    first.own[0] += 1
    second.own[0] += 2
    assert (first.total()[0], second.total()[0]) == (1, 2)


WAITS = """
import sys
from pathlib import Path
from modelyard_runtime.cells import Cells
cells = Cells(3, Path(sys.argv[1]), "layout")
print("made", flush=True)
sys.stdin.readline()
cells.own[0] += 5
"""


def test_a_disk_that_is_full_stops_no_process_from_counting(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        child = subprocess.Popen([sys.executable, "-c", WAITS, str(disk)], text=True, **pipes)
        assert child.stdout is not None
        assert child.stdout.readline() == "made\n"
        filler = fill(disk)
        child.communicate("go on\n")
        assert child.returncode == 0  # not a bus error
        late = Cells(
            1 << 18, disk, "wide"
        )  # more than the disk, so that what it may keep free does not matter
        late.own[1] += 7
        assert late.total()[:2].tolist() == [0, 7]
        assert list(disk.glob("wide.*")) == []
        filler.unlink()
        assert Cells(3, disk, "layout").total().tolist() == [5, 0, 0]


def metrics(folder: Path | None = None) -> Metrics:
    return Metrics(
        "churn", "v1", "0" * 64, classes=[("no", "no"), ("yes", "yes")], columns=["age"], bins=[("age", "1")],
        folder=folder,
    )  # fmt: skip


def test_metrics_are_prometheus_text_with_the_sums_of_all_workers(tmp_path: Path) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    one, other = metrics(tmp_path), metrics(tmp_path)
    one.answered(2, 0.003, ["no", "yes"], [])
    other.answered(1, 0.2, ["yes"], ["age"])
    one.responded("/predict", 200)
    other.responded("/predict", 200)
    other.responded("/predict", 422)
    other.responded("/v2/models/churn/infer", 200)
    other.responded("/wp-admin.php", 404)
    found = {
        (
            sample.name,
            *(v for k, v in sorted(sample.labels.items()) if k not in ("bundle", "variant")),
        ): sample.value
        for family in text_string_to_metric_families(one.text().decode())
        for sample in family.samples
    }
    assert one.text() == other.text()
    assert found[("modelyard_requests_total", "/predict", "200")] == 2
    assert found[("modelyard_requests_total", "/predict", "422")] == 1
    assert found[("modelyard_requests_total", "/v2", "200")] == 1
    assert found[("modelyard_requests_total", "other", "404")] == 1
    assert found[("modelyard_rows_total",)] == 3
    assert found[("modelyard_predictions_total", "yes")] == 2
    assert found[("modelyard_flags_total", "age")] == 1
    assert found[("modelyard_predict_seconds_count",)] == 2
    assert found[("modelyard_predict_seconds_bucket", "0.005")] == 1
    assert found[("modelyard_predict_seconds_sum",)] == pytest.approx(0.203)
    assert found[("modelyard_request_rows_bucket", "1.0")] == 1


def test_the_training_table_itself_fills_the_bins_as_its_profile_does() -> None:
    contract = learn_contract(FRAME, None, {"town", "income"}, ())
    profile = learn_profile(FRAME, contract, np.array(["no"] * len(FRAME)))
    bins = ProfileBins(profile)
    table = {name: FRAME[name].astype(object).where(FRAME[name].notna(), None).tolist() for name in FRAME}
    found = dict(zip(bins.names, bins.counts(table).tolist(), strict=True))
    for name, column in profile["columns"].items():
        assert found[(name, "null")] == column["nulls"]
        if "edges" in column:
            assert [found[(name, str(i + 1))] for i in range(len(column["counts"]))] == column["counts"]
            assert found[(name, "below")] == found[(name, "above")] == 0
        else:
            assert {k: found[(name, k)] for k in column["counts"]} == column["counts"]
    strange = bins.counts({"age": [1000, -5, None], "town": ["Chur", None]})
    counted = {name: count for name, count in zip(bins.names, strange.tolist(), strict=True) if count}
    assert counted == {
        ("age", "above"): 1, ("age", "below"): 1, ("age", "null"): 1, ("town", "other"): 1, ("town", "null"): 1,
    }  # fmt: skip


def test_the_log_holds_each_request_with_its_answer_on_one_line(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "predictions")
    log.add(b'{\n "rows": [{"a": "x\\ny"}]\n}', b'{"id":"1","predictions":[0]}')
    log.feedback(b'{"id":"1","labels":[1]}')
    assert not list((tmp_path / "predictions").iterdir())
    log.flush()
    log.flush()
    (segment,) = (tmp_path / "predictions").iterdir()
    assert segment.stat().st_mode & 0o077 == 0
    first, second = [json.loads(line) for line in segment.read_text().splitlines()]
    assert first["request"] == {"rows": [{"a": "x\ny"}]}
    assert first["answer"]["id"] == second["feedback"]["id"] == "1"


def test_the_log_is_bounded_and_the_oldest_segments_go_first(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, segment_bytes=1000, limit_bytes=5000)
    for number in range(200):
        log.add(b'{"n":%d}' % number, b'{"filler":"%s"}' % (b"x" * 60))
        log.flush()
    lines = [
        json.loads(line)
        for path in sorted(tmp_path.glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    kept = [line["request"]["n"] for line in lines]
    assert sum(path.stat().st_size for path in tmp_path.glob("*.jsonl")) <= 5000
    assert kept == list(range(kept[0], 200))
    assert kept[0] > 0


def test_a_disk_that_is_full_stops_no_endpoint(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = PredictionLog(tmp_path)
    log.add(b"{}", b"{}")
    log.flush()
    os.close(log._file)  # type: ignore[arg-type]  # as a disk that goes away
    log.add(b"{}", b"{}")
    log.flush()
    assert "1 lines are lost" in caplog.text


def test_rows_on_the_fast_way_fall_into_the_same_bins_as_those_that_are_looked_at_one_by_one() -> None:
    contract = learn_contract(FRAME, None, {"town", "income"}, ())
    frame = FRAME.head(80).assign(income=FRAME["income"].head(80) * 2 - 3000)  # some outside of the profile
    bins = ProfileBins(learn_profile(FRAME, contract, np.array(["yes"] * len(FRAME))))
    table = {
        name: column.astype(object).where(column.notna(), None).tolist() for name, column in frame.items()
    }
    inputs = [
        {"name": "numbers", "dtype": "float64", "columns": ["income", "age"]},
        {"name": "town", "dtype": "string", "columns": ["town"]},
        {"name": "member", "dtype": "bool", "columns": ["member"]},
    ]
    feeds = [
        {
            "numbers": part[["income", "age"]].to_numpy(dtype=float),
            "town": part[["town"]].astype(object).where(part[["town"]].notna(), "nothing").to_numpy(),
            "member": part[["member"]].to_numpy(),
        }
        for part in (frame.iloc[:1], frame.iloc[1:30], frame.iloc[30:])
    ]
    found = FedBins(bins, inputs, "nothing").counts(feeds)
    counted = dict(zip(bins.names, found.tolist(), strict=True))
    assert counted == dict(zip(bins.names, bins.counts(table).tolist(), strict=True))
    assert found.sum() == 4 * 80
