"""The README tells the truth: commands exist, code runs, every command is told."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = ("serve", "assess", "send", "demo", "simulate", "iqac", "phantom", "models", "doctor", "config")


def test_the_readme_stays_short_and_shows_a_report() -> None:
    lines = README.splitlines()
    assert len(lines) < 150
    picture = re.search(r"!\[[^\]]+\]\(([^)]+\.png)\)", "\n".join(lines[:30]))
    assert picture
    assert (ROOT / picture[1]).is_file()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_stands_in_the_readme_and_explains_itself(command: str) -> None:
    assert f"medqa {command}" in README
    said = subprocess.run([sys.executable, "-m", "medqa", command, "--help"], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "Usage:" in said.stdout


def test_make_targets_in_the_docs_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"`make ([a-z]+)", page.read_text(encoding="utf-8")):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: make {target}"


def test_ci_calls_the_test_command_of_the_readme() -> None:
    assert "make test" in README
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"^timeout \d+ make test$", ci, re.MULTILINE)
    assert "make demo ARGS=--once" in ci


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_python_in_the_readme_runs(block: str, tmp_path: Path) -> None:
    program = tmp_path / "block.py"
    program.write_text(block, encoding="utf-8")
    done = subprocess.run([sys.executable, program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_relative_links_in_the_docs_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
