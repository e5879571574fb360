-- The outbox: what is to be told to whom, until it is told.

CREATE TABLE delivery (
    -- Stable over retries: a receiver that sees it twice knows.
    id         TEXT   NOT NULL PRIMARY KEY,
    sink       TEXT   NOT NULL,
    sequence   BIGINT NOT NULL,
    -- What the event is about: of one matter, a sink hears in order.
    matter     TEXT   NOT NULL,
    -- waiting, sent, dead
    state      TEXT   NOT NULL,
    attempts   BIGINT NOT NULL,
    -- Microseconds since the epoch: not before then.
    due_at     BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    -- Why the last try failed; empty if none did.
    error      TEXT   NOT NULL,
    -- JSON: the event, as it is to be told.
    body       TEXT   NOT NULL
);

CREATE INDEX delivery_due ON delivery (sink, due_at, id) WHERE state = 'waiting';
CREATE INDEX delivery_in_order ON delivery (sink, matter, sequence) WHERE state = 'waiting';
CREATE INDEX delivery_by_age ON delivery (created_at, id);

-- Tickets that stand open at a tracker, by what they are about.
CREATE TABLE ticket (
    sink       TEXT   NOT NULL,
    -- What it is about: the same twice makes no second ticket.
    dedupe_key TEXT   NOT NULL,
    -- The tracker's own name of it.
    reference  TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (sink, dedupe_key)
);
