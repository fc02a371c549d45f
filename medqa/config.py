"""Settings: one frozen tree from one TOML file and the environment, read once at the door and passed down.

The environment wins over the file: `MEDQA_NODE__PORT=11113` sets `node.port`; a list or a table is written as JSON.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medqa.errors import InvalidSettings

ENVIRONMENT_PREFIX = "MEDQA_"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CompletionSettings(_Part):
    """When a series counts as complete (seconds without a new object and without an open association)."""

    settle_ct_s: float = Field(default=5.0, ge=0.1)
    settle_mr_s: float = Field(default=20.0, ge=0.1)
    settle_pt_s: float = Field(default=60.0, ge=0.1)
    gap_factor: float = Field(default=3.0, ge=1)
    provisional_s: float = Field(default=0.5, ge=0.0)


class NodeSettings(_Part):
    """The DICOM listener and its store."""

    ae_title: str = Field(default="MEDQA", min_length=1, max_length=16)
    host: str = "0.0.0.0"  # noqa: S104 - a DICOM node listens for its scanners
    port: int = Field(default=11112, ge=0, le=65535)
    storage: Path = Path("medqa-data")
    max_pdu: int = Field(default=131072, ge=4096)
    max_associations: int = Field(default=20, ge=1)
    disk_reserve_mb: int = Field(default=1024, ge=0)
    attempts: int = Field(default=3, ge=1)
    lease_s: float = Field(default=60.0, gt=0)


class Destination(_Part):
    """A DICOM node that takes our objects or the original images."""

    ae_title: str = Field(min_length=1, max_length=16)
    host: str
    port: int = Field(ge=1, le=65535)


class Rule(_Part):
    """What happens to the original images of a series. The first rule that matches decides; none: they flow at completion."""

    action: Literal["forward", "hold"] = "forward"
    destination: str
    modality: Literal["CT", "MR", "PT", "any"] = "any"
    until: Literal["completion", "ADEQUATE", "any verdict"] = "completion"
    """`completion`: at once. `ADEQUATE`: held unless the verdict is ADEQUATE. `any verdict`: held until there is one."""


class RoutingSettings(_Part):
    """Where things go. `results` names the destination of our own objects."""

    destinations: dict[str, Destination] = Field(default_factory=dict)
    results: str | None = None
    rules: tuple[Rule, ...] = ()
    hold_limit_s: float = Field(default=600.0, gt=0)
    webhook: str | None = None


class PolicySettings(_Part):
    """The numbers of DESIGN section 5; a calibration replaces them."""

    mal_against: float = 2.0
    mal_for: float = 3.0
    densenet_against: float = 0.5
    densenet_for: float = 0.75
    physics_against: float = 0.5
    physics_for: float = 0.75
    frame_cut: float = 2.0
    live_positions: int = Field(default=5, ge=1)


class ReportSettings(_Part):
    """How reports look."""

    lang: Literal["en", "ja"] = "en"
    site: str = ""
    show_names: bool = False
    font: Path | None = None


class Settings(_Part):
    """The whole tree."""

    node: NodeSettings = NodeSettings()
    completion: CompletionSettings = CompletionSettings()
    routing: RoutingSettings = RoutingSettings()
    policy: PolicySettings = PolicySettings()
    report: ReportSettings = ReportSettings()
    models: Path | None = None

    def digest(self) -> str:
        """SHA-256 of what decides a verdict (policy), hexadecimal."""
        text = json.dumps(self.policy.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def load(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Parameters
    ----------
    path
        A TOML file; by default `$MEDQA_CONFIG`, else `medqa.toml` in this folder where there is one, else nothing.
    environment
        By default the process's own.

    Raises
    ------
    InvalidSettings
        For a file that is not there or is not TOML, an unknown key (the nearest known one is named), or a value out of range.
    """
    environment = os.environ if environment is None else environment
    if path is None and (named := environment.get("MEDQA_CONFIG")):
        path = Path(named)
    document: dict[str, Any] = {}
    if path is not None or Path("medqa.toml").exists():
        path = path or Path("medqa.toml")
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InvalidSettings(name="file", where=str(path), reason=error.strerror) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InvalidSettings(name="file", where=str(path), reason=f"not TOML ({error})") from error
    for key, value in environment.items():
        if key.startswith(ENVIRONMENT_PREFIX) and ("__" in key or key == "MEDQA_MODELS"):
            try:
                _put(document, key.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"), value)
            except ValueError as error:
                raise InvalidSettings(name=key, where="the environment", reason=f"not JSON ({error})") from error
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        reason = f"unknown key{_nearest(first['loc'])}" if first["type"] == "extra_forbidden" else first["msg"]
        raise InvalidSettings(name=name, where=str(path or "the environment"), reason=reason) from error


def _put(document: dict[str, Any], keys: list[str], value: str) -> None:
    for key in keys[:-1]:
        document = document.setdefault(key, {})
    document[keys[-1]] = json.loads(value) if value.startswith(("[", "{")) else value


def _nearest(location: tuple[int | str, ...]) -> str:
    model: Any = Settings
    for part in location[:-1]:
        field = getattr(model, "model_fields", {}).get(part)
        model = None if field is None else field.annotation
    names = list(getattr(model, "model_fields", {}))
    near = difflib.get_close_matches(str(location[-1]), names, n=1)
    return f"; did you mean {near[0]}?" if near else f"; known: {', '.join(names)}" if names else ""
