"""What a place costs in a month, at a load that is said, by a price table that has a date."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from modelyard.errors import UsageError, did_you_mean, listing

HOURS = 730.0
_STALE_DAYS = 365


@dataclass(frozen=True)
class PriceTable:
    """Prices by service and unit.

    Attributes
    ----------
    as_of, source, currency : str
        When they were read (ISO date), where, and in what they are.
    prices : mapping
        By service, then by what is paid for.
    """

    as_of: str
    source: str
    currency: str
    prices: Mapping[str, Mapping[str, float]]

    def of(self, service: str, unit: str) -> float:
        """Return one price.

        Raises
        ------
        UsageError
            The table lacks it.
        """
        known = self.prices.get(service, {})
        if unit not in known:
            raise UsageError(
                f"the price table of {self.as_of} has no {unit!r} of {service!r}; "
                f"it has: {listing(known)}{did_you_mean(unit, known)}"
            )
        return float(known[unit])

    def age_days(self, today: date | None = None) -> int:
        """Return how old it is, in days."""
        return ((today or datetime.now(UTC).date()) - date.fromisoformat(self.as_of)).days


def price_table(path: str | None = None) -> PriceTable:
    """Return the price table in the file `path`, or the one that modelyard brings.

    Raises
    ------
    UsageError
        The file is missing, or none.
    """
    file = Path(path) if path else Path(__file__).with_name("prices.json")
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        table = PriceTable(found["as_of"], found["source"], found["currency"], found["prices"])
        table.age_days()
    except OSError as error:
        raise UsageError(f"the price table {str(file)!r} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{str(file)!r} is no price table ({error}); it is JSON with as_of, source, currency and prices"
        ) from None
    return table


@dataclass(frozen=True)
class Cost:
    """What a month costs.

    Attributes
    ----------
    monthly : float
        In `currency`.
    load : str
        The load that this is for, in words.
    parts : mapping of str to float
        Of what it consists.
    remarks : tuple of str
        Break-even with another place, and what is not counted.
    table : PriceTable or None
        Where the prices are from; ``None`` where nothing is paid.
    """

    monthly: float
    load: str
    parts: Mapping[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    table: PriceTable | None = None

    def __str__(self) -> str:
        if self.table is None:
            return f"nothing: {self.load}"
        parts = " + ".join(f"{what} {value:.2f}" for what, value in self.parts.items())
        told = f"{self.monthly:.2f} {self.table.currency} a month at {self.load}"
        told += f" ({parts}; prices of {self.table.as_of})"
        return "; ".join((told, *self.remarks, *self.warnings))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Say so where the prices are old."""
        days = 0 if self.table is None else self.table.age_days()
        return (
            (f"the prices are {days} days old: give newer ones with --price-table",)
            if days > _STALE_DAYS
            else ()
        )

    def payload(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "monthly": self.monthly,
            "currency": None if self.table is None else self.table.currency,
            "load": self.load,
            "parts": dict(self.parts),
            "remarks": [*self.remarks, *self.warnings],
            "prices": None
            if self.table is None
            else {"as_of": self.table.as_of, "source": self.table.source},
        }


def nothing(why: str) -> Cost:
    """Return the cost of a place that is free of charge."""
    return Cost(0.0, why)


def per_request(
    table: PriceTable,
    service: str,
    *,
    architecture: str,
    memory_gb: float,
    requests: float,
    seconds: float,
    always_on: float | None = None,
) -> Cost:
    """Return what a function costs that is paid by request and by memory times time.

    Parameters
    ----------
    table : PriceTable
    service, architecture : str
        ``aws-lambda`` and ``arm64``.
    memory_gb, requests, seconds : float
        What it is given, how many requests a month, and how long one takes; a millisecond is the least.
    always_on : float, optional
        What a place that always runs costs a month: the break-even is told.
    """
    each = max(0.001, seconds) * memory_gb * table.of(service, f"gb_second_{architecture}")
    parts = {"requests": requests * table.of(service, "request"), "compute": requests * each}
    one = each + table.of(service, "request")
    remarks: tuple[str, ...] = ()
    if always_on is not None:
        remarks = (
            f"cheaper than a server that always runs ({always_on:.2f} a month) "
            f"below {always_on / one:,.0f} requests a month",
        )
    return Cost(
        sum(parts.values()), f"{requests:,.0f} requests of {seconds * 1e3:.3g} ms", parts, remarks, table
    )


def always_on(table: PriceTable, service: str, *, architecture: str, vcpus: float, memory_gb: float) -> Cost:
    """Return what a container costs that always runs, paid by the hour (730 a month)."""
    parts = {
        "vCPU": HOURS * vcpus * table.of(service, f"vcpu_hour_{architecture}"),
        "memory": HOURS * memory_gb * table.of(service, f"gb_hour_{architecture}"),
    }
    return Cost(sum(parts.values()), f"{vcpus:g} vCPU and {memory_gb:g} GB that always run", parts, (), table)
