"""A listener that dies at any step of an accept loses nothing that it acknowledged, and the sender's next try ends well."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pynetdicom import _config

from dicom_node.storage import data_set_start
from tests.node.loopback import associate, receiving, settings_of, thing

DYING = """
import os, sys, threading
from dicom_node import catalogue, listener, storage
from medqa.config import load

folder, step, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
places = {
    "before the bytes are durable": (storage.os, "fsync", True),
    "before the rename": (storage.Path, "replace", True),
    "after the rename": (storage.Path, "replace", False),
    "before the row": (catalogue.Catalogue, "record_received", True),
    "after the row, before the answer": (catalogue.Catalogue, "record_received", False),
}
settings = load(None, {"MEDQA_NODE__STORAGE": folder, "MEDQA_NODE__PORT": "0", "MEDQA_NODE__DISK_RESERVE_MB": "0"})

def arm(facts):
    owner, name, early = places[step]
    original, calls = getattr(owner, name), []

    def deadly(*args, **kwargs):
        calls.append(1)
        if early and len(calls) > times:
            os._exit(9)
        answer = original(*args, **kwargs)
        if len(calls) > times:
            os._exit(9)
        return answer

    setattr(owner, name, deadly)
    if name == "record_received":
        running[0]._commits._commit = lambda batch: deadly(running[0]._catalogue, batch)
    print(facts["port"], flush=True)

running = []
start = listener.Listener.start
listener.Listener.start = lambda self: (running.append(self), start(self))
listener.run(settings, threading.Event(), arm)
"""
STEPS = (
    ("before the bytes are durable", 6),
    ("before the rename", 2),
    ("after the rename", 2),
    ("before the row", 2),
    ("after the row, before the answer", 2),
)


@pytest.mark.parametrize(("step", "times"), STEPS, ids=[step for step, _ in STEPS])
def test_what_was_acknowledged_survives_and_the_rest_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, times: int
) -> None:
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)
    monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", False)
    sent = [thing(number) for number in range(1, 6)]
    files = [one.file(tmp_path / "files") for one in sent]
    node = tmp_path / "node"
    with subprocess.Popen([sys.executable, "-c", DYING, node, step, str(times)], stdout=subprocess.PIPE, text=True) as dying:
        assert dying.stdout is not None
        association = associate(int(dying.stdout.readline()), files)
        acknowledged = []
        for one, path in zip(sent, files, strict=True):
            if association.send_c_store(path).get("Status") != 0x0000:
                break
            acknowledged.append(one)
        association.abort()
        assert dying.wait(60) == 9
    assert 1 <= len(acknowledged) < len(sent)
    with receiving(settings_of(node)) as restarted:
        kept = {one.sop_instance_uid: one for one in restarted.catalogue.instances_of("1.2.3.1")}
        for one in acknowledged:
            content = kept[one.sop_instance_uid].path.read_bytes()
            assert content[data_set_start(content) :] == one.data
        assert restarted.send(files[len(acknowledged) :]) == [0x0000] * (len(sent) - len(acknowledged))
        rows = restarted.catalogue.instances_of("1.2.3.1")
        assert sorted(row.sop_instance_uid for row in rows) == sorted(one.sop_instance_uid for one in sent)
        assert not any(row.conflict for row in rows)
        assert len(list(node.rglob("*.dcm"))) == len(sent)
        assert list(node.rglob("*.part")) == []
