"""What every compression technique promises, as tests: subclass `TechniqueContract` and say which one."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, ClassVar

import joblib
import numpy as np
import pytest
from numpy.typing import NDArray

from modelyard.compression import Asked, Recipe, Technique, techniques
from modelyard.compression.clock import until
from modelyard.compression.fitting import quiet_fits
from modelyard.compression.judging import parted
from modelyard.compression.last_step import last_step
from modelyard.compression.protocol import FAULTS
from modelyard.compression.refitting import fitted_again
from modelyard.evaluation.inputs import Samples, samples_for
from modelyard.packaging import package
from modelyard.testing.hidden_imports import only_libraries_of
from modelyard.tuning.serving import Rows, served


class _Unread:
    """Stands where rows would be, and tells who reads them."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"candidates() looked at the rows ({name}); that work is left to the recipes")

    def _refuse(self, *_: Any) -> Any:
        raise AssertionError("candidates() looked at the rows; that work is left to the recipes")

    __len__ = __iter__ = __getitem__ = __array__ = __bool__ = _refuse


class TechniqueContract:
    """The promises of `modelyard.compression.Technique` and of its recipes, one test each.

    A subclass sets `name` to the technique's entry-point name and gives the two fixtures, of the scope ``class``
    (class methods) or wider, since what the technique makes is made once for most tests. Each test runs in a project
    of its own (the working directory).

    ``model``
        A fitted model that the technique makes smaller.
    ``data``
        The rows that it was fitted on, and their targets: ``(X, y)``; a hundred rows are enough.

    `misfit` may give a model that the technique can do nothing with.
    """

    name: ClassVar[str]
    seed: ClassVar[int] = 0

    def misfit(self) -> Any | None:
        """Return a fitted model that the technique has no recipe for; ``None`` where it has one for any."""
        return None

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Any:
        raise NotImplementedError("give a fixture `model` that returns a fitted model")

    @pytest.fixture(scope="class")
    @classmethod
    def data(cls) -> tuple[Any, Any]:
        raise NotImplementedError("give a fixture `data` that returns the rows and targets of `model`")

    @pytest.fixture(scope="class")
    @classmethod
    def technique(cls) -> Technique:
        made: Technique = techniques[cls.name]()
        return made

    @pytest.fixture(scope="class")
    @classmethod
    def samples(cls, model: Any, data: tuple[Any, Any]) -> Samples:
        return samples_for(model, *data)

    @pytest.fixture(scope="class")
    @classmethod
    def digest(cls, model: Any, samples: Samples) -> str:
        """Return what the model and its rows were before the technique has seen them."""
        return _digest(model, samples)

    @pytest.fixture(scope="class")
    @classmethod
    def recipes(cls, digest: str, technique: Technique, model: Any, samples: Samples) -> list[Recipe]:
        return cls.recipes_of(technique, model, samples)

    @pytest.fixture(scope="class")
    @classmethod
    def smaller(cls, recipes: list[Recipe], model: Any, samples: Samples) -> dict[str, Any]:
        """Return what the recipes make of the model, by their names."""
        return cls.made(recipes, model, samples)

    @classmethod
    def recipes_of(cls, technique: Technique, model: Any, samples: Samples, option: str = "") -> list[Recipe]:
        return list(technique.candidates(Asked(model, samples, cls.seed, option)))

    @staticmethod
    def made(recipes: list[Recipe], model: Any, samples: Samples) -> dict[str, Any]:
        """Return what the recipes make, without those that cannot be made of this model."""
        found = {}
        with quiet_fits():
            for recipe in recipes:
                try:
                    found[recipe.name] = recipe.make(model, samples)
                except FAULTS:
                    continue
        return found

    def test_is_registered_under_its_name(self) -> None:
        assert self.name in techniques

    def test_says_when_its_turn_is_and_what_may_follow_its_name(self, technique: Technique) -> None:
        assert isinstance(technique.order, int)
        assert isinstance(technique.combines, bool)
        assert isinstance(technique.options, tuple)
        assert all(option and ":" not in option for option in technique.options)

    def test_fits_what_it_has_recipes_for(
        self, technique: Technique, model: Any, recipes: list[Recipe]
    ) -> None:
        assert technique.fits(model) is True
        assert recipes
        strange = self.misfit()
        assert strange is None or technique.fits(strange) is False

    def test_whether_it_fits_is_an_answer_for_whatever_predicts(
        self, technique: Technique, smaller: dict[str, Any]
    ) -> None:
        class Predicting:
            def predict(self, X: Any) -> Any:
                return np.zeros(len(X))

        for other in (Predicting(), *smaller.values()):
            assert technique.fits(other) in (True, False)

    def test_whether_it_fits_brings_in_no_library_that_the_model_does_not_use(
        self, technique: Technique, model: Any
    ) -> None:
        with only_libraries_of(model, last_step(model), technique) as asked:
            technique.fits(model)
        assert asked == []

    def test_recipes_are_told_apart_by_their_names_and_are_the_same_whenever_the_same_is_asked(
        self, technique: Technique, model: Any, samples: Samples, recipes: list[Recipe]
    ) -> None:
        names = [recipe.name for recipe in recipes]
        assert len(set(names)) == len(names)
        assert {recipe.technique for recipe in recipes} == {self.name}
        assert names == [recipe.name for recipe in self.recipes_of(technique, model, samples)]

    def test_the_work_is_left_to_the_recipes(
        self, technique: Technique, model: Any, samples: Samples, recipes: list[Recipe]
    ) -> None:
        rows: Any = _Unread()
        unread = replace(samples, X=rows, y=rows)
        names = [recipe.name for recipe in self.recipes_of(technique, model, unread)]
        assert names == [recipe.name for recipe in recipes]

    def test_what_follows_its_name_leaves_some_of_the_recipes(
        self, technique: Technique, model: Any, samples: Samples, recipes: list[Recipe]
    ) -> None:
        whole = [recipe.name for recipe in recipes]
        for option in technique.options:
            some = [recipe.name for recipe in self.recipes_of(technique, model, samples, option)]
            assert some
            assert some == [name for name in whole if name in some]

    def test_what_it_makes_answers_as_the_model_does(self, samples: Samples, smaller: dict[str, Any]) -> None:
        assert smaller
        for name, model in smaller.items():
            said = _answers(model, samples)
            assert said.shape == (samples.rows,), name
            if samples.classes is None:
                assert np.isfinite(said.astype(float)).all(), name
            else:
                assert set(said.tolist()) <= set(samples.classes.tolist()), name
                assert list(model.classes_) == samples.classes.tolist(), name

    def test_the_first_that_it_makes_goes_into_a_bundle(
        self, data: tuple[Any, Any], smaller: dict[str, Any]
    ) -> None:
        bundle = package(next(iter(smaller.values())), *data, name="contract")
        rows, expected = bundle.golden()
        assert len(rows) == len(expected) > 0

    def test_something_that_it_makes_is_smaller_than_the_model(
        self, model: Any, samples: Samples, smaller: dict[str, Any]
    ) -> None:
        rows = Rows.of(samples)
        whole = served(model, rows, proven=True).size_bytes
        assert any(served(each, rows, proven=True).size_bytes < whole for each in smaller.values())

    def test_the_model_and_its_rows_are_left_as_they_were(
        self, model: Any, samples: Samples, digest: str, smaller: dict[str, Any]
    ) -> None:
        assert smaller
        assert _digest(model, samples) == digest

    def test_recipes_listed_for_a_part_of_the_rows_serve_all_of_them(
        self, technique: Technique, model: Any, samples: Samples
    ) -> None:
        part = parted(samples, self.seed).training
        original = fitted_again(model, part)
        recipes = self.recipes_of(technique, original, part)
        of_part = self.made(recipes, original, part)
        assert of_part
        assert set(of_part) <= set(self.made(recipes, model, samples))

    def test_what_is_drawn_is_drawn_by_the_seed(
        self, model: Any, samples: Samples, recipes: list[Recipe], smaller: dict[str, Any]
    ) -> None:
        state = np.random.get_state(legacy=False)
        try:
            np.random.seed(1)
            before = joblib.hash(np.random.get_state(legacy=False))
            again = self.made(recipes, model, samples)
            assert joblib.hash(np.random.get_state(legacy=False)) == before
        finally:
            np.random.set_state(state)
        assert list(again) == list(smaller)
        for name in again:
            assert np.array_equal(_answers(again[name], samples), _answers(smaller[name], samples)), name

    def test_what_the_clock_stops_leaves_the_model_and_its_rows_as_they_were(
        self, model: Any, samples: Samples, digest: str, recipes: list[Recipe]
    ) -> None:
        with until(0):
            self.made(recipes, model, samples)
        assert _digest(model, samples) == digest

    def test_where_it_says_so_it_makes_what_another_technique_made_smaller(
        self, technique: Technique, model: Any, samples: Samples, recipes: list[Recipe]
    ) -> None:
        if not technique.combines:
            return
        before = Recipe("copying", "as it is", lambda model, samples: copy.deepcopy(model))
        both = [before.then(recipe) for recipe in recipes]
        assert [recipe.technique for recipe in both] == [f"copying + {self.name}"] * len(recipes)
        assert len(self.made(both, model, samples)) == len(self.made(recipes, model, samples))


def _digest(model: Any, samples: Samples) -> str:
    return str(joblib.hash((model, samples.X, samples.y)))


def _answers(model: Any, samples: Samples) -> NDArray[Any]:
    with quiet_fits():
        return np.asarray(model.predict(samples.X)).reshape(-1)
