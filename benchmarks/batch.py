"""How fast a file is scored, and in how much memory.

``python benchmarks/batch.py --json`` prints the rate of `modelyard.predict` over that of a plain loop on the same
Parquet file: read a batch, stack its columns, ask the ONNX session, write the predictions. Both have the same batches,
the same threads inside the session and the same columns written, in turn, so that a machine whose speed drifts treats
both alike. And it prints the peak of the memory of whole processes that score 1e5, 1e6 and, with ``--full``, 1e7 rows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _measure.project import scratch_project

ROWS_AT_ONCE = 8192
FEATURES = 20
RATIO_WANTED = 0.9
GROWTH_WANTED = 1.2  # 35 MB for a hundred times the rows: the allocator warms up

SCORED = """
import json, pathlib, resource, sys
import modelyard
found = modelyard.predict(sys.argv[1], sys.argv[2], sys.argv[3], restart=True)
status = pathlib.Path("/proc/self/status")
if status.exists():  # ru_maxrss of Linux begins with the peak of the process that forked this one
    peak = next(int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
print(json.dumps({"rows": found.rows, "rate": found.rate, "peak_mb": peak}))
"""


def packaged() -> None:
    """Package a linear model and a forest of the same columns."""
    import numpy as np
    import pandas as pd
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    import modelyard

    random = np.random.default_rng(0)
    X = pd.DataFrame(random.normal(size=(2000, FEATURES)), columns=[f"x{n}" for n in range(FEATURES)])
    X = X.clip(-3, 3)
    X.iloc[0], X.iloc[1] = -3, 3
    y = (X.sum(axis=1) + random.normal(size=len(X)) > 0).astype(int)
    linear = make_pipeline(StandardScaler(), LogisticRegression())
    forest = RandomForestClassifier(50, max_depth=8, random_state=0)
    for name, model in (("linear", linear), ("forest", forest)):
        modelyard.package(model.fit(X, y), X, y, name=name)


def written(path: Path, rows: int) -> None:
    """Write a Parquet file of so many rows, in row groups of 2^20 as other tools write them."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(1)
    names = [f"x{n}" for n in range(FEATURES)]
    schema = pa.schema([("id", pa.int64()), *((name, pa.float64()) for name in names)])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, 1 << 20):
            count = min(1 << 20, rows - start)
            values = random.normal(size=(FEATURES, count)).clip(-3, 3)
            ids = np.arange(start, start + count)
            writer.write_table(pa.table([ids, *values], schema=schema), row_group_size=1 << 20)


def looped(bundle: Any, source: Path, out: Path, kept: list[str]) -> None:
    """Score a file as one writes it by hand, with the session's threads as the runtime sets them."""
    import numpy as np
    import onnxruntime
    import pyarrow as pa
    import pyarrow.parquet as pq

    described = bundle.manifest["model"]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(bundle.model_folder / described["file"]), options, providers=["CPUExecutionProvider"]
    )
    wanted = [described["label_output"], described["probability_output"]]
    names = [*described["inputs"][0]["columns"]]
    (entry,) = described["inputs"]
    writer = None
    for batch in pq.ParquetFile(source).iter_batches(batch_size=ROWS_AT_ONCE, columns=[*names, *kept]):
        stacked = np.column_stack([batch.column(name).to_numpy() for name in names])
        labels, probabilities = session.run(wanted, {entry["name"]: stacked.astype(entry["dtype"])})
        table = pa.table(
            [
                *(batch.column(n) for n in kept),
                pa.array(labels),
                *(pa.array(p) for p in probabilities.T.copy()),
            ],
            names=[*kept, "prediction", "probability_0", "probability_1"],
        )
        writer = writer or pq.ParquetWriter(out, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` took."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def ratios(source: Path, rows: int, runs: int) -> dict[str, float]:
    """Return the medians of both rates, and of their ratio pair by pair."""
    import modelyard

    names = ["id", *(f"x{n}" for n in range(FEATURES))]
    found = {}
    for model in ("linear", "forest"):
        bundle = modelyard.bundle(model)
        for keep, kept in (("all", names), ("id", ["id"])):
            ours, plain = [], []
            for _ in range(runs + 1):
                plain.append(seconds(lambda b=bundle, k=kept: looped(b, source, Path("looped.parquet"), k)))
                ours.append(
                    seconds(
                        lambda b=bundle, k=keep: modelyard.predict(
                            b, source, "scored.parquet", keep=k, batch=ROWS_AT_ONCE, restart=True
                        )
                    )
                )
            pairs = [b / a for a, b in zip(ours[1:], plain[1:], strict=True)]  # the first pair warms the disk
            found[f"{model}_keep_{keep}_rows_s"] = rows / statistics.median(ours[1:])
            found[f"{model}_keep_{keep}_plain_loop_rows_s"] = rows / statistics.median(plain[1:])
            found[f"{model}_keep_{keep}_over_plain_loop"] = statistics.median(pairs)
    return found


def peaks(counts: list[int]) -> dict[str, float]:
    """Return the peak of the resident memory of processes that score so many rows, in MB."""
    found = {}
    for rows in counts:
        path = Path(f"rows-{rows}.parquet")
        written(path, rows)
        told = subprocess.run(
            [sys.executable, "-c", SCORED, "linear", path, "peak.parquet"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        answer = json.loads(told.stdout.splitlines()[-1])
        assert answer["rows"] == rows
        found[f"peak_mb_{rows:.0e}".replace("+0", "")] = answer["peak_mb"]
        found[f"rows_s_{rows:.0e}".replace("+0", "")] = answer["rate"]
        path.unlink()
    return found


def missed(found: dict[str, float]) -> list[str]:
    """Return what was promised and not reached."""
    slow = [
        f"{name}: {value:.2f}, wanted {RATIO_WANTED}"
        for name, value in found.items()
        if name.endswith("_over_plain_loop") and value < RATIO_WANTED
    ]
    memory = [value for name, value in found.items() if name.startswith("peak_mb")]
    grown = max(memory) / memory[0]
    return slow + (
        [f"memory grew {grown:.2f} times, wanted {GROWTH_WANTED}"] if grown > GROWTH_WANTED else []
    )


def main() -> None:
    """Measure, and print text or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--runs", type=int, default=3, help="counted runs of each (3)")
    parser.add_argument("--rows", type=int, default=500_000, help="rows of the file for the rates (500000)")
    parser.add_argument("--full", action="store_true", help="also the memory of 1e7 rows")
    wanted = parser.parse_args()
    with scratch_project() as folder:
        packaged()
        written(folder / "rows.parquet", wanted.rows)
        found = ratios(folder / "rows.parquet", wanted.rows, wanted.runs)
        found |= peaks([100_000, 1_000_000, *([10_000_000] if wanted.full else [])])
    rounded: dict[str, Any] = {n: round(v, 3) if v < 100 else round(v) for n, v in found.items()}
    rounded["missed"] = missed(found)
    print(
        json.dumps(rounded, indent=1) if wanted.json else "\n".join(f"{k}: {v}" for k, v in rounded.items())
    )


if __name__ == "__main__":
    main()
