"""Which originals go where, when, and why.

For every destination the first rule that names it and matches decides. Where no rule matches a series at all, its originals
flow at completion to the destination of the results (fail open). Nothing goes back to where it came from.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from dicom_node.records import Outgoing
from medqa.config import Destination, RoutingSettings
from medqa.errors import InvalidSettings

AT_COMPLETION: Final = "completion"
AT_ADEQUATE: Final = "ADEQUATE"
AT_VERDICT: Final = "any verdict"
ADDRESS_LIFE_S: Final = 300.0
"""How long a looked-up host name is believed."""

_UNTIL: Final = MappingProxyType(
    {
        ("forward", "completion"): AT_COMPLETION,
        ("forward", "ADEQUATE"): AT_ADEQUATE,
        ("forward", "any verdict"): AT_VERDICT,
        # a hold rule that names no moment holds until there is a verdict
        ("hold", "completion"): AT_VERDICT,
        ("hold", "ADEQUATE"): AT_ADEQUATE,
        ("hold", "any verdict"): AT_VERDICT,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """The originals of a series go to `destination` when `until` has come."""

    destination: str
    until: str
    why: str


def check(routing: RoutingSettings) -> None:
    """Refuse rules that lead nowhere, at the door and not when a series is complete.

    Raises
    ------
    InvalidSettings
        A rule, or `results`, names a destination that is not defined.
    """
    named = [("routing.results", routing.results)] if routing.results is not None else []
    named += [(f"routing.rules[{index}].destination", rule.destination) for index, rule in enumerate(routing.rules)]
    for name, destination in named:
        if destination not in routing.destinations:
            known = ", ".join(routing.destinations) or "none"
            raise InvalidSettings(name=name, where="the settings", reason=f"{destination} is no destination (known: {known})")


def forwards(routing: RoutingSettings, modality: str) -> tuple[Forward, ...]:
    """Return where the originals of a series of this modality go."""
    chosen: dict[str, Forward] = {}
    for number, rule in enumerate(routing.rules, start=1):
        if rule.modality in ("any", modality) and rule.destination not in chosen:
            chosen[rule.destination] = Forward(
                destination=rule.destination, until=_UNTIL[rule.action, rule.until], why=f"rule {number}"
            )
    if not chosen and routing.results is not None:
        return (Forward(destination=routing.results, until=AT_COMPLETION, why="no rule matches"),)
    return tuple(chosen.values())


def at_verdict(until: str, verdict: str | None) -> tuple[Outgoing, str]:
    """Return what becomes of a held original when its series is judged, and why.

    Parameters
    ----------
    until
        What the rule waits for.
    verdict
        None where nothing was to judge: such a series flows.
    """
    if verdict is None:
        return Outgoing.DUE, "not judged"
    if until == AT_ADEQUATE and verdict != AT_ADEQUATE:
        return Outgoing.WITHHELD, f"held by rule: the verdict is {verdict}"
    return Outgoing.DUE, f"the verdict is {verdict}"


def came_from(sender: str, address: str, destination: Destination) -> bool:
    """Tell whether a destination is where an object came from: the same AE title, or the same host.

    On a loopback address many nodes share one host, so there the AE title alone decides.
    """
    if sender.strip().upper() == destination.ae_title.strip().upper():
        return True
    here = _canonical(address)
    return (
        here is not None
        and not ipaddress.ip_address(here).is_loopback
        and here in _addresses(destination.host, int(time.monotonic() // ADDRESS_LIFE_S))
    )


def _canonical(address: str) -> str | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)


@lru_cache(maxsize=64)
def _addresses(host: str, _period: int) -> frozenset[str]:
    if (literal := _canonical(host)) is not None:
        return frozenset({literal})
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return frozenset()
    return frozenset(str(entry[4][0]) for entry in found)
