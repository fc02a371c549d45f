"""The states of one revision of a series, and the table of what may follow what.

The catalogue moves a revision by this table alone; what the table does not name is refused. A late object never moves a
revision that has a final verdict: it opens the next revision, whose own life starts at RECEIVING.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from medqa.errors import CatalogueRefused


class State(StrEnum):
    """Where a revision of a series stands."""

    RECEIVING = "RECEIVING"
    """Objects arrive; it may hold a provisional assessment."""
    READY = "READY"
    """Complete; waits for, or is with, the worker that makes its verdict final."""
    JUDGED = "JUDGED"
    """Its final assessment is stored; waits for, or is with, the renderer."""
    RENDERED = "RENDERED"
    """Its report and objects are on disk and queued."""
    DELIVERED = "DELIVERED"
    """Every object of ours was taken by its destination, or there was none to send to."""
    NOT_JUDGED = "NOT_JUDGED"
    """Nothing to judge: another class, an object of our own, a localizer."""
    FAILED = "FAILED"
    """The verdict stands but its report could not be made."""
    UNDELIVERED = "UNDELIVERED"
    """A destination refused an object of ours for good; the dead letter says why."""


class Event(StrEnum):
    """What happens to a revision."""

    ARRIVED = "ARRIVED"
    COMPLETED = "COMPLETED"
    SET_ASIDE = "SET_ASIDE"
    JUDGED = "JUDGED"
    RENDERED = "RENDERED"
    DELIVERED = "DELIVERED"
    GAVE_UP = "GAVE_UP"
    REQUEUED = "REQUEUED"


TRANSITIONS: Final = MappingProxyType(
    {
        (State.RECEIVING, Event.ARRIVED): State.RECEIVING,
        (State.RECEIVING, Event.COMPLETED): State.READY,
        (State.RECEIVING, Event.SET_ASIDE): State.NOT_JUDGED,
        (State.READY, Event.ARRIVED): State.RECEIVING,
        (State.READY, Event.JUDGED): State.JUDGED,
        (State.READY, Event.SET_ASIDE): State.NOT_JUDGED,
        (State.JUDGED, Event.RENDERED): State.RENDERED,
        (State.JUDGED, Event.GAVE_UP): State.FAILED,
        (State.RENDERED, Event.DELIVERED): State.DELIVERED,
        (State.RENDERED, Event.GAVE_UP): State.UNDELIVERED,
        (State.FAILED, Event.REQUEUED): State.JUDGED,
        (State.UNDELIVERED, Event.REQUEUED): State.RENDERED,
    }
)

GATHERING: Final = frozenset({State.RECEIVING, State.READY})
"""States in which a new object joins the revision; in every other it opens the next one."""
TERMINAL: Final = frozenset({State.DELIVERED, State.NOT_JUDGED})


def advance(state: State, event: Event) -> State:
    """Return the state that follows.

    Raises
    ------
    CatalogueRefused
        For a pair that the table does not name.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise CatalogueRefused(reason=f"{event} does not apply to a series that is {state}") from None


def sources(event: Event) -> tuple[State, ...]:
    """Return the states in which an event is allowed."""
    return tuple(state for state, named in TRANSITIONS if named is event)


def diagram() -> str:
    """Return the table as a mermaid state diagram, as `docs/architecture.md` shows it."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.RECEIVING}"]
    lines += [f"    {state} --> {after}: {event}" for (state, event), after in TRANSITIONS.items()]
    lines += [f"    {state} --> [*]" for state in State if state in TERMINAL]
    return "\n".join(lines) + "\n"
