"""The wheel holds what it must, and the constraints pin what is needed."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUNDLES = {f"{kind}_{modality}" for kind in ("densenet", "mal") for modality in ("ct", "mr", "pt")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("medqa-*.whl")))


def test_the_wheel_has_three_packages_and_nothing_else_on_top(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"medqa", "dicom_node", "reports"}


def test_the_wheel_carries_every_bundle_and_catalogue(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert {f"medqa/models/{bundle}/models/model.onnx" for bundle in BUNDLES} <= names
    assert {f"medqa/models/{bundle}/selftest.npz" for bundle in BUNDLES} <= names
    assert {"reports/locale/en.toml", "reports/locale/ja.toml"} <= names
    assert any(name.startswith("dicom_node/migrations/versions/") for name in names)


def test_the_bundles_keep_their_size() -> None:
    total = 0
    for bundle in BUNDLES:
        size = sum(path.stat().st_size for path in (ROOT / "models" / bundle).rglob("*") if path.is_file())
        assert size <= 20 * 2**20, bundle
        total += size
    assert total <= 80 * 2**20


def test_every_dependency_is_pinned_and_installed_as_pinned() -> None:
    pins = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")
    )
    pins = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins.items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in project["dependencies"]:
        name = re.split(r"[<>=\[]", requirement)[0]
        assert importlib.metadata.version(name).split("+")[0] == pins[name.lower()], requirement
        assert re.search(r"[<>]=?\d", requirement), f"{requirement} has no bound"


def test_no_runtime_dependency_is_gpl() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in project["dependencies"]:
        name = re.split(r"[<>=\[]", requirement)[0]
        meta = importlib.metadata.metadata(name)
        said = " ".join([meta.get("License-Expression") or "", *(meta.get_all("Classifier") or ())])
        assert "GPL" not in said.replace("LGPL", ""), f"{name}: {said}"
