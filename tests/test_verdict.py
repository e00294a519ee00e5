"""Labels that come later decide between two variants, and say beforehand how many of them it will take."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from modelyard.routing.outcomes import outcomes
from modelyard.routing.sequential import sample_size
from modelyard.routing.verdict import verdict
from modelyard_router.policy import Policy, Variant
from modelyard_runtime.prediction_log import PredictionLog

VARIANTS = {name: Variant(f"churn:{name[1:]}", name * 32, name) for name in ("v1", "v2")}
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC).isoformat()


def policy(number: int, weights: dict[str, float], at: str = LONG_AGO, control: str = "v1") -> Policy:
    return Policy(number, at, "me", "because", VARIANTS, control, weights)


def logged(state: Path, right: dict[str, list[bool]], *, feedback: bool = True) -> None:
    """Write answers, one row each, with the labels that make them right or wrong."""
    log = PredictionLog(state / "predictions")
    for variant, each in right.items():
        for number, is_right in enumerate(each):
            name = f"{variant}-{number}"
            answer = {
                "id": name,
                "variant": variant,
                "predictions": ["yes"],
                "probabilities": None,
                "flags": [],
            }
            log.add(b'{"rows":[{}]}', msgspec.json.encode(answer))
            if feedback:
                label = "yes" if is_right else "no"
                log.feedback(msgspec.json.encode({"id": name, "labels": [label]}))
    log.flush()


def draws(rate: float, count: int, seed: int) -> list[bool]:
    return (np.random.default_rng(seed).random(count) < rate).tolist()


def test_a_candidate_that_is_clearly_worse_is_found_so(tmp_path: Path) -> None:
    logged(tmp_path, {"v1": draws(0.9, 3000, 0), "v2": draws(0.6, 400, 1)})
    found = verdict(policy(1, {"v1": 0.9, "v2": 0.1}), (), tmp_path, "correct", 0.02)
    assert found is not None
    assert found.comparison.decided == "control"
    assert found.comparison.high < 0
    assert found.sentence.startswith("v2 is worse: it is right -")
    assert "3400 labelled rows" in found.sentence
    assert found.payload()["decided"] == "control"


def test_before_the_candidate_has_a_label_the_plan_is_made_from_what_the_control_had(tmp_path: Path) -> None:
    logged(tmp_path, {"v1": [True] * 80 + [False] * 20})
    later = datetime.now(UTC).isoformat()
    history = (policy(1, {"v1": 1.0}), policy(2, {"v1": 0.9, "v2": 0.1}, "2100-01-01T00:00:00+00:00"))
    assert later < "2100"
    found = verdict(history[-1], history, tmp_path, "correct", 0.05)
    assert found is not None
    assert found.planned == sample_size(0.8, 0.05, share=0.1)
    assert found.comparison.decided is None
    assert f"5.0 points would show by {found.planned}" in found.sentence


def test_only_what_was_answered_since_both_shared_the_requests_is_compared(tmp_path: Path) -> None:
    logged(tmp_path, {"v1": [True] * 10, "v2": [False] * 10})
    history = (policy(1, {"v1": 1.0}), policy(2, {"v1": 0.5, "v2": 0.5}, "2100-01-01T00:00:00+00:00"))
    found = verdict(history[-1], history, tmp_path, "correct", 0.02)
    assert found is not None
    assert {name: arm.trials for name, arm in found.arms.items()} == {"v1": 0, "v2": 0}


def test_shares_that_changed_meanwhile_are_said(tmp_path: Path) -> None:
    logged(tmp_path, {"v1": [True] * 10, "v2": [True] * 10})
    same = (policy(1, {"v1": 0.9, "v2": 0.1}), policy(2, {"v1": 0.9, "v2": 0.1}))
    other = (*same, policy(3, {"v1": 0.5, "v2": 0.5}))
    for history, steady in ((same, True), (other, False)):
        found = verdict(history[-1], history, tmp_path, "correct", 0.02)
        assert found is not None
        assert found.steady is steady


@pytest.mark.parametrize("history", [(policy(1, {"v1": 1.0}),), ()])
def test_without_a_candidate_there_is_no_verdict(tmp_path: Path, history: tuple[Policy, ...]) -> None:
    logged(tmp_path, {"v1": [True] * 10})
    assert verdict(policy(1, {"v1": 1.0}), history, tmp_path, "correct", 0.02) is None


def test_without_a_label_there_is_no_verdict(tmp_path: Path) -> None:
    logged(tmp_path, {"v1": [True] * 10, "v2": [True] * 10}, feedback=False)
    assert verdict(policy(1, {"v1": 0.5, "v2": 0.5}), (), tmp_path, "correct", 0.02) is None


def test_a_label_may_itself_be_the_success_and_the_last_word_on_it_counts(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "predictions")

    def said(name: str, variant: str, *labels: Any) -> None:
        answer = {"id": name, "variant": variant, "predictions": [0] * 2, "probabilities": None, "flags": []}
        log.add(b'{"rows":[{},{}]}', msgspec.json.encode(answer))
        for each in labels:
            log.feedback(msgspec.json.encode({"id": name, "labels": each}))

    said("a", "v1", [1, 0])
    said("b", "v1", [0, 0], [1, 1])
    said("c", "v2", [None, True])
    said("d", "v2")
    log.flush()
    found = outcomes(tmp_path, "label", 0.0).arms
    assert {name: (arm.successes, arm.trials) for name, arm in found.items()} == {"v1": (3, 4), "v2": (1, 1)}
