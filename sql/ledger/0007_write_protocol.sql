-- The write protocol: who carries an intent out, where exactly it stands, and which space it has reserved. A server of an older
-- version can go on reading the ledger; it must not write beside a newer one, because it knows no claims.

-- not_sent, maybe_written, written, verified, withdrawing, done, withdrawn, refused, unsettled. `state` is its summary, for the lists.
ALTER TABLE intent ADD COLUMN step TEXT NOT NULL DEFAULT '';
-- The process that carries it out, and the number of processes that have. Both are compared before a step is stored.
ALTER TABLE intent ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE intent ADD COLUMN attempt BIGINT NOT NULL DEFAULT 0;
-- Microseconds since the epoch: when the latest request to NetBox was sent that was never answered. NULL if all were.
ALTER TABLE intent ADD COLUMN unanswered_at BIGINT;
-- Microseconds since the epoch: when NetBox is asked once more for records that arrived late. NULL if it need not be.
ALTER TABLE intent ADD COLUMN sweep_at BIGINT;

UPDATE intent SET step = CASE state WHEN 'done' THEN 'done' WHEN 'failed' THEN 'refused' ELSE 'maybe_written' END,
    unanswered_at = CASE state WHEN 'done' THEN NULL ELSE updated_at END;

CREATE INDEX intent_by_sweep ON intent (sweep_at) WHERE sweep_at IS NOT NULL;
-- For deleting settled intents once they are old.
CREATE INDEX intent_by_update ON intent (updated_at) WHERE state <> 'pending';

-- The lists show allocations, not releases and not changes of leases.
DROP INDEX intent_by_age;
CREATE INDEX intent_by_age ON intent (created_at, request_id) WHERE kind IN ('addresses', 'prefix', 'assignment');
DROP INDEX intent_by_state;
CREATE INDEX intent_by_state ON intent (state, created_at, request_id)
    WHERE kind IN ('addresses', 'prefix', 'assignment');
DROP INDEX intent_by_parent;
CREATE INDEX intent_by_parent ON intent (parent, created_at, request_id)
    WHERE kind IN ('addresses', 'prefix', 'assignment');

-- Space that a write has reserved before it is sent, so that no other write of this ledger takes it.
CREATE TABLE reservation (
    request_id TEXT   NOT NULL,
    -- 0 for the global table.
    vrf        BIGINT NOT NULL,
    -- The first and the last address: 4 or 6, then 32 hexadecimal digits, so that text sorts as addresses do.
    first      TEXT   NOT NULL,
    last       TEXT   NOT NULL,
    -- NULL while the write is open. Afterwards, in microseconds since the epoch, until when the space counts as taken for servers
    -- whose cache does not have the record yet.
    settled_until BIGINT,
    PRIMARY KEY (request_id, vrf, first)
);

CREATE INDEX reservation_by_space ON reservation (vrf, first);

-- One row that every transaction which reserves updates first: of two at once, the second sees what the first has reserved.
CREATE TABLE reservation_turn (
    only_row BIGINT NOT NULL PRIMARY KEY,
    turn     BIGINT NOT NULL
);

INSERT INTO reservation_turn (only_row, turn) VALUES (1, 0);

-- Leases that have ended, whether through Leasehold or by hand. Written with the event that says so; outlives the event log.
CREATE TABLE ended_lease (
    -- The sequence of the event.
    sequence BIGINT NOT NULL PRIMARY KEY,
    -- NetBox's id of the prefix.
    prefix   BIGINT NOT NULL,
    -- 0 for the global table.
    vrf      BIGINT NOT NULL,
    network  TEXT   NOT NULL,
    -- The first and the last address, as in `reservation`.
    first    TEXT   NOT NULL,
    last     TEXT   NOT NULL,
    owner    TEXT   NOT NULL,
    -- ISO 8601; NULL if the lease had none.
    start    TEXT,
    expiry   TEXT,
    -- Empty for none.
    loa      TEXT   NOT NULL,
    origin   BIGINT,
    -- Microseconds since the epoch.
    ended_at BIGINT NOT NULL,
    -- Request id and caller; empty if it was ended by hand.
    ended_by TEXT   NOT NULL
);

CREATE INDEX ended_lease_by_space ON ended_lease (vrf, first);
