"""What a bundle is on a device: how large its folder is, and how soon a Raspberry Pi's Python answers, under qemu.

``python benchmarks/devices.py --json``: a network of digits goes to a Raspberry Pi as ONNX, as .tflite, and as .tflite
in 8 bits. Each round starts arm64's Python anew, in qemu's user mode as a Cortex-A72, imports, loads, checks every
digest and answers the golden rows. ``tests/environments/arm64_sysroot.sh`` makes the system that it runs in.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from _measure.bounds import DEVICES
from _measure.run import parser, run
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

_ROOT = Path(__file__).resolve().parents[1]
_PYTHON = "3.11"  # Debian's, in the system
_FORMS: dict[str, dict[str, Any]] = {
    "onnx": {},
    "tflite": {"runtime": "tflite"},
    "tflite_int8": {"runtime": "tflite", "quantized": True},
}


def measured(folder: Path, wanted: argparse.Namespace) -> dict[str, Any]:
    """Return sizes, and every round, by the form of the model."""
    import modelyard
    from modelyard.targets.raspberry_pi import RaspberryPiTarget

    sysroot = _ROOT / ".env-arm64"
    subprocess.run([str(_ROOT / "tests" / "environments" / "arm64_sysroot.sh"), str(sysroot)], check=True)
    X, y = load_digits(return_X_y=True, as_frame=True)
    model = make_pipeline(StandardScaler(), MLPClassifier((64,), max_iter=300, random_state=0)).fit(X, y)
    bundle = modelyard.package(model, X, y, name="timed")
    found: dict[str, Any] = {}
    for form, options in _FORMS.items():
        options = {**options, "python": _PYTHON, "sysroot": str(sysroot)}
        with tempfile.TemporaryDirectory() as scratch:
            artifact = RaspberryPiTarget(**options).make(bundle, Path(scratch))
        rounds = [
            modelyard.rehearse(bundle, to="raspberry-pi", **options) for _ in range(min(wanted.rounds, 5))
        ]
        found[form] = {
            "folder_mb": artifact.unpacked_bytes / 1e6,
            "model_mb": (artifact.model_bytes or 0) / 1e6,
            "rounds": [
                {
                    "cold_s": each.cold_start_s,
                    "warm_ms": each.warm_ms,
                    "peak_mb": each.peak_mb,
                    "golden": each.matched / each.rows,
                    "max_absolute": each.max_absolute,
                }
                for each in rounds
            ],
        }
    return found


def _values(found: dict[str, Any]) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for form in _FORMS:
        known = found[form]
        values[f"pi_{form}_cold_s"] = statistics.median(each["cold_s"] for each in known["rounds"])
        values[f"pi_{form}_golden"] = min(each["golden"] for each in known["rounds"])
        values[f"pi_{form}_beside_model_mb"] = known["folder_mb"] - known["model_mb"]
    values["pi_tflite_difference"] = max(each["max_absolute"] for each in found["tflite"]["rounds"])
    return values


def main() -> None:
    """Measure."""
    run(parser(__doc__).parse_args(), measured, _values, DEVICES)


if __name__ == "__main__":
    main()
