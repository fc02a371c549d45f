"""The tables of the catalogue (SQLAlchemy Core); `migrations/` makes them.

A *series* is its identity; a *revision* is what has a life (`lifecycle.py`) and is itself the job. Instances name the revision
that they joined: revision n comprises the instances of 1 … n. Every index serves a question of `catalogue.py`, so that an
answer does not slow down with what is long finished.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

metadata: Final = sa.MetaData()

_ID: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

associations: Final = sa.Table(
    "associations",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("sender", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("listener", sa.Text, nullable=False),
    sa.Column("opened_at", sa.Float, nullable=False),
    sa.Column("closed_at", sa.Float),
    sa.Column("ending", sa.Text),
    sa.Column("received", sa.Integer),
    sa.Column("answered", sa.Integer),
    sa.Index(
        "associations_open",
        "sender",
        "address",
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    ),
    sa.Index("associations_released", "sender", "address", "ending", "closed_at"),
)

series: Final = sa.Table(
    "series",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("uid", sa.Text, nullable=False, unique=True),
    sa.Column("study_uid", sa.Text, nullable=False, index=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("modality", sa.Text, nullable=False),
)

revisions: Final = sa.Table(
    "revisions",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("series_id", sa.ForeignKey("series.id"), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("judged", sa.Boolean, nullable=False),
    sa.Column("instances", sa.Integer, nullable=False),
    sa.Column("others", sa.Integer, nullable=False),
    sa.Column("frames", sa.Integer, nullable=False),
    sa.Column("conflicts", sa.Integer, nullable=False),
    sa.Column("declared", sa.Text, nullable=False),
    sa.Column("first_received", sa.Float, nullable=False),
    sa.Column("last_received", sa.Float, nullable=False),
    sa.Column("last_instance", _ID, nullable=False),
    sa.Column("sender", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("noted", sa.Integer, nullable=False),
    sa.Column("completed_at", sa.Float),
    sa.Column("completion_reason", sa.Text),
    sa.Column("completion_evidence", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("queued_at", sa.Float),
    sa.Column("owner", sa.Text),
    sa.Column("lease_until", sa.Float),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.UniqueConstraint("series_id", "revision", name="revisions_one"),
    sa.Index("revisions_state", "state", "queued_at"),
    sa.Index("revisions_noted", "noted", sqlite_where=sa.text("noted > 0"), postgresql_where=sa.text("noted > 0")),
)

instances: Final = sa.Table(
    "instances",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("series_id", sa.ForeignKey("series.id"), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("sop_uid", sa.Text, nullable=False),
    sa.Column("copy", sa.Integer, nullable=False),
    sa.Column("class_uid", sa.Text, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("crc", sa.BigInteger, nullable=False),
    sa.Column("transfer_syntax", sa.Text, nullable=False),
    sa.Column("received_at", sa.Float, nullable=False),
    sa.Column("association", sa.ForeignKey("associations.id"), nullable=False),
    sa.Column("judged", sa.Boolean, nullable=False),
    sa.Column("own", sa.Boolean, nullable=False),
    sa.Column("conflict", sa.Boolean, nullable=False),
    sa.Column("number", sa.Integer),
    sa.Column("frames", sa.Integer, nullable=False),
    sa.UniqueConstraint("sop_uid", "series_id", "copy", name="instances_one"),
    sa.Index("instances_series", "series_id", "id"),
)

assessments: Final = sa.Table(
    "assessments",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("series_id", sa.ForeignKey("series.id"), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("verdict", sa.Text),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("instances", sa.Integer, nullable=False),
    sa.Column("made_at", sa.Float, nullable=False),
    sa.UniqueConstraint("series_id", "revision", "status", name="assessments_one"),
    sa.Index("assessments_status", "status", "id"),
)

events: Final = sa.Table(
    "events",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("series_id", sa.ForeignKey("series.id")),
    sa.Column("revision", sa.Integer),
    sa.Column("data", sa.Text, nullable=False),
    sa.Index("events_series", "series_id", "id"),
)

outbox: Final = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("series_id", sa.ForeignKey("series.id"), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("sop_uid", sa.Text, nullable=False),
    sa.Column("class_uid", sa.Text, nullable=False),
    sa.Column("transfer_syntax", sa.Text, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("until", sa.Text, nullable=False),
    sa.Column("release_at", sa.Float),
    sa.Column("next_try", sa.Float, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("last_status", sa.Integer),
    sa.Column("reason", sa.Text),
    sa.Column("queued_at", sa.Float, nullable=False),
    sa.Column("settled_at", sa.Float),
    sa.UniqueConstraint("path", "destination", name="outbox_one"),
    sa.Index(
        "outbox_due",
        "destination",
        "kind",
        "next_try",
        sqlite_where=sa.text("state = 'due'"),
        postgresql_where=sa.text("state = 'due'"),
    ),
    sa.Index("outbox_held", "release_at", sqlite_where=sa.text("state = 'held'"), postgresql_where=sa.text("state = 'held'")),
    sa.Index("outbox_series", "series_id", "revision", "kind", "state"),
)

destinations: Final = sa.Table(
    "destinations",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("next_try", sa.Float, nullable=False),
    sa.Column("reason", sa.Text),
)

cursors: Final = sa.Table(
    "cursors",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("last_id", _ID, nullable=False),
)
