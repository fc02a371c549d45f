"""The streaming cache may be lost or damaged at any moment; it never gives back anything but what was put in."""

from __future__ import annotations

from pathlib import Path

from dicom_node.evidence import EvidenceCache
from medqa.assessment import FrameEvidence


def evidence(number: int, **values: object) -> FrameEvidence:
    made = {"scores": {"mal_ct": 0.1 + number / 3}, "scale": 1.5, "partials": {"noise": {"bins": [1, 2, 3], "sum": 0.1 + 0.2}}}
    return FrameEvidence(sop_instance_uid="1.2.3", number=number, sha256="ab", bundles={"mal_ct": "d"}, **(made | values))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_was_put_is_there_after_a_restart_to_the_last_bit(tmp_path: Path) -> None:
    put = [evidence(1), evidence(2, error="MQ202: pixels")]
    cache = EvidenceCache(tmp_path / "evidence.db")
    cache.put("1.2", put)
    cache.close()
    again = EvidenceCache(tmp_path / "evidence.db")
    assert again.get("1.2") == {("1.2.3", one.number, "ab"): one for one in put}
    again.close()


def test_it_writes_at_most_once_a_second(tmp_path: Path) -> None:
    clock = Clock()
    cache = EvidenceCache(tmp_path / "evidence.db", clock)
    cache.put("1.2", [evidence(1)])
    reader = EvidenceCache(tmp_path / "evidence.db")
    assert reader.get("1.2") == {}
    clock.now = 1.0
    cache.put("1.2", [evidence(2)])
    assert len(reader.get("1.2")) == 2
    cache.close()
    reader.close()


def test_a_final_series_is_forgotten_and_its_neighbour_is_not(tmp_path: Path) -> None:
    cache = EvidenceCache(tmp_path / "evidence.db")
    cache.put("1.2", [evidence(1)])
    cache.put("1.3", [evidence(1)])
    cache.forget("1.2")
    assert cache.get("1.2") == {}
    assert len(cache.get("1.3")) == 1
    cache.close()


def test_a_file_that_is_no_database_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "evidence.db"
    path.write_bytes(b"this was something else once" * 400)
    cache = EvidenceCache(path)
    cache.put("1.2", [evidence(1)])
    assert len(cache.get("1.2")) == 1
    cache.close()
