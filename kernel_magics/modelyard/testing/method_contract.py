"""What every way to explain promises, as tests: subclass `MethodContract` and say which one."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import joblib
import numpy as np
import pandas as pd
import pytest

from modelyard import progress
from modelyard.errors import InterruptedRunError, InvalidInputError, UsageError
from modelyard.explanation import Method, explain, explanations
from modelyard.presentation import Result

_COMMON = {"model", "X", "y", "method", "rows", "background", "seed", "report"}
_MOST_BYTES = 20_000_000


class _Shown:
    """A front end that keeps what it was told of each piece of work."""

    def __init__(self, title: str, total: int | None, unit: str) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.steps = self.closed = 0

    def advance(self, steps: int = 1, note: str = "") -> None:
        assert not self.closed
        self.steps += steps

    def close(self) -> None:
        self.closed += 1


class _Answering:
    """Something that lives elsewhere, as an endpoint does: it has the columns, answers, and no more."""

    name = "the endpoint"

    def __init__(self, model: Any, columns: Any, asked: Callable[[], None] = lambda: None) -> None:
        self.columns = tuple(columns)
        self._model, self._asked = model, asked
        if hasattr(model, "classes_"):
            self.classes = model.classes_.tolist()

    def predict(self, X: Any) -> Any:
        self._asked()
        return self._model.predict(X)

    def predict_proba(self, X: Any) -> Any:
        self._asked()
        return self._model.predict_proba(X)


class _Senseless:
    """A value that no option takes."""

    def __str__(self) -> str:
        return "senseless"

    __repr__ = __str__


class MethodContract:
    """The promises of `modelyard.explanation.Method`, one test each.

    A subclass sets `name` to the method's entry-point name, `options` to what it cannot do without, and gives the
    fixtures below. The rows should be a few dozen, since they are explained several times.

    ``model``
        A fitted estimator that the method explains, with probabilities where it classifies.
    ``data``
        A frame of numbers as the model takes it, and the targets: ``(X, y)``.

    `many` is how many rows a table has that must be explained, by default, in 20 MB.
    """

    name: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}
    many: ClassVar[int] = 10_000

    @pytest.fixture
    def model(self) -> Any:
        raise NotImplementedError("give a fixture `model` that returns a fitted estimator")

    @pytest.fixture
    def data(self) -> tuple[pd.DataFrame, Any]:
        raise NotImplementedError("give a fixture `data` that returns a frame of rows and their targets")

    @pytest.fixture
    def shown(self) -> Iterator[list[_Shown]]:
        opened: list[_Shown] = []

        def factory(title: str, total: int | None, unit: str) -> _Shown:
            opened.append(_Shown(title, total, unit))
            return opened[-1]

        progress.install(factory)
        yield opened
        progress.install(None)

    def explained(self, model: Any, data: tuple[Any, Any], **more: Any) -> Result:
        return explain(model, *data, method=self.name, **{**self.options, **more})

    def test_is_registered_under_its_name(self) -> None:
        assert self.name in explanations

    def test_is_made_without_arguments_and_says_in_a_line_what_each_option_means(self) -> None:
        made: Method = explanations[self.name]()
        assert not set(made.options) & _COMMON
        for option, words in made.options.items():
            assert option.isidentifier()
            assert words.strip()
            assert "\n" not in words

    def test_the_result_shows_itself_and_its_payload_is_json(self, model: Any, data: Any) -> None:
        found = self.explained(model, data)
        assert isinstance(found, Result)
        assert found.sentence()
        assert "\n" not in found.sentence()
        bundle = found._repr_mimebundle_()
        assert {"text/plain", "text/html"} < set(bundle)
        json.dumps(bundle, allow_nan=False)

    def test_the_model_and_the_rows_are_left_as_they_were(self, model: Any, data: Any) -> None:
        background = data[0].head(5).copy()
        before = joblib.hash((model, *data, background))
        self.explained(model, data, background=background)
        assert joblib.hash((model, *data, background)) == before

    def test_the_same_seed_says_the_same_and_moves_no_other_generator(self, model: Any, data: Any) -> None:
        state = np.random.get_state(legacy=False)
        said = []
        try:
            for elsewhere in (1, 2):
                np.random.seed(elsewhere)
                before = joblib.hash(np.random.get_state(legacy=False))
                payload = self.explained(model, data, seed=3).payload()
                assert joblib.hash(np.random.get_state(legacy=False)) == before
                said.append({key: value for key, value in payload.items() if key != "seconds"})
        finally:
            np.random.set_state(state)
        assert said[0] == said[1]

    def test_what_the_question_noted_is_among_the_notes(self, model: Any, data: Any) -> None:
        X, y = data
        found = self.explained(_Answering(model, X.columns), (X.assign(**{"not the model's": 1.0}), y))
        assert [note for note in found.notes() if 'not fitted on it: "not the model\'s"' in note]

    def test_what_only_answers_is_explained_too_and_showing_it_asks_nothing(
        self, model: Any, data: Any
    ) -> None:
        asked: list[None] = []
        found = self.explained(_Answering(model, data[0].columns, lambda: asked.append(None)), data)
        assert isinstance(found, Result)
        before = len(asked)
        assert before
        found._repr_mimebundle_()
        assert len(asked) == before

    def test_it_tells_how_it_goes_on(self, model: Any, data: Any, shown: list[_Shown]) -> None:
        self.explained(model, data)
        assert any(work.steps for work in shown)
        for work in shown:
            assert work.title
            assert work.unit
            assert work.closed == 1
            assert work.total is None or work.steps <= work.total

    def test_ctrl_c_stops_it_and_takes_its_progress_away(
        self, model: Any, data: Any, shown: list[_Shown]
    ) -> None:
        asked: list[None] = []

        def stop() -> None:
            asked.append(None)
            if len(asked) > 1:  # one row is asked for before the method begins
                raise KeyboardInterrupt

        with pytest.raises(InterruptedRunError):
            self.explained(_Answering(model, data[0].columns, stop), data)
        assert [work.closed for work in shown] == [1] * len(shown)

    def test_an_option_that_makes_no_sense_is_one_line(self, model: Any, data: Any) -> None:
        for option in explanations[self.name].options:
            with pytest.raises(UsageError) as caught:
                self.explained(model, data, **{option: _Senseless()})
            assert "\n" not in str(caught.value), option

    def test_rows_that_the_model_cannot_take_are_one_line(self, model: Any, data: Any) -> None:
        X, y = data
        with pytest.raises(InvalidInputError) as caught:
            self.explained(model, (X.drop(columns=X.columns[0]), y))
        assert "\n" not in str(caught.value)

    def test_its_memory_does_not_grow_with_the_rows(self, model: Any, data: Any) -> None:
        X, y = data
        places = np.resize(np.arange(len(X)), self.many)
        tall, targets = X.iloc[places].reset_index(drop=True), np.asarray(y)[places]
        self.explained(model, data)  # with all imports
        tracemalloc.start()
        try:
            self.explained(model, (tall, targets))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < _MOST_BYTES
