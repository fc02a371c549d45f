"""Every scan that storescu can send goes through a real node; the table is written to `docs/scans.md`. Run by `make scans`.

python -m tests.proofs.scans --data FOLDER [--only PREFIX]
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pydicom

from dicom_node.lifecycle import State
from tests.peers.running import RunningNode, results, send, unpack

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "scans.md"
SETTLE = {f"MEDQA_COMPLETION__SETTLE_{modality}_S": "5" for modality in ("CT", "MR", "PT")}


def main() -> None:
    """Send, wait, count, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MEDQA_DATA", "../shared/data")))
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    rows = [row for row in manifest(arguments.data) if row["name"].startswith(arguments.only)]
    storescu = shutil.which("storescu")
    if storescu is None:
        parser.error("storescu is not installed (Debian: dcmtk)")
    with tempfile.TemporaryDirectory(prefix="medqa-scans-") as folder:
        page = prove(rows, storescu, Path(folder))
    if arguments.only:
        page = page.replace("every `train` and `test` archive", f"every `train` and `test` archive under `{arguments.only}`")
        page = page.replace("`make scans`", f"`make scans ARGS='--only {arguments.only}'`")
    DOCUMENT.write_text(page, encoding="utf-8")
    print(DOCUMENT.read_text(encoding="utf-8"))


def manifest(data: Path) -> list[dict[str, str]]:
    """Return the zips of `train` and `test` with their modality folder, split and `spoiled`."""
    rows = []
    for folder in ("ct", "mr", "pt"):
        with (data / folder / "manifest.csv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["split"] in {"train", "test"} and row["file"].endswith(".zip"):
                    path = data / folder / row["file"]
                    rows.append({**row, "name": f"{folder}/{row['file']}", "path": str(path)})
    return rows


def prove(rows: list[dict[str, str]], storescu: str, folder: Path) -> str:
    """Send every archive and return the document."""
    node = RunningNode(folder / "store", SETTLE | {"MEDQA_COMPLETION__GAP_FACTOR": "1"})
    failed: dict[str, str] = {}
    origin: dict[str, dict[str, str]] = {}
    count = 0
    node.start()
    try:
        for number, row in enumerate(rows, start=1):
            files = unpack(Path(row["path"]), folder / "unpacked" / str(number))
            lost = send(storescu, files, node.port)
            failed |= {f"{row['name']}:{name}": why for name, why in lost.items()}
            count += len(files)
            for file in files:
                if file.name not in lost:
                    header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
                    origin.setdefault(str(header.SeriesInstanceUID), row)
            shutil.rmtree(folder / "unpacked" / str(number))
            print(f"\rsent {number}/{len(rows)}", end="", flush=True)
        records = node.settle(3000, lambda done, total: print(f"\rended {done}/{total}   ", end="", flush=True))
    finally:
        node.stop()
    print()
    objects = results(node)
    errors = dciodvfy_errors(objects)
    catalogue = node.catalogue()
    verdicts: Counter[tuple[str, str, str]] = Counter()
    unended, others = [], Counter[str]()
    for record in records:
        row = origin.get(record.series_uid, {})
        stored = catalogue.assessment(record.series_uid)
        if record.state is State.NOT_JUDGED:
            others[f"not judged: {record.reason}"] += 1
        elif stored is None or stored.verdict is None or record.state is not State.DELIVERED:
            unended.append(f"{row.get('name', record.key)}: {record.state} {record.reason or ''}")
        else:
            verdicts[record.modality, row.get("spoiled", "unknown"), stored.verdict] += 1
    catalogue.close()
    return document(rows, count, failed, verdicts, others, unended, len(objects), errors)


def dciodvfy_errors(objects: Iterable[Path]) -> list[str]:
    """Return every error that dciodvfy finds in our objects."""
    program = shutil.which("dciodvfy")
    if program is None:
        return ["dciodvfy is not installed (Debian: dicom3tools)"]
    found = []
    for file in objects:
        done = subprocess.run([program, "-new", str(file)], capture_output=True, text=True, errors="replace", check=False)
        found += [f"{file.name}: {line}" for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]
    return found


def document(
    rows: list[dict[str, str]],
    count: int,
    failed: dict[str, str],
    verdicts: Counter[tuple[str, str, str]],
    others: Counter[str],
    unended: list[str],
    objects: int,
    errors: list[str],
) -> str:
    """Return the page."""
    lines = [
        "# Real scans through the node",
        "",
        "Made by `make scans`: every `train` and `test` archive is unpacked and sent with dcmtk's `storescu`",
        "to a running `medqa serve`.",
        "",
        f"- archives: {len(rows)}, files: {count}, not sendable by storescu: {len(failed)}",
        f"- series that ended in a verdict with PDF and SR: {sum(verdicts.values())}",
        f"- objects of ours: {objects}; errors that dciodvfy finds in them: {len(errors)}",
        f"- series that did not end: {len(unended)}",
        "",
        "Verdicts by modality and by the manifest's lay remark `spoiled` (a look at one slice, not a reading):",
        "",
        "| modality | spoiled | ADEQUATE | REVIEW | RESCAN |",
        "|---|---|---|---|---|",
    ]
    for modality, spoiled in sorted({key[:2] for key in verdicts}):
        numbers = " | ".join(str(verdicts[modality, spoiled, verdict]) for verdict in ("ADEQUATE", "REVIEW", "RESCAN"))
        lines.append(f"| {modality} | {spoiled} | {numbers} |")
    lines += ["", *(f"- {why}: {number}" for why, number in others.items())]
    lines += ["", "Not sent, and why:", "", *(f"- `{name}`: {why}" for name, why in sorted(failed.items()))] if failed else []
    lines += ["", "Did not end:", "", *(f"- {line}" for line in unended)] if unended else []
    lines += ["", "Errors:", "", *(f"- {line}" for line in errors[:50])] if errors else []
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
