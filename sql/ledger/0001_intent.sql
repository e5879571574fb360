-- What NetBox cannot hold: writes that are under way and what became of them. Durable before an answer leaves.

CREATE TABLE intent (
    -- The caller's id of the write (AIP-155). The primary key is what makes a repeated request one.
    request_id  TEXT   NOT NULL PRIMARY KEY,
    -- addresses, prefix, assignment, release
    kind        TEXT   NOT NULL,
    -- SHA-256 of the request: the same id with another body is refused.
    fingerprint TEXT   NOT NULL,
    -- pending, done, failed
    state       TEXT   NOT NULL,
    -- NetBox's id of the prefix that it is from.
    parent      BIGINT,
    -- JSON: what was wanted and what came of it.
    detail      TEXT   NOT NULL,
    -- Microseconds since the epoch.
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);

-- The newest first, a page at a time.
CREATE INDEX intent_by_age ON intent (created_at, request_id);

-- What is to be settled at start: few rows among many.
CREATE INDEX intent_pending ON intent (created_at) WHERE state = 'pending';
