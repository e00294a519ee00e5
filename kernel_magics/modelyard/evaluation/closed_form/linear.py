"""Least squares: a left-out residual is the residual over one minus the leverage.

Source: D. M. Allen, "The relationship between variable selection and data augmentation and a method for prediction",
Technometrics 16, 1974 (PRESS); R. D. Cook and S. Weisberg, "Residuals and Influence in Regression", 1982, section 2.2.
The formula holds for every fit whose predictions are ``H y`` and whose penalty does not depend on the rows, so for
ridge and kernel ridge too; an intercept that is not penalised adds ``1 / n`` to each leverage.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from sklearn.metrics.pairwise import pairwise_kernels

from modelyard.evaluation.closed_form.held_out import Floats, HeldOut, near_ties

_LEAST_REST = 1e-6  # one minus the leverage, below which the division costs too many digits
_SQUARABLE = 1e-4  # the least over the greatest diagonal of a triangle whose squares keep enough digits
_MOST_KERNEL_ROWS = 8_000  # the kernel matrix of which takes 0.5 GB
_KERNELS = ("additive_chi2", "chi2", "cosine", "laplacian", "linear", "poly", "polynomial", "rbf", "sigmoid")


def linear_regression(model: Any, X: Floats, y: NDArray[Any], classes: None) -> HeldOut | None:
    """Answer as ``LinearRegression``: without a penalty; rows on which the rank depends are left to a fit."""
    if model.positive:
        return None
    return _numbers(_left_out(X, y.astype(float)[:, None], 0.0, model.fit_intercept))


def ridge(model: Any, X: Floats, y: NDArray[Any], classes: None) -> HeldOut | None:
    """Answer as ``Ridge`` with a solver that is exact."""
    if not _is_exact_ridge(model):
        return None
    return _numbers(_left_out(X, y.astype(float)[:, None], float(model.alpha), model.fit_intercept))


def ridge_classifier(model: Any, X: Floats, y: NDArray[Any], classes: NDArray[Any]) -> HeldOut | None:
    """Answer as ``RidgeClassifier``: ridge on targets of -1 and 1, one column per class."""
    if not _is_exact_ridge(model) or model.class_weight is not None:
        return None
    targets = np.where(y[:, None] == (classes[1:] if len(classes) == 2 else classes), 1.0, -1.0)
    found = _left_out(X, targets, float(model.alpha), model.fit_intercept)
    if found is None:
        return None
    scores, leverage = found
    unsure = 1.0 - leverage < _LEAST_REST
    if len(classes) == 2:
        decision = scores[:, 0]
        labels = classes[(decision > 0).astype(int)]
        return HeldOut(labels, unsure | (np.abs(decision) < 1e-9), decision, delicate=leverage)
    return HeldOut(classes[scores.argmax(axis=1)], unsure | near_ties(scores), scores, delicate=leverage)


def kernel_ridge(model: Any, X: Floats, y: NDArray[Any], classes: None) -> HeldOut | None:
    """Answer as ``KernelRidge``: without intercept, ``I - H`` is ``alpha`` times the inverse of ``K + alpha I``."""
    known = model.kernel in _KERNELS and model.kernel_params is None
    if not known or not _is_positive(model.alpha) or len(X) > _MOST_KERNEL_ROWS:
        return None
    kernel = pairwise_kernels(
        X, metric=model.kernel, filter_params=True, gamma=model.gamma, degree=model.degree, coef0=model.coef0
    )
    kernel[np.diag_indices_from(kernel)] += model.alpha
    try:
        inverse = linalg.cho_solve(linalg.cho_factor(kernel, lower=True), np.eye(len(X)))
    except linalg.LinAlgError:  # a kernel that is not positive: scikit-learn has another way then
        return None
    rest = inverse.diagonal()
    predicted = y - inverse @ y.astype(float) / rest
    return HeldOut(predicted, np.asarray(model.alpha * rest < _LEAST_REST), delicate=-rest)


def _is_positive(alpha: Any) -> bool:
    return isinstance(alpha, Real) and bool(np.isfinite(float(alpha))) and float(alpha) > 0


def _is_exact_ridge(model: Any) -> bool:
    return model.solver in ("auto", "cholesky", "svd") and not model.positive and _is_positive(model.alpha)


def _numbers(found: tuple[Floats, Floats] | None) -> HeldOut | None:
    if found is None:
        return None
    predicted, leverage = found
    return HeldOut(predicted[:, 0], 1.0 - leverage < _LEAST_REST, delicate=leverage)


def _left_out(X: Floats, Y: Floats, alpha: float, intercept: bool) -> tuple[Floats, Floats] | None:
    """Return left-out predictions of shape (rows, targets) and the leverage of each row."""
    rows, features = X.shape
    A, B, share = X, Y, 0.0
    if intercept:
        A, B, share = X - X.mean(axis=0), Y - Y.mean(axis=0), 1.0 / rows
    if alpha and features > rows:
        residuals, leverage = _by_rows(A, B, alpha)
    else:
        basis = _penalised_basis(A, alpha) if alpha else _basis(A)
        if basis is None:
            return None
        residuals, leverage = B - basis @ (basis.T @ B), np.einsum("ij,ij->i", basis, basis)
    leverage = leverage + share
    with np.errstate(divide="ignore", invalid="ignore"):
        return Y - residuals / (1.0 - leverage)[:, None], leverage


def _penalised_basis(A: Floats, alpha: float) -> Floats:
    """Return U with ``U U' = A (A'A + alpha I)^-1 A'``.

    By Cholesky's decomposition as scikit-learn solves it, or, where that squares a bad condition, by the QR
    decomposition of A on top of ``sqrt(alpha) I``.
    """
    rows, features = A.shape
    products = A.T @ A
    products[np.diag_indices_from(products)] += alpha
    try:
        root = linalg.cholesky(products, lower=True, check_finite=False)
    except linalg.LinAlgError:
        root = np.zeros((1, 1))
    if root.diagonal().min() > _SQUARABLE * root.diagonal().max():
        return np.asarray(linalg.solve_triangular(root, A.T, lower=True, check_finite=False).T)
    stacked = np.vstack([A, np.sqrt(alpha) * np.eye(features)])
    return np.asarray(linalg.qr(stacked, mode="economic", overwrite_a=True, check_finite=False)[0][:rows])


def _basis(A: Floats) -> Floats | None:
    """Return an orthonormal basis of A's columns; ``None`` where rounding decides about the rank."""
    left, values, _ = linalg.svd(A, full_matrices=False, check_finite=False)
    largest = values[0] if len(values) else 0.0
    kept = values > 1e-8 * largest
    if (~kept & (values > 1e-13 * largest)).any():
        return None
    return np.asarray(left[:, kept])


def _by_rows(A: Floats, B: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Return residuals and leverages of more columns than rows, from the rows' products."""
    kernel = A @ A.T
    kernel[np.diag_indices_from(kernel)] += alpha
    rest = alpha * linalg.cho_solve(linalg.cho_factor(kernel, lower=True), np.eye(len(A)))
    return rest @ B, 1.0 - rest.diagonal()
