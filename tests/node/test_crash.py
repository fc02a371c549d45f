"""Whatever moment the power goes, what was acknowledged is there, and every series gets its one verdict."""

from __future__ import annotations

import random
from pathlib import Path

from tests.node.killing import kill_and_recover
from tests.node.loopback import refused

COUNT = 60
AFTER_S = 4.0


@refused
def test_kill_9_loses_nothing_that_was_acknowledged_and_judges_every_series_once(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**31)
    print(f"seed {seed}")
    chance = random.Random(seed)
    # one while it receives, one while it judges or renders, one anywhere
    moments = (chance.uniform(0.0, 1.0), chance.uniform(1.0, 2.0), chance.uniform(0.0, 2.0))
    for one in kill_and_recover(tmp_path, moments, COUNT, chance, AFTER_S):
        print(one)
