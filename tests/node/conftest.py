from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.receiving import Receiver


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    one = Receiver(tmp_path)
    yield one
    one.follower.stop()
    one.catalogue.close()
