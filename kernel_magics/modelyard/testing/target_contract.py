"""What every target promises, as tests: subclass `TargetContract` in a test module and say which target."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import pytest

from modelyard.packaging import Bundle
from modelyard.targets import Deployment, deploy, deployments, rehearse, targets
from modelyard.targets import plan as made_plan
from modelyard.targets.protocol import Target, make_target, option_fields


def _tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
        and not path.name.endswith(("-shm", "-wal"))  # SQLite's own, also while it only reads
    }


class TargetContract:
    """The promises of `modelyard.targets.Target`, one test each.

    A subclass sets `name` to the target's entry-point name and gives the fixture ``bundle``, a bundle of a
    model that takes ``bundle``'s golden rows. Each test runs in a project of its own (the working directory).
    `broken_options` may give options under which `apply` must fail.
    """

    name: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}

    def broken_options(self) -> dict[str, Any] | None:
        """Return options under which `apply` must fail; ``None`` where there are none."""
        return None

    @pytest.fixture
    def bundle(self) -> Bundle:
        raise NotImplementedError("give a fixture `bundle` that returns a Bundle")

    @pytest.fixture
    def target(self) -> Target:
        made: Target = make_target(self.name, self.options)
        return made

    @pytest.fixture
    def deployment(self, bundle: Bundle) -> Any:
        made = deploy(bundle, to=self.name, name="contract", apply=True, **self.options)
        assert isinstance(made, Deployment)
        yield made
        made.remove()

    def test_is_registered_under_its_name(self) -> None:
        assert self.name in targets

    def test_says_where_its_limits_come_from_and_when_they_were_read(self, target: Target) -> None:
        assert target.limits.source
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", target.limits.as_of)

    def test_every_option_has_a_default_and_says_what_it_means(self, target: Target) -> None:
        make_target(self.name, {})
        assert all(option.metadata.get("help") for option in option_fields(type(target)))

    def test_planning_says_the_steps_and_the_cost_and_writes_nothing(self, bundle: Bundle) -> None:
        before = _tree(Path.cwd()), _tree(bundle.path)
        plan = made_plan(bundle, to=self.name, name="contract", **self.options)
        assert plan.steps
        assert str(plan.cost)
        assert plan.undo
        assert (_tree(Path.cwd()), _tree(bundle.path)) == before

    def test_status_of_a_state_it_never_made_is_an_answer(self, target: Target) -> None:
        assert target.status({}).health in ("down", "stopped")

    def test_what_it_makes_answers_the_golden_rows_within_its_limits(self, bundle: Bundle) -> None:
        found = rehearse(bundle, to=self.name, **self.options)
        assert found.ok, found.findings
        assert found.matched == found.rows == len(bundle.golden()[0])

    def test_answers_when_deploy_returns_and_wants_its_token(
        self, deployment: Deployment, bundle: Bundle
    ) -> None:
        assert deployment.status().health == "ready"
        rows, expected = bundle.golden()
        assert deployment.predict(rows).tolist() == expected

    def test_stops_and_starts_again_and_doing_so_twice_changes_nothing(
        self, deployment: Deployment, bundle: Bundle
    ) -> None:
        assert [deployment.stop().health, deployment.stop().health] == ["stopped", "stopped"]
        assert [deployment.start().health, deployment.start().health] == ["ready", "ready"]
        rows, expected = bundle.golden()
        assert deployment.predict(rows).tolist() == expected

    def test_undoing_the_first_deploy_leaves_nothing(self, deployment: Deployment) -> None:
        assert deployment.undo() is None
        assert deployment.status().health == "down"
        assert deployments() == ()

    def test_removing_leaves_nothing_and_may_be_done_twice(self, deployment: Deployment) -> None:
        deployment.remove()
        deployment.remove()
        assert deployment.status().health == "down"
        assert deployments() == ()
        assert not list((Path.cwd() / ".modelyard" / "deployments").glob("*"))

    def test_a_deploy_that_fails_leaves_nothing_or_what_undo_takes_back(self, bundle: Bundle) -> None:
        options = self.broken_options()
        if options is None:
            pytest.skip("this target names no options under which apply fails")
        with pytest.raises(Exception, match=r"."):
            deploy(bundle, to=self.name, name="contract", apply=True, **options)
        if hasattr(
            make_target(self.name, options), "sender"
        ):  # it makes calls: what they made is there to go on with
            (interrupted,) = deployments()
            assert interrupted.status().health == "down"
            assert interrupted.undo() is None
        assert deployments() == ()
        assert not list((Path.cwd() / ".modelyard" / "deployments").glob("*"))
