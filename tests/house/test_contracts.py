"""The house keeps its walls: imports run downwards, light commands stay light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_imports_run_downwards_only() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    if not linter.exists():
        pytest.skip("import-linter is not installed (extra: dev)")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        (
            "medqa.cli",
            {"torch", "monai", "captum", "onnxruntime", "SimpleITK", "pynetdicom", "sqlalchemy", "reportlab", "highdicom", "scipy"},
        ),
        ("dicom_node.listener", {"torch", "monai", "captum", "onnxruntime", "reportlab", "highdicom", "medqa.iqa.scorer"}),
        ("medqa.assess", {"torch", "monai", "captum", "onnxruntime", "reportlab", "pynetdicom"}),
    ],
)
def test_a_light_module_imports_nothing_heavy(module: str, heavy: set[str]) -> None:
    program = f"import sys, {module}; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert not heavy & set(loaded)


def test_no_torchvision_and_a_cpu_torch() -> None:
    program = "import importlib.util, torch; print(importlib.util.find_spec('torchvision'), torch.version.cuda)"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert said == ["None", "None"]
