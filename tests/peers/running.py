"""A real `medqa serve` in its own process group, fed by dcmtk's storescu."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from dicom_node.catalogue import Catalogue
from dicom_node.lifecycle import State
from dicom_node.records import SeriesRecord
from medqa.config import load

ROOT = Path(__file__).resolve().parents[2]

PROPOSALS: Mapping[str, str] = {
    "1.2.840.10008.1.2": "-x=",
    "1.2.840.10008.1.2.1": "-x=",
    "1.2.840.10008.1.2.2": "-xb",
    "1.2.840.10008.1.2.1.99": "-xd",
    "1.2.840.10008.1.2.4.50": "-xy",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.57": "-xs",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.81": "-xu",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
    "1.2.840.10008.1.2.5": "-xr",
}
"""storescu's option for each transfer syntax that it can propose."""

SETTLED = {State.DELIVERED, State.NOT_JUDGED, State.FAILED, State.UNDELIVERED}


@dataclass(slots=True)
class RunningNode:
    """The node, started as a user starts it."""

    storage: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    port: int = 0
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.storage.mkdir(parents=True, exist_ok=True)
        self.log = self.storage.parent / "serve.log"
        if not self.port:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]

    def start(self) -> None:
        """Start, and wait until the port answers."""
        own = {"MEDQA_NODE__PORT": str(self.port), "MEDQA_NODE__HOST": "127.0.0.1", "MEDQA_NODE__STORAGE": str(self.storage)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "medqa", "serve"],
                cwd=ROOT,
                env=os.environ | self.environment | own,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        for _ in range(600):
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError(self.log.read_text(errors="replace")[-3000:])

    def stop(self) -> None:
        """End in order."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)

    def catalogue(self) -> Catalogue:
        """Open the node's catalogue beside it."""
        return Catalogue.open(load(None, self.environment | {"MEDQA_NODE__STORAGE": str(self.storage)}))

    def settle(self, timeout_s: float, progress: Callable[[int, int], None] | None = None) -> list[SeriesRecord]:
        """Wait until every series has come to its end; return what there is when time is up."""
        catalogue = self.catalogue()
        until = time.monotonic() + timeout_s
        try:
            while True:
                records, after = [], 0
                while page := catalogue.all_series(after_id=after):
                    records += page
                    after = page[-1].id
                ended = sum(record.state in SETTLED for record in records)
                if progress is not None:
                    progress(ended, len(records))
                if (records and ended == len(records)) or time.monotonic() > until:
                    return records
                time.sleep(0.5)
        finally:
            catalogue.close()


def unpack(archive: Path, folder: Path) -> list[Path]:
    """Unpack a zip of ours and return its files."""
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)  # our own archives, no foreign paths
    return sorted(path for path in folder.rglob("*") if path.is_file())


def sendable(files: Sequence[Path]) -> tuple[dict[str, list[Path]], dict[str, str]]:
    """Group files by storescu's option; the second part says why the others cannot be sent."""
    groups: dict[str, list[Path]] = defaultdict(list)
    rest: dict[str, str] = {}
    for file in files:
        try:
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["SOPClassUID"])
            option = PROPOSALS[header.file_meta.TransferSyntaxUID]
        except InvalidDicomError:
            rest[file.name] = "no DICOM file with preamble"
        except (KeyError, AttributeError) as error:
            rest[file.name] = f"storescu proposes no such transfer syntax ({str(error)[:40]})"
        else:
            groups[option].append(file)
    return groups, rest


def send(program: str, files: Sequence[Path], port: int) -> dict[str, str]:
    """Send files with storescu; return, by file name, why one was not sent."""
    groups, rest = sendable(files)
    for option, group in groups.items():
        command = [program, "-R", option, "-aec", "MEDQA", "127.0.0.1", str(port), *map(str, group)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            said = (line for line in done.stderr.splitlines() if line.startswith(("E:", "F:")))
            why = next(said, "storescu failed").partition(" in file")[0][:100]
            rest |= {file.name: why for file in group}
    return rest


def results(node: RunningNode) -> list[Path]:
    """Return the DICOM objects that the node made."""
    return sorted((node.storage / "reports").rglob("*.dcm"))


def verdict_of(folder: Path) -> str | None:
    """Return the verdict that an `assessment.json` holds."""
    verdict: str | None = json.loads((folder / "assessment.json").read_text(encoding="utf-8"))["verdict"]
    return verdict
