"""Who answers a what-if: a bundle in this process, or an endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.catalog import Yard
from modelyard.errors import BundleError, ContractError, UnknownNameError
from modelyard.packaging import Bundle
from modelyard.packaging import bundle as find_bundle
from modelyard.routing.predictors import MODEL_ERRORS, opened
from modelyard.targets import Deployment
from modelyard_runtime.contract import ContractBroken
from modelyard_runtime.predictor import class_key


@dataclass(frozen=True)
class Answer:
    """What was predicted for one row.

    Attributes
    ----------
    prediction : object
        The label or value.
    probabilities : mapping of str to float, or None
        By class.
    flags : tuple of str
        What of the row training never saw, in one phrase each.
    by : str
        The variant that answered, where there are several.
    """

    prediction: Any
    probabilities: Mapping[str, float] | None
    flags: tuple[str, ...]
    by: str = ""


Ask = Callable[[Mapping[str, Any]], Answer]


class AskedBundle:
    """A bundle that is loaded when it is made, and answers as its endpoint would.

    Raises
    ------
    BundleError
        It is gone, damaged or not trusted, or cannot be loaded here.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._opening = opened(bundle)  # what is garbage ends the model's process, if it has one
        self._predictor = self._opening.__enter__()
        classes = bundle.manifest["model"]["classes"]
        self._classes = None if classes is None else [class_key(label) for label in classes]
        self._tag = bundle.tag

    def __call__(self, row: Mapping[str, Any]) -> Answer:
        """Answer one row.

        Raises
        ------
        ContractError
            It breaks the contract; in the words of the endpoint.
        BundleError
            The model fails on it.
        """
        try:
            labels, scores, flags = self._predictor.outputs({name: [row[name]] for name in row}, 1)
        except ContractBroken as error:
            raise ContractError(str(error)) from None
        except MODEL_ERRORS as error:
            raise BundleError(f"{self._tag} fails on this row: {type(error).__name__}: {error}") from None
        named = None
        if scores is not None and self._classes is not None:
            named = dict(zip(self._classes, scores[0].tolist(), strict=True))
        told = tuple(f"{flag.column!r}: {flag.value!r} is {flag.flag}" for flag in flags)
        return Answer(labels[0], named, told)


class AskedDeployment:
    """An endpoint, asked with this user's token: it counts and logs each answer as any other.

    Raises
    ------
    DeploymentError
        This user has no token of it.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def __call__(self, row: Mapping[str, Any]) -> Answer:
        """Answer one row.

        Raises
        ------
        ContractError, DeploymentError
            As `Deployment.answers`.
        """
        [answer] = self._deployment.answers(dict(row))
        probabilities = answer.get("probabilities")
        told = tuple(f"{flag['column']!r}: {flag['value']!r} is {flag['flag']}" for flag in answer["flags"])
        return Answer(
            answer["predictions"][0], probabilities[0] if probabilities else None, told, answer["variant"]
        )


def bundle_of(deployment: Deployment) -> Bundle:
    """Return the bundle that a deployment serves: from the store, or its copy in the deployment's own folder.

    Raises
    ------
    BundleError
        Both are gone.
    """
    name, _, version = deployment.bundle.partition(":")
    copy = Yard(deployment.root).deployment_folder(deployment.name) / "home" / "bentos" / name / version
    if (copy / "src").is_dir():
        return Bundle(name, int(version), copy)
    try:
        return find_bundle(deployment.bundle)
    except UnknownNameError:
        raise BundleError(
            f"bundle {deployment.bundle} of deployment {deployment.name!r} is gone; package the model again"
        ) from None
