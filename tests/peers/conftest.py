"""Real peers on loopback: Orthanc as the archive, dcmtk as the scanner, dciodvfy as the judge of our objects."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True, slots=True)
class Orthanc:
    """A running Orthanc: its DICOM port, and its REST answers."""

    dicom_port: int
    http_port: int

    def get(self, path: str) -> Any:
        """Return the JSON answer of `path`."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=10) as answer:
            return json.load(answer)

    def file(self, instance: str) -> bytes:
        """Return an instance's DICOM file."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/instances/{instance}/file", timeout=10) as answer:
            return bytes(answer.read())


def free_port() -> int:
    """Return a TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def orthanc(peer: Callable[[str, str], str], tmp_path: Path) -> Iterator[Orthanc]:
    """Start Debian's Orthanc with an empty store."""
    program = peer("Orthanc", "orthanc")
    running = Orthanc(free_port(), free_port())
    settings = {
        "Name": "archive",
        "StorageDirectory": str(tmp_path / "orthanc"),
        "IndexDirectory": str(tmp_path / "orthanc"),
        "DicomAet": "ARCHIVE",
        "DicomPort": running.dicom_port,
        "DicomCheckCalledAet": False,
        "HttpPort": running.http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [],
    }
    file = tmp_path / "orthanc.json"
    file.write_text(json.dumps(settings))
    with (tmp_path / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([program, str(file)], stdout=log, stderr=log)
        try:
            for _ in range(100):
                try:
                    running.get("/system")
                    break
                except (urllib.error.URLError, ConnectionError):
                    time.sleep(0.1)
            else:
                pytest.fail((tmp_path / "orthanc.log").read_text()[-2000:])
            yield running
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture
def validate(peer: Callable[[str, str], str]) -> Callable[[Path], list[str]]:
    """Return a function that lists the errors dciodvfy finds in a file."""
    program = peer("dciodvfy", "dicom3tools")

    def errors(file: Path) -> list[str]:
        done = subprocess.run([program, "-new", str(file)], capture_output=True, text=True, errors="replace", check=False)
        return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]

    return errors
