"""What must be reached, and what was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Bound:
    """A limit on one figure: `least` or `most`."""

    what: str
    least: float | None = None
    most: float | None = None

    def judged(self, value: float | None) -> dict[str, Any]:
        kept = (
            value is not None
            and (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
        )
        words = f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"
        return {"what": self.what, "value": value, "bound": words, "kept": kept}


#: Of ``serving.py`` (issue 4).
SERVING = {
    "one_row_over_bare": Bound("1 row per request, over a bare uvicorn loop", least=0.8),
    "one_row_over_bentoml_onnx": Bound("1 row per request, over BentoML's own ONNX service", least=15),
    "one_row_over_bentoml_tutorial": Bound(
        "1 row per request, over BentoML's tutorial with scikit-learn", least=200
    ),
    "many_rows_over_bare": Bound("64 rows per request, over a bare uvicorn loop", least=0.9),
    "p99_over_p50_even": Bound("p99 over p50 at half load, requests evenly spaced", most=5),
    "p99_over_p50_random": Bound("p99 over p50 at half load, requests at random moments", most=5),
    "deploy_over_empty_serve": Bound("deploy to ready, over bentoml serve of an empty service", most=1.3),
    "asgi_door_s": Bound("plain ASGI door to ready, seconds", most=2),
    "killed_workers": Bound("workers that shared the load before one was killed", least=2),
    "killed_failures_beyond_in_flight": Bound(
        "requests that fail when a worker is killed, beyond its own", most=0
    ),
    "killed_miscounted_beyond_in_flight": Bound("requests that the counters then miss or invent", most=0),
    "all_on": Bound("contract, token, metrics and prediction log were on (1 is yes)", least=1),
    "batch_over_loop": Bound("batch, over calling the session in a loop over the same Parquet", least=0.9),
    "batch_kept": Bound("benchmarks/batch.py kept all of its own bounds (1 is yes)", least=1),
}

#: Of ``routing.py`` (issue 5).
ROUTING = {
    # What two variants share of the traffic is also answered in two batches instead of one. That is no cost of
    # choosing, and is shown beside these two without a bound: routed_over_plain, canary_over_plain.
    "choosing_over_plain": Bound("every request drawn, the same bundle answers, over no router", least=0.97),
    "single_over_plain": Bound("a policy of one variant, over the same without a router", least=0.97),
    "shadow_p50_over_without": Bound("p50 with a shadow on a free core, over p50 without", most=1.1),
    "rollback_s": Bound(
        "seconds from a rollback's policy until no worker answers by the candidate", most=0.1
    ),
    "rollback_workers": Bound("workers that shared the load in each rollback", least=2),
    "rollback_failures": Bound("requests that failed in all rollbacks", most=0),
    "all_on": Bound(
        "shares, token, contract, metrics, log and shadow were as they should be (1 is yes)", least=1
    ),
}

#: Of ``engines.py`` (issue 6).
ENGINES = {
    "dask_over_joblib": Bound(
        "cross-validation on Dask with 2 workers, over joblib with n_jobs=2 (speed)", least=0.9
    ),
    "tune_dask_over_local": Bound("trials on Dask with 2 workers, over local:2 (speed)", least=0.9),
    "same_scores": Bound("scores on Dask are those of this process, bit by bit (1 is yes)", least=1),
}

#: Of ``tuning.py`` (issue 6).
TUNING = {
    "tune_over_random": Bound(
        "time to the score that RandomizedSearchCV has after 60 trials, over its time (median of all runs)",
        most=0.25,
    ),
    "tune_over_optuna": Bound(
        "time to the score that OptunaSearchCV has after 60 trials, over its time (median of all runs)",
        most=0.5,
    ),
    "held_out_over_random": Bound(
        "score on the third held out, less RandomizedSearchCV's: median plus twice its standard error",
        least=0,
    ),
    "held_out_over_optuna": Bound(
        "score on the third held out, less OptunaSearchCV's: median plus twice its standard error", least=0
    ),
    "overhead_per_trial_ms": Bound("milliseconds of a trial beside its fits", most=5),
    "resume_overhead_s": Bound("seconds of a resume that has nothing left to do", most=2),
}

#: Of ``cross_validation.py`` (issue 6).
EVALUATION = {
    "cv_over_sklearn": Bound(
        "cross_validate, over scikit-learn's with the same folds, metrics and jobs (worst model)", most=1.05
    ),
    "cv_over_fit_time": Bound(
        "cross_validate, over the sum of its fit times by core (worst model)", most=1.1
    ),
    "growth_over_sklearn": Bound(
        "growth of its time from 1e3 to 1e6 rows, over scikit-learn's, from the slower of both at 1e3",
        most=1.2,
    ),
    "memory_over_sklearn": Bound("peak memory of 1e6 rows, over scikit-learn's", most=1.3),
    "same_scores": Bound("its scores are scikit-learn's to 1e-9 (1 is yes)", least=1),
    "loo_knn_over_sklearn": Bound(
        "leave-one-out of neighbours on digits, over scikit-learn's (speed)", least=50
    ),
    "loo_ridge_over_sklearn": Bound(
        "leave-one-out of ridge on digits, over scikit-learn's (speed)", least=50
    ),
}

#: Of ``explanation.py`` (issue 7).
EXPLANATION = {
    "difference_to_shap": Bound(
        "SHAP values, largest difference to shap's own on rows where those add up", most=1e-6
    ),
    "additivity": Bound(
        "SHAP values with the base value, largest difference to the model's answer", most=1e-6
    ),
    "time_over_shap": Bound(
        "200 rows of trees, over shap called directly on the transformed matrix (worst model)", most=1.1
    ),
    # shap itself takes 0.1 ms for a line, which is a product of two vectors: a ratio would say nothing.
    "line_beyond_shap_ms": Bound("200 rows of a line, milliseconds beyond shap's own", most=100),
    "memory_beyond_table_mb": Bound("peak memory of explaining 1e6 rows, MB beyond the table", most=200),
}

#: Of ``compression.py`` (issue 7): means over five folds, each judged on rows that nothing has seen.
COMPRESSION = {
    "forest_digits_times_smaller": Bound("RandomForest(500) on digits: times smaller", least=5),
    "forest_digits_times_faster_1": Bound("RandomForest(500) on digits: times faster, one row", least=3),
    "forest_digits_times_faster_1k": Bound("RandomForest(500) on digits: times faster, 1,000 rows", least=3),
    "forest_digits_points_lost": Bound("RandomForest(500) on digits: points of accuracy lost", most=0.5),
    "forest_cancer_times_smaller": Bound("RandomForest(500) on breast_cancer: times smaller", least=5),
    "forest_cancer_times_faster_1": Bound(
        "RandomForest(500) on breast_cancer: times faster, one row", least=3
    ),
    "forest_cancer_times_faster_1k": Bound(
        "RandomForest(500) on breast_cancer: times faster, 1,000 rows", least=3
    ),
    "forest_cancer_points_lost": Bound(
        "RandomForest(500) on breast_cancer: points of accuracy lost", most=0.5
    ),
    "network_digits_times_smaller": Bound("MLP(512, 256) on digits: times smaller", least=3.5),
    "network_digits_points_lost": Bound("MLP(512, 256) on digits: points of accuracy lost", most=0.3),
    "distilled_digits_size_kb": Bound("RandomForest(500) on digits, distilled: kB", most=10),
    "distilled_digits_points_lost": Bound(
        "RandomForest(500) on digits, distilled: points of accuracy lost", most=2
    ),
    "boosted_digits_times_smaller": Bound("HistGradientBoosting on digits: times smaller", least=2),
    "boosted_digits_points_lost": Bound("HistGradientBoosting on digits: points of accuracy lost", most=0.3),
    "boosted_cancer_times_smaller": Bound("HistGradientBoosting on breast_cancer: times smaller", least=2),
    "boosted_cancer_points_lost": Bound(
        "HistGradientBoosting on breast_cancer: points of accuracy lost", most=0.3
    ),
}

#: Of ``targets.py`` (issue 8).
TARGETS = {
    "lambda_zip_mb": Bound("AWS Lambda: zip file of a bundle in ONNX, MB", most=30),
    "lambda_unpacked_mb": Bound("AWS Lambda: the same unpacked, MB", most=90),
    "lambda_cold_s": Bound(
        "AWS Lambda's emulator: seconds to the first answer, start of Python included (median)", most=0.6
    ),
    "lambda_warm_ms": Bound("AWS Lambda's emulator: milliseconds of an answer after it (median)", most=5),
    "lambda_golden": Bound("AWS Lambda's emulator: share of golden rows within tolerance", least=1),
}

#: Of ``devices.py`` (issue 9).
DEVICES = {
    **{
        f"pi_{form}_cold_s": Bound(
            f"Raspberry Pi under qemu, {what}: seconds from Python's start to the first answer (median)",
            most=8,
        )
        for form, what in (("onnx", "ONNX"), ("tflite", ".tflite"), ("tflite_int8", ".tflite in 8 bits"))
    },
    **{
        f"pi_{form}_golden": Bound(f"the same: share of golden rows within tolerance, {form}", least=1)
        for form in ("onnx", "tflite", "tflite_int8")
    },
    **{
        f"pi_{form}_beside_model_mb": Bound(
            f"its folder without wheels, beside the model, MB, {form}", most=2
        )
        for form in ("onnx", "tflite", "tflite_int8")
    },
    "pi_tflite_difference": Bound(".tflite in float32: largest difference to the notebook", most=1e-5),
}

_PANELS = {
    "evaluation": "an evaluation, five pictures",
    "study": "a study of 2,000 trials",
    "explanation": "an explanation of 100,000 rows",
    "dependence": "partial dependence of the columns",
}

#: Of ``panels.py`` (issue 10).
PANELS = {
    **{
        f"{kind}_paint_ms": Bound(f"{what}: result to panel, ms (median)", most=300)
        for kind, what in _PANELS.items()
    },
    **{
        f"{kind}_answer_ms": Bound(f"the slowest tab or choice of it, ms, {kind}", most=100)
        for kind in _PANELS
    },
    **{f"{kind}_mb": Bound(f"all that goes to its page, MB, {kind}", most=2) for kind in _PANELS},
}
