"""Which scans train, which validate, which test: read from the manifests of a data folder, decided by subject, never by image."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

VALIDATION_SHARE: Final = 0.2
_SALT: Final = "medqa validation subjects 4"
"""Of the first six, the one that leaves both whole-body PET subjects to training and validates on every region of CT and MR."""
BASE_LABEL: Final = {"no": 4.0, "unknown": 4.0, "mild": 3.0, "severe": 1.0}
"""Quality of a scan as it is, by the manifest's `spoiled`: what was seen on one slice by a lay eye."""
STARTS_FROM: Final = {"CT": "MR", "PT": "MR"}
"""MR has the most subjects: the networks for the other two begin with the weights that it left."""
RANGES: Final = {"CT": (-1024.0, 3071.0), "MR": (0.0, 65535.0), "PT": (0.0, 1e6)}
"""Declared for files without a DICOM header, whose values are HU (CT) or arbitrary: what makes sense, nothing is scaled by it."""
MOSAIC: Final = ("mosaic", "grid tiles")
"""Words by which a manifest names images that hold a whole stack as tiles: no picture of one slice, so not learnt from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One file of a data folder: a series, or some slices of one."""

    path: Path
    subject: str
    modality: str
    region: str
    collection: str
    licence: str
    split: str
    weights_ok: bool
    spoiled: str
    remarks: str
    always_trains: bool = False
    """Never kept for validation (phantoms)."""

    @property
    def role(self) -> str:
        """`train`, `validation` or `test`; `unused` where licence or format forbid all three."""
        if self.split == "test":
            return "test"
        if self.split != "train" or not self.weights_ok or any(word in self.remarks for word in MOSAIC):
            return "unused"
        return "validation" if is_validation(self.subject) and not self.always_trains else "train"

    @property
    def told(self) -> bool:
        """Whether the model card tells what the network says of this scan: all that are known to be spoiled."""
        return self.split != "format" and not self.clean

    @property
    def base_label(self) -> float:
        """Quality of the scan as it is, 0–4."""
        return BASE_LABEL[self.spoiled]

    @property
    def clean(self) -> bool:
        """Whether nothing is known against it: the only scans that count as good in an evaluation."""
        return self.spoiled in ("no", "unknown")

    @property
    def phantom(self) -> bool:
        """Whether the manifest says that no patient was scanned."""
        return "phantom" in self.region.lower()

    @property
    def key(self) -> str:
        """File name, unique within a data folder."""
        return self.path.name


def is_validation(subject: str) -> bool:
    """Return whether a subject is kept for validation: a hash decides, so that it is the same in every modality and every run."""
    digest = hashlib.sha256(f"{_SALT}:{subject}".encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32 < VALIDATION_SHARE


def scans(data: Path, modality: str) -> list[Scan]:
    """Return the scans of a modality, in the order of their file names.

    Parameters
    ----------
    data
        A folder with `ct/`, `mr/` and `pt/`, each with its `manifest.csv` (the folder of a PET study may hold its CT).
    """
    found = []
    for manifest in sorted(data.glob("*/manifest.csv")):
        with manifest.open(encoding="utf-8", newline="") as file:
            found += [_scan(row, manifest.parent) for row in csv.DictReader(file) if _modality(row) == modality]
    return sorted(found, key=lambda scan: scan.key)


def sources(found: Iterable[Scan], cache: Path) -> dict[str, Any]:
    """Return what a network learns from and is calibrated on, for its metadata: `subjects` in all, and of each collection."""
    groups: dict[tuple[str, str], set[str]] = {}
    for scan in found:
        if scan.role in ("train", "validation") and (cache / f"{scan.key}.npz").exists():
            groups.setdefault((scan.collection, scan.licence), set()).add(scan.subject)
    return {
        "subjects": len(set().union(*groups.values())),
        "collections": [[source, licence, len(who)] for (source, licence), who in sorted(groups.items())],
    }


def _modality(row: dict[str, str]) -> str:
    # Rows without a word on it lie in the folder of their own modality.
    return row["modality"].strip() or "CT"


def _scan(row: dict[str, str], folder: Path) -> Scan:
    words = " ".join(value for name in ("sequence", "remarks", "quality_remarks", "technical_remarks") if (value := row.get(name)))
    return Scan(
        path=folder / row["file"],
        subject=row["subject_id"],
        modality=_modality(row),
        region=row.get("body_region") or row.get("region") or "",
        collection=row["source_repo"],
        licence=row["licence"],
        split=row["split"],
        weights_ok=row["weights_ok"] == "yes",
        spoiled=row["spoiled"],
        remarks=words,
    )
