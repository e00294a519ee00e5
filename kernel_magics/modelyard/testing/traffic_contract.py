"""What every target with variants promises, as tests: subclass `TrafficContract` and say which target."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, ClassVar, cast

import msgspec
import pytest

from modelyard.catalog import open_yard
from modelyard.errors import DeploymentError, UsageError
from modelyard.packaging import Bundle
from modelyard.routing import traffic
from modelyard.targets import Deployment, deploy
from modelyard.targets.protocol import State, make_target
from modelyard.targets.traffic import Routed, RoutingTarget, can_route
from modelyard_router.policy import Policy, PolicyChangedError

_ASKED = 40


def _name(bundle: Bundle) -> str:
    return f"v{bundle.version}"


class TrafficContract:
    """The promises of `modelyard.targets.traffic.RoutingTarget`, one test each.

    A subclass sets `name` to the target's entry-point name, gives the fixtures below, and says by `processes` which
    server processes there are. Each test runs in a project of its own, or finds no deployment ``variants`` in it.

    ``bundle``
        A bundle that classifies.
    ``second``
        A later version of it that takes the same columns.
    ``broken``
        A later version that takes the same columns and cannot be loaded where it is deployed.

    What a place cannot do is said by a subclass, with the reason: `everywhere_s`, the seconds within which a policy is
    in force everywhere; `refuses`, changes of traffic that it refuses in one line, none of which may then be made.
    """

    name: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}
    everywhere_s: ClassVar[float] = 1.0
    refuses: ClassVar[tuple[dict[str, Any], ...]] = ()

    @pytest.fixture
    def bundle(self) -> Bundle:
        raise NotImplementedError("give a fixture `bundle` that returns a Bundle")

    @pytest.fixture
    def second(self) -> Bundle:
        raise NotImplementedError("give a fixture `second` that returns a later version of `bundle`")

    @pytest.fixture
    def broken(self) -> Bundle:
        raise NotImplementedError("give a fixture `broken` that returns a version that cannot be loaded")

    def processes(self, deployment: Deployment) -> set[Any]:
        """Return what tells the server processes apart, such as their numbers."""
        raise NotImplementedError("say what tells the server processes of a deployment apart")

    @pytest.fixture
    def target(self) -> RoutingTarget:
        return cast("RoutingTarget", make_target(self.name, self.options))

    @pytest.fixture
    def variants(self, bundle: Bundle) -> Iterator[Deployment]:
        """Deploy ``bundle``; take it away afterwards."""
        made = deploy(bundle, to=self.name, name="variants", apply=True, **self.options)
        assert isinstance(made, Deployment)
        yield made
        made.remove()

    def state(self) -> State:
        found: State = open_yard().get("deployment", "variants").payload["state"]
        return found

    def routed(self, target: RoutingTarget, deployment: Deployment) -> Routed:
        return target.routed(self.state(), deployment.token)

    def following(self, target: RoutingTarget, deployment: Deployment, why: str, **changes: Any) -> Policy:
        """Return a policy that follows on the one in force."""
        now = self.routed(target, deployment).policy
        return msgspec.structs.replace(now, number=now.number + 1, why=why, **changes)

    def answering(self, deployment: Deployment, rows: Any) -> set[str]:
        """Return who answers when ``rows`` are asked again and again, each time on a new connection."""
        return {deployment.answers(rows)[0]["variant"] for _ in range(_ASKED)}

    def _refused(self, change: str) -> bool:
        return any(change in changes for changes in self.refuses)

    def test_can_route(self, target: RoutingTarget) -> None:
        assert can_route(target)

    def test_a_bundle_becomes_a_variant_without_a_restart_and_each_answers_as_itself(
        self, variants: Deployment, bundle: Bundle, second: Bundle
    ) -> None:
        before = self.processes(variants)
        shown = traffic("variants", split={_name(bundle): 0.5, _name(second): 0.5})
        assert self.processes(variants) == before
        assert shown.policy.answering == {_name(bundle): 0.5, _name(second): 0.5}

        ids = set()
        for each in (bundle, second):
            rows, expected = each.golden()
            answers = [variants.answers(rows)[0] for _ in range(_ASKED)]
            assert {answer["variant"] for answer in answers} == {_name(bundle), _name(second)}
            assert all(a["predictions"] == expected for a in answers if a["variant"] == _name(each))
            ids |= {answer["id"] for answer in answers}
        assert len(ids) == 2 * _ASKED

    def test_a_policy_is_in_force_everywhere_within_a_second_and_says_so(
        self, variants: Deployment, target: RoutingTarget, bundle: Bundle, second: Bundle
    ) -> None:
        rows, _ = bundle.golden()
        traffic("variants", canary={_name(second): 0.5})  # from now on it is there
        for share in (1.0, 0.0):  # not again 1.0: who has nothing to answer may have been let go by then
            weights = {_name(bundle): 1 - share, _name(second): share}
            policy = self.following(target, variants, "the contract's", weights=weights)
            started = time.monotonic()
            target.route(self.state(), policy)
            assert time.monotonic() - started < self.everywhere_s
            assert self.answering(variants, rows) == set(policy.answering)
            routed = self.routed(target, variants)
            assert routed.policy == policy == routed.history[-1]
            assert set(routed.reached) <= {policy.number}

    def test_a_variant_that_does_not_load_changes_nothing_and_says_why(
        self, variants: Deployment, target: RoutingTarget, bundle: Bundle, second: Bundle, broken: Bundle
    ) -> None:
        traffic("variants", canary={_name(second): 0.25})
        before, processes = self.routed(target, variants).policy, self.processes(variants)
        for _ in range(2):  # also when it is tried again
            with pytest.raises(DeploymentError, match=rf"{_name(broken)} does not load: \S+") as told:
                traffic("variants", canary={_name(broken): 0.5})
            assert "\n" not in str(told.value)
        after = self.routed(target, variants).policy
        assert (after.weights, after.control, after.shadow) == (before.weights, before.control, before.shadow)
        assert _name(broken) not in after.variants
        assert self.processes(variants) == processes
        assert variants.status().health == "ready"
        rows, _ = bundle.golden()
        assert self.answering(variants, rows) == {_name(bundle), _name(second)}

    def test_of_two_who_read_the_same_policy_the_second_is_told(
        self, variants: Deployment, target: RoutingTarget, second: Bundle
    ) -> None:
        variant = target.as_variant(self.state(), second)
        assert target.as_variant(self.state(), second) == variant  # doing so twice is no error
        known = {**self.routed(target, variants).policy.variants, _name(second): variant}
        first = self.following(target, variants, "the first writer's", variants=known)
        other = self.following(target, variants, "the second writer's", variants=known)
        target.route(self.state(), first)
        with pytest.raises(PolicyChangedError, match=r"changed meanwhile: .*the first writer's"):
            target.route(self.state(), other)
        assert self.routed(target, variants).policy == first

    def test_weights_shadows_and_the_history_survive_a_stop(
        self, variants: Deployment, target: RoutingTarget, bundle: Bundle, second: Bundle
    ) -> None:
        traffic("variants", canary={_name(second): 0.5})
        heard: dict[str, Any] = {} if self._refused("shadow") else {"shadow": _name(bundle)}
        traffic("variants", split={_name(second): 1.0}, **heard)
        before = self.routed(target, variants)
        variants.stop()
        stopped = self.routed(target, variants)
        assert (stopped.policy, stopped.history) == (before.policy, before.history)
        variants.start()
        after = self.routed(target, variants)
        assert (after.policy, after.history) == (before.policy, before.history)
        rows, _ = bundle.golden()
        assert self.answering(variants, rows) == {_name(second)}

    def test_what_it_cannot_do_is_refused_before_anything_is_changed(
        self, variants: Deployment, target: RoutingTarget, bundle: Bundle, second: Bundle
    ) -> None:
        before = self.routed(target, variants)
        for changes in self.refuses:
            with pytest.raises(UsageError) as told:
                traffic("variants", **changes)
            assert "; type " in str(told.value)
            assert "\n" not in str(told.value)
        assert self.routed(target, variants) == before

    def test_a_promotion_can_be_rolled_back(
        self, variants: Deployment, bundle: Bundle, second: Bundle
    ) -> None:
        rows, own = bundle.golden()
        promoted = traffic("variants", promote=_name(second))
        assert (promoted.policy.control, promoted.policy.before) == (_name(second), _name(bundle))
        assert self.answering(variants, rows) == {_name(second)}
        back = traffic("variants", rollback=True)
        assert back.policy.answering == {_name(bundle): 1.0}
        assert self.answering(variants, rows) == {_name(bundle)}
        assert variants.predict(rows).tolist() == own
        assert [policy.number for policy in back.history] == list(range(1, back.policy.number + 1))
        assert all(policy.why and policy.by and policy.at for policy in back.history)
