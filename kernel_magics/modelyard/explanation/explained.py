"""Whatever can answer rows, made alike: recognised by what it can do, not by its class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError as SklearnNotFittedError

from modelyard.errors import ContractError, InvalidInputError, ModelyardError, NotFittedError
from modelyard.evaluation.inputs import describe_model
from modelyard.explanation.question import Explained
from modelyard.explanation.rows import Rows, rows_of
from modelyard_explainer.found import Found
from modelyard_explainer.responses import SCALES, figures, plain, response_of

_Answer = Callable[[pd.DataFrame], NDArray[Any]]
_Carried = Callable[[pd.DataFrame, Callable[[int], None]], Found]


def explained_of(model: Any, X: Any) -> tuple[Explained, Rows]:
    """Return what answers, and the rows as it is asked with them.

    Raises
    ------
    InvalidInputError
        `model` can answer nothing, or only with a class's name; `X` is no table, or lacks a column.
    NotFittedError
        It was not fitted.
    """
    if isinstance(model, type):
        raise InvalidInputError(f"model is a class, found {model.__name__}; give a fitted estimator")
    if hasattr(model, "fit") and hasattr(model, "predict"):
        explained, rows = _of_estimator(model, X)
    elif hasattr(model, "model_folder") and hasattr(model, "contract"):
        explained, rows = _of_bundle(model, X)
    elif hasattr(model, "predict") and hasattr(model, "columns"):
        explained, rows = _of_endpoint(model, X)
    else:
        raise InvalidInputError(
            f"model answers nothing, found {type(model).__name__}; give a fitted estimator, modelyard.bundle(NAME) "
            "or modelyard.deployment(NAME)"
        )
    _try(explained, rows.frame.iloc[:1])
    return explained, rows


def _of_estimator(model: Any, X: Any) -> tuple[Explained, Rows]:
    classes = _classes(model)
    rows = rows_of(X, _fitted_columns(model, X), getattr(model, "n_features_in_", None))
    shaped = rows.shaped
    response, answering = _answering(model, classes, shaped)
    width = 1
    if classes is None:
        width = _asked(model, answering, rows.frame.iloc[:1]).shape[1]
    several = [f"prediction {place}" for place in range(width)]
    outputs = classes or (["prediction"] if width == 1 else several)
    explained = Explained(
        name=describe_model(model),
        columns=rows.columns,
        outputs=tuple(outputs),
        is_classifier=classes is not None,
        scale=SCALES[response],
        estimator=model,
        shaped=shaped,
        answering=answering,
        labelling=lambda frame: np.asarray(model.predict(shaped(frame))).reshape(len(frame), -1)[:, 0],
    )
    return explained, rows


def _classes(model: Any) -> list[str] | None:
    """Return the names of the classes; ``None`` for what predicts numbers."""
    found = getattr(model, "classes_", None)
    if found is None or len(found) == 0:  # catboost's regressors have an empty list
        return None
    if np.ndim(found[0]) > 0:
        raise InvalidInputError(
            f"{describe_model(model)} predicts {len(found)} targets at once; explain one model per target"
        )
    return [str(each) for each in found]


def _fitted_columns(model: Any, X: Any) -> list[str] | None:
    """Return the columns that a model was fitted on, as far as it keeps their names: lightgbm rewrites them."""
    found = getattr(model, "feature_names_in_", None)
    if found is None:
        return None
    names = [str(each) for each in found]
    known = set(map(str, getattr(X, "columns", ())))
    return names if type(model).__module__.startswith("sklearn.") or known.issuperset(names) else None


def _answering(
    model: Any, classes: list[str] | None, shaped: Callable[[pd.DataFrame], Any]
) -> tuple[str, _Answer]:
    response = response_of(model, classifies=classes is not None)
    if response is None:
        raise InvalidInputError(
            f"{describe_model(model)} gives classes only, and no figure to explain; "
            "give a model with predict_proba or decision_function"
        )

    def answered(frame: pd.DataFrame) -> NDArray[Any]:
        found = figures(model, response, shaped(frame))
        if response == "decision_function" and found.shape[1] != len(classes or ()):
            raise InvalidInputError(
                f"{describe_model(model)} gives {found.shape[1]} scores for {len(classes or ())} classes; "
                "type decision_function_shape='ovr', or give a model with predict_proba"
            )
        return found

    return response, answered


def _of_bundle(bundle: Any, X: Any) -> tuple[Explained, Rows]:
    """Ask a bundle in this process, through the runtime's own model; its digests are checked first."""
    from modelyard_runtime.contract import ContractBroken
    from modelyard_runtime.models import frame_of, load_model

    bundle.check()
    described, contract = bundle.manifest["model"], bundle.contract
    loaded = load_model(bundle.model_folder, bundle.manifest, contract)
    rows = rows_of(X, list(contract.names), None)
    classes = described["classes"]

    def checked_rows(frame: pd.DataFrame) -> dict[str, list[Any]]:
        table = {name: plain(frame[name]) for name in contract.names}
        try:
            checked: dict[str, list[Any]] = contract.check(table, len(frame))[0]
        except ContractBroken as error:
            raise ContractError(f"bundle {bundle.tag}: {error}") from None
        return checked

    def asked(frame: pd.DataFrame) -> tuple[NDArray[Any], NDArray[Any] | None]:
        labels, chances = loaded(checked_rows(frame), len(frame))
        return np.asarray(labels), chances

    def carried(frame: pd.DataFrame, advance: Callable[[int], None]) -> Found:
        from modelyard_explainer.carried import load

        checked = checked_rows(frame)
        return load(bundle.model_folder, bundle.manifest, contract).explain(
            frame_of(contract, checked), advance
        )

    def chances(frame: pd.DataFrame) -> NDArray[Any]:
        found = asked(frame)[1]
        if found is None:
            raise InvalidInputError(
                f"the model in {bundle.tag} gives classes only, and no figure to explain; explain its estimator, "
                "or package a file that answers probabilities"
            )
        return np.asarray(found)

    def values(frame: pd.DataFrame) -> NDArray[Any]:
        return asked(frame)[0].reshape(len(frame), -1)

    return _without_estimator(
        f"bundle {bundle.tag}", rows, classes, chances if classes else values, lambda f: asked(f)[0],
        carried if "explainer" in bundle.manifest else None,
    )  # fmt: skip


def _of_endpoint(endpoint: Any, X: Any) -> tuple[Explained, Rows]:
    """Ask something that lives elsewhere: one call for many rows."""
    rows = rows_of(X, list(endpoint.columns), None)
    classes = getattr(endpoint, "classes", None)

    def values(frame: pd.DataFrame) -> NDArray[Any]:
        return np.asarray(endpoint.predict(frame)).reshape(len(frame), -1)

    return _without_estimator(
        getattr(endpoint, "name", type(endpoint).__name__),
        rows,
        classes,
        (lambda frame: np.asarray(endpoint.predict_proba(frame))) if classes else values,
        lambda frame: np.asarray(endpoint.predict(frame)),
        endpoint.explanations if getattr(endpoint, "explains", False) else None,
    )


def _without_estimator(
    name: str,
    rows: Rows,
    classes: Sequence[Any] | None,
    answering: _Answer,
    labelling: _Answer,
    carried: _Carried | None = None,
) -> tuple[Explained, Rows]:
    explained = Explained(
        name=name,
        columns=rows.columns,
        outputs=tuple(map(str, classes)) if classes else ("prediction",),
        is_classifier=bool(classes),
        scale=SCALES["predict_proba" if classes else "predict"],
        estimator=None,
        shaped=lambda frame: frame,
        answering=answering,
        labelling=labelling,
        carried=carried,
    )
    return explained, rows


def _try(explained: Explained, row: pd.DataFrame) -> None:
    """Let it answer one row, so that what cannot work is told before any work is done."""
    if explained.carried is not None:  # it may give classes only, and its explainer scores
        return
    if explained.estimator is None:
        explained.answer(row)
        return
    found = np.asarray(_asked(explained.estimator, explained.answering, row))
    if found.dtype.kind not in "fiub" and not _numeric(found):
        raise InvalidInputError(
            f"{explained.name} predicts {found.ravel()[0]!r}, which is no number and no known class; "
            "give a classifier with classes_, or a regressor"
        )


def _numeric(found: NDArray[Any]) -> bool:
    try:
        found.astype(float)
    except (TypeError, ValueError):
        return False
    return True


def _asked(model: Any, answering: _Answer, row: pd.DataFrame) -> NDArray[Any]:
    try:
        return answering(row)
    except ModelyardError:
        raise
    except SklearnNotFittedError:
        raise NotFittedError(f"{describe_model(model)} is not fitted; type model.fit(X, y) first") from None
    except Exception as error:  # the user's own model: its words, in one line
        said = str(error).partition("\n")[0]
        raise InvalidInputError(
            f"{describe_model(model)} fails on the first row of X: {type(error).__name__}: {said}"
        ) from error
