-- The event log: what happened, in one order that never changes.

CREATE TABLE event_log (
    only_row         BIGINT NOT NULL PRIMARY KEY,
    -- Tells this log from any other: a token of another one is refused.
    epoch            TEXT   NOT NULL,
    -- Sequence of the last event. Taken and raised in the transaction that writes the event, so that what is committed has
    -- no holes and no later arrivals.
    last             BIGINT NOT NULL,
    -- Sequence of the last event that compaction has removed.
    compacted        BIGINT NOT NULL,
    -- Since when (microseconds) no change of a record has gone unrecorded; NULL before the first full pass.
    continuous_since BIGINT,
    -- Sequence of the last event that the notifier has routed.
    routed           BIGINT NOT NULL
);

CREATE TABLE event (
    sequence    BIGINT NOT NULL PRIMARY KEY,
    kind        TEXT   NOT NULL,
    -- Microseconds since the epoch: when it was taken up.
    recorded_at BIGINT NOT NULL,
    -- JSON: kind, time, subject with before and after.
    body        TEXT   NOT NULL
);

-- Which events are about a network: for "who had this address then?". A record that moved stands here twice.
CREATE TABLE event_network (
    network  TEXT   NOT NULL,
    -- 0 for the global table.
    vrf      BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    PRIMARY KEY (network, vrf, sequence)
);

CREATE INDEX event_network_by_sequence ON event_network (sequence);

-- What was last told of a record, so that a change that is seen twice (after a crash, by two replicas) is one event.
CREATE TABLE told (
    -- prefix, address
    kind     TEXT   NOT NULL,
    id       BIGINT NOT NULL,
    -- NetBox's last_updated, microseconds; 0 if it has none.
    revision BIGINT NOT NULL,
    -- Digest of the record; "gone" once it is deleted.
    digest   TEXT   NOT NULL,
    PRIMARY KEY (kind, id)
);

-- The tightest threshold that was told of, for each lease and date: written with its event, so that neither is without
-- the other.
CREATE TABLE term_mark (
    prefix    BIGINT NOT NULL,
    -- expiry, notice
    which     TEXT   NOT NULL,
    -- ISO 8601
    date      TEXT   NOT NULL,
    -- Days; -1 once the date has passed.
    threshold BIGINT NOT NULL,
    PRIMARY KEY (prefix, which, date)
);
