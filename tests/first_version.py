"""What edged 0.1 left on disks."""

RECEIVER_TABLES = """
CREATE TABLE stream (
    device TEXT NOT NULL, log_id TEXT NOT NULL, audience TEXT NOT NULL,
    stored INTEGER NOT NULL DEFAULT 0, highest INTEGER NOT NULL DEFAULT 0,
    duplicates INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (device, log_id, audience)
) STRICT, WITHOUT ROWID;
CREATE TABLE envelope (
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL, log_id TEXT NOT NULL, audience TEXT NOT NULL, seq INTEGER NOT NULL,
    sha256 TEXT NOT NULL, prev TEXT, jti TEXT NOT NULL, received_at INTEGER NOT NULL,
    handed_at INTEGER, body TEXT NOT NULL,
    UNIQUE (device, log_id, audience, seq),
    UNIQUE (device, log_id, audience, jti),
    FOREIGN KEY (device, log_id, audience) REFERENCES stream
) STRICT;
CREATE INDEX to_hand ON envelope (id) WHERE handed_at IS NULL;
CREATE TABLE alarm (
    code TEXT NOT NULL, topic TEXT NOT NULL, device TEXT NOT NULL, log_id TEXT NOT NULL,
    audience TEXT NOT NULL, seq INTEGER NOT NULL,
    sha256 TEXT, evidence TEXT, count INTEGER NOT NULL, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
    PRIMARY KEY (code, topic, device, log_id, audience, seq)
) STRICT, WITHOUT ROWID;
"""
"""Of an archive, and of a partner's inbox."""
