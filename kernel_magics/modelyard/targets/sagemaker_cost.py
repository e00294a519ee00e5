"""What SageMaker costs in a month: instances by the hour, or a serverless endpoint by memory times time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.errors import UsageError
from modelyard.targets.cost import HOURS, Cost, PriceTable, price_table

_SERVICE = "aws-sagemaker"
_ANSWER_S = 0.005  # what the cost of a serverless endpoint assumes; the least that is paid for is 0.001
_NOT_COUNTED = "storage, and what moves in and out, is not counted"


@dataclass(frozen=True)
class UnknownCost(Cost):
    """A cost that nobody can tell; `load` says why."""

    def __str__(self) -> str:
        return f"not known: {self.load}"

    def payload(self) -> dict[str, Any]:
        return super().payload() | {"monthly": None}


def prices(path: str | None) -> PriceTable:
    """Return the price table in the file `path`, or the one that modelyard brings.

    Raises
    ------
    UsageError
        The file is missing, or none.
    """
    return price_table(path or str(Path(__file__).with_name("sagemaker_prices.json")))


def of_instances(table: PriceTable, instance: str, count: int, hours: float = HOURS) -> Cost:
    """Return what instances cost; where the table lacks their type, say so."""
    try:
        each = hours * table.of(_SERVICE, f"hour_{instance}")
    except UsageError as error:
        return _unknown(error)
    runs = "that always run" if hours == HOURS else f"for {hours:g} h"
    return Cost(
        count * each, f"{count} × {instance} {runs}", {"instances": count * each},
        (_NOT_COUNTED, *(("each variant more costs as much again",) if hours == HOURS else ())), table,
    )  # fmt: skip


def of_requests(table: PriceTable, memory_mb: int, requests: float) -> Cost:
    """Return what a serverless endpoint costs; where the table lacks its price, say so."""
    try:
        each = _ANSWER_S * memory_mb / 1024 * table.of(_SERVICE, "serverless_gb_second")
    except UsageError as error:
        return _unknown(error)
    load = f"{requests:,.0f} requests of {_ANSWER_S * 1e3:g} ms"
    return Cost(requests * each, load, {"compute": requests * each}, (_NOT_COUNTED,), table)


def _unknown(error: UsageError) -> UnknownCost:
    return UnknownCost(0.0, f"{error}; give one with --price-table")
