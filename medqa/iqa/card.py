"""What a bundle says about itself: the part of `configs/metadata.json` that scoring needs, typed, and where its files lie."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from medqa.errors import BundleMismatch
from medqa.iqa.calibration import Logistic
from medqa.iqa.transforms import CHANNELS

METADATA: Final = Path("configs/metadata.json")
WEIGHTS: Final = Path("models/model.safetensors")
FRAME_GRAPH: Final = Path("models/model.onnx")
BAG_GRAPH: Final = Path("models/bag.onnx")
SELF_TEST: Final = Path("selftest.npz")
PHYSICS_MODEL: Final = Path("models/model.json")
KINDS: Final = ("mal", "densenet", "physics")


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleCard:
    """One bundle, as its metadata describes it.

    Parameters
    ----------
    folder
        Where it lies.
    digests
        SHA-256 of each file that decides a score, by its path within the bundle.
    calibration
        From the series score (`mal`) or the adequate logit (`densenet`) to the probability of being adequate.
    series_quantile
        `mal` only: the quantile of the frame scores that is the series score.
    explain_layers
        Modules of the torch network whose Grad-CAM maps are averaged, as dotted paths.
    """

    folder: Path
    name: str
    kind: str
    modality: str
    version: str
    variant: str
    digests: dict[str, str]
    calibration: Logistic
    series_quantile: float
    explain_layers: tuple[str, ...]

    @property
    def in_channels(self) -> int:
        """Channels of the network's input."""
        return CHANNELS[self.modality]

    @property
    def digest(self) -> str:
        """SHA-256 of the weights."""
        return self.digests[(PHYSICS_MODEL if self.kind == "physics" else WEIGHTS).as_posix()]

    @property
    def graphs(self) -> tuple[Path, ...]:
        """The ONNX graphs, relative to the folder."""
        return {"mal": (FRAME_GRAPH,), "densenet": (FRAME_GRAPH, BAG_GRAPH), "physics": ()}[self.kind]

    @property
    def files(self) -> tuple[Path, ...]:
        """The files whose digests the metadata must hold."""
        return (PHYSICS_MODEL,) if self.kind == "physics" else (WEIGHTS, *self.graphs, SELF_TEST)

    def to_json(self) -> dict[str, Any]:
        """Return the `medqa` part of the metadata."""
        return {
            "name": self.name,
            "kind": self.kind,
            "modality": self.modality,
            "variant": self.variant,
            "digests": self.digests,
            "calibration": {"slope": self.calibration.slope, "intercept": self.calibration.intercept, "certified": False},
            "series_quantile": self.series_quantile,
            "explain_layers": list(self.explain_layers),
        }

    def check_digests(self) -> None:
        """Compare every file with its digest.

        Raises
        ------
        BundleMismatch
            For a file that is missing, or is not the one the metadata names.
        """
        for path in self.files:
            try:
                found = file_digest(self.folder / path)
            except OSError as error:
                raise BundleMismatch(bundle=self.name, reason=f"{path} cannot be read ({error.strerror})") from error
            if found != self.digests.get(path.as_posix()):
                raise BundleMismatch(bundle=self.name, reason=f"{path} is not the file that the metadata names")


def read_card(folder: Path) -> BundleCard:
    """Read the metadata of a bundle.

    Raises
    ------
    BundleMismatch
        Where there is none, or it is not one of ours.
    """
    try:
        document = json.loads((folder / METADATA).read_text(encoding="utf-8"))
        own = document["medqa"]
        card = BundleCard(
            folder=folder,
            name=own["name"],
            kind=own["kind"],
            modality=own["modality"],
            version=document["version"],
            variant=own["variant"],
            digests=dict(own["digests"]),
            calibration=Logistic(slope=float(own["calibration"]["slope"]), intercept=float(own["calibration"]["intercept"])),
            series_quantile=float(own["series_quantile"]),
            explain_layers=tuple(own["explain_layers"]),
        )
    except OSError as error:
        raise BundleMismatch(bundle=folder.name, reason=f"{METADATA} cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BundleMismatch(bundle=folder.name, reason=f"{METADATA} is not a medqa bundle's ({type(error).__name__})") from error
    if card.kind not in KINDS or card.modality not in CHANNELS or card.name != folder.name:
        raise BundleMismatch(bundle=folder.name, reason=f"{METADATA} names another kind, modality or bundle")
    return card


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
