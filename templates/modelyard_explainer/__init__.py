"""SHAP values on a model's original columns: computed for the notebook, and beside a bundle's runtime for its endpoint.

Only a bundle that was packaged with an explainer holds this package. It needs shap, skops where an estimator travels,
and what the estimator itself needs: the lines of ``lock-explain.txt`` and ``lock.txt``.
"""
