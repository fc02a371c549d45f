"""UIDs for what came without one: hashed, so that the same file always gets the same (PS3.5 annex B.2, 2.25 form)."""

from __future__ import annotations

import hashlib


def hashed_uid(*parts: str | None) -> str:
    """Return a UID hashed from its parts."""
    digest = hashlib.sha256("\x1f".join(part or "" for part in parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"
