"""What a bundle is in each place that it can go to: how large, how soon it answers, and how fast then.

``python benchmarks/targets.py --json``: a model of the breast cancer table goes to AWS Lambda's own runtime client and
runtime interface emulator (`make env-targets` brings them), each round into a new process. The first answer waits for
the start of Python, the imports and the model; the emulator's own start is not counted, since AWS's is not the user's.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from _measure.bounds import TARGETS
from _measure.run import parser, run
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))


def measured(folder: Path, wanted: argparse.Namespace) -> dict[str, Any]:
    """Return sizes, and every round."""
    import modelyard
    from emulators import ENVIRONMENT, LambdaEmulator, python_of_environment
    from modelyard.targets.aws_lambda import LambdaTarget
    from modelyard.targets.aws_lambda_events import url_event
    from modelyard.targets.aws_lambda_package import ZIP
    from modelyard.targets.rehearsing.golden_replay import GoldenReplay
    from modelyard_runtime.access import SWITCH

    interpreter = (ENVIRONMENT / "bin" / "python").resolve()
    os.environ["PATH"] = f"{interpreter.parent}{os.pathsep}{os.environ['PATH']}"
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    bundle = modelyard.package(RandomForestClassifier(100, random_state=0).fit(X, y), X, y, name="timed")
    golden = GoldenReplay(bundle)
    made = folder / "made"
    made.mkdir()
    artifact = LambdaTarget(python=python_of_environment()).make(bundle, made)
    rounds = []
    for _ in range(wanted.rounds + 1):
        with tempfile.TemporaryDirectory() as scratch:
            emulator = LambdaEmulator(made / ZIP, artifact.handler.python, Path(scratch), {SWITCH: "off"})
            with emulator:
                found = [emulator.ask(url_event(body)) for body in golden.bodies()]
        answers = [artifact.handler.answered(said)[1] for said, _ in found]
        compared = golden.compared(answers)
        seconds = [took for _, took in found]
        rounds.append(
            {
                "cold_s": seconds[0],
                "warm_ms": statistics.median(seconds[1:]) * 1e3,
                "golden": 1 - compared.differing / compared.rows,
            }
        )
    return {
        "zip_mb": (artifact.packed_bytes or 0) / 1e6,
        "unpacked_mb": artifact.unpacked_bytes / 1e6,
        "components_mb": {part.name: round(part.bytes / 1e6, 3) for part in artifact.components},
        "python": artifact.python,
        "architecture": artifact.architecture,
        "rounds": rounds[1:],  # the first one warms the disk
    }


def _values(found: dict[str, Any]) -> dict[str, float | None]:
    rounds = found["rounds"]
    return {
        "lambda_zip_mb": found["zip_mb"],
        "lambda_unpacked_mb": found["unpacked_mb"],
        "lambda_cold_s": statistics.median(each["cold_s"] for each in rounds),
        "lambda_warm_ms": statistics.median(each["warm_ms"] for each in rounds),
        "lambda_golden": min(each["golden"] for each in rounds),
    }


def main() -> None:
    """Measure."""
    run(parser(__doc__).parse_args(), measured, _values, TARGETS)


if __name__ == "__main__":
    main()
