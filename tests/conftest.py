"""Where the real scans are, and what a missing peer means."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
REAL_SERIES: list[str] = []
"""Names of the real series that tests judged; printed at the end."""


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real scans; a test that needs it is skipped where it is not there."""
    folder = Path(os.environ.get("MEDQA_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no real scans here: set MEDQA_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def real_series() -> list[str]:
    """Tests append the name of every real series they judged."""
    return REAL_SERIES


@pytest.fixture(scope="session")
def peer() -> Callable[[str, str], str]:
    """Return the path of another implementation's program; skip where it is missing, fail where it must be there."""

    def find(program: str, package: str) -> str:
        found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
        if found is None:
            message = f"{program} is not installed (Debian: {package})"
            if os.environ.get("MEDQA_PEERS_REQUIRED"):
                pytest.fail(message)
            pytest.skip(message)
        return found

    return find


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many real series were judged."""
    terminalreporter.write_line(f"real series judged: {len(REAL_SERIES)}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run that must judge real scans and judged none although they are there."""
    folder = Path(os.environ.get("MEDQA_DATA", ROOT.parent / "shared" / "data"))
    if os.environ.get("MEDQA_PEERS_REQUIRED") and folder.is_dir() and not REAL_SERIES and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
