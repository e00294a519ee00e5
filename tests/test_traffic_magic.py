"""``%traffic`` and ``%replay`` through a real shell: lines, calls, help, completion, and one-line refusals."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from modelyard.errors import UnknownNameError, UsageError


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("churn", "modelyard.traffic('churn')"),
        ("churn --canary v2=10%", "modelyard.traffic('churn', canary={'v2': 0.1})"),
        ("churn --canary v2=10% v3=0.05", "modelyard.traffic('churn', canary={'v2': 0.1, 'v3': 0.05})"),
        ("churn --split v1=50% v2=50%", "modelyard.traffic('churn', split={'v1': 0.5, 'v2': 0.5})"),
        ("churn --split v1=50%,v2=50%", "modelyard.traffic('churn', split={'v1': 0.5, 'v2': 0.5})"),
        ("churn --shadow v2 v3", "modelyard.traffic('churn', shadow=['v2', 'v3'])"),
        ("churn --promote v2", "modelyard.traffic('churn', promote='v2')"),
        ("churn --rollback", "modelyard.traffic('churn', rollback=True)"),
        ("churn --sticky user_id", "modelyard.traffic('churn', sticky='user_id')"),
        (
            'churn --canary v2 --steps 1%,5%,100% --every 2min --guard "errors<1%" --guard "p99<20ms" --least 30',
            "modelyard.traffic('churn', canary='v2', steps=[0.01, 0.05, 1.0], every=120.0, "
            "guard=['errors<1%', 'p99<20ms'], least=30)",
        ),
        ("churn --watch", "modelyard.traffic('churn', watch=3600.0)"),
        ("churn --watch 90s --outcome label --effect 1%",
         "modelyard.traffic('churn', outcome='label', effect=0.01, watch=90.0)"),
    ],
)  # fmt: skip
def test_a_line_of_traffic_is_one_call(shell: InteractiveShell, line: str, call: str) -> None:
    assert repr(shell.run_line_magic("traffic", f"{line} --show-code")) == call


def test_a_line_of_replay_is_one_call(shell: InteractiveShell) -> None:
    found = shell.run_line_magic(
        "replay", "churn --on v2 --since 1h --rows 1000rows --variant v1 --show-code"
    )
    assert repr(found) == "modelyard.replay('churn', 'v2', since=3600.0, rows=1000, variant='v1')"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("churn --split v1 v2", "how much for v1"),
        ("churn --canary v2=ten", "a share is a percentage, found 'ten'"),
        ("churn --canary v2=10", "a share without % is between 0 and 1, found '10'; type 10%"),
        ("churn --canary v2=10% v2=20%", "v2 is named twice"),
        ("churn --canary v2 --steps 1%,100% --every 60", "a time has a unit, found '60'"),
        ("churn --canry v2=10%", "did you mean '--canary'"),
    ],
)
def test_a_line_that_cannot_be_is_refused_in_one_line(shell: InteractiveShell, line: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        shell.run_line_magic("traffic", line)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_deployment_is_named_beside_those_that_exist(shell: InteractiveShell) -> None:
    with pytest.raises(UnknownNameError, match=r"no deployment named 'churn' in .*; there: none"):
        shell.run_line_magic("traffic", "churn --canary v2=10%")


def test_help_says_what_a_guard_may_bound(shell: InteractiveShell) -> None:
    text = str(shell.run_line_magic("traffic", "-h"))
    for metric in ("errors<1%", "refused<1%", "p99<20ms", "disagreement<5%", "crashes<1"):
        assert metric in " ".join(text.split())


def test_tab_offers_flags_and_guards(shell: InteractiveShell) -> None:
    _, flags = shell.complete("--st", "%traffic churn --st")
    assert {"--steps", "--sticky"} <= set(flags)
    _, guards = shell.complete("p", "%traffic churn --guard p")
    assert "p99<20ms" in guards
