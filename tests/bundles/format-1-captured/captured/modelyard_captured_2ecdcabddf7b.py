"""Definitions of a notebook that a fitted model needs, captured by modelyard."""

from sklearn.base import BaseEstimator
from sklearn.base import TransformerMixin


FACTOR = 2.0


class Ratio(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return X.assign(ratio=FACTOR * X["length"] / X["width"])
