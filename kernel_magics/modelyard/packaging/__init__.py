"""A fitted estimator becomes a bundle: portable, checked, and in BentoML's store.

Reading bundles is light; `package` brings scikit-learn and the converters with it when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.packaging.bundle import Bundle, Verification, bundle

if TYPE_CHECKING:
    from modelyard.packaging.amending import contract
    from modelyard.packaging.packing import package

__all__ = ["Bundle", "Verification", "bundle", "contract", "package"]


def __getattr__(name: str) -> Any:
    if name == "contract":
        from modelyard.packaging.amending import contract

        return contract
    if name == "package":
        from modelyard.packaging.packing import package

        return package
    raise AttributeError(f"module 'modelyard.packaging' has no attribute {name!r}")
