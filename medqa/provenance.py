"""What a verdict was made by: versions, weights, settings and the very bytes that were judged, as digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from typing import Final

from medqa import __version__
from medqa.assessment import Provenance
from medqa.config import Settings
from medqa.series import Frame

PACKAGES: Final = ("numpy", "scipy", "pydicom", "simpleitk", "onnxruntime", "monai", "torch")
"""What can move a number in an assessment."""


def collect(bundles: Mapping[str, str], settings: Settings, frames: Iterable[Frame], judged_at: str | None = None) -> Provenance:
    """Return the provenance of an assessment.

    Parameters
    ----------
    bundles
        Digest of the weights by bundle name.
    settings
        Those in force; only what decides a verdict goes into their digest.
    frames
        What was judged, in any order.
    judged_at
        ISO 8601 time; the caller's clock.
    """
    return Provenance(
        medqa_version=__version__,
        packages=package_versions(),
        bundles=dict(sorted(bundles.items())),
        settings_digest=settings.digest(),
        input_digest=input_digest(frames),
        judged_at=judged_at,
    )


@cache
def package_versions() -> dict[str, str]:
    """Return the installed version of each package of `PACKAGES` (read from its metadata; nothing is imported)."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def input_digest(frames: Iterable[Frame]) -> str:
    """Return the SHA-256 over (SOP Instance UID, frame number, SHA-256 of the stored bytes), sorted: independent of order."""
    rows = sorted({(frame.sop_instance_uid, frame.number, frame.sha256) for frame in frames})
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
