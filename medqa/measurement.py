"""A measured quantity that never travels without its unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from medqa.codes import Code

Limits = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One number about a series.

    `interval` is a 95 % interval where there is one; `limits` the range in which the value counts as in order, either end open;
    `source` the standard or paper that defines the quantity.
    """

    quantity: Code
    value: float
    unit: Code
    source: str
    interval: tuple[float, float] | None = None
    limits: Limits | None = None

    @property
    def within_limits(self) -> bool | None:
        """Whether the value keeps its limits; None where it has none."""
        if self.limits is None:
            return None
        low, high = self.limits
        return (low is None or self.value >= low) and (high is None or self.value <= high)

    def to_json(self) -> dict[str, Any]:
        """Return a document of plain values."""
        return {
            "quantity": self.quantity.to_json(),
            "value": self.value,
            "unit": self.unit.to_json(),
            "source": self.source,
            "interval": None if self.interval is None else list(self.interval),
            "limits": None if self.limits is None else list(self.limits),
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        interval, limits = document["interval"], document["limits"]
        return cls(
            quantity=Code.from_json(document["quantity"]),
            value=document["value"],
            unit=Code.from_json(document["unit"]),
            source=document["source"],
            interval=None if interval is None else (interval[0], interval[1]),
            limits=None if limits is None else (limits[0], limits[1]),
        )
