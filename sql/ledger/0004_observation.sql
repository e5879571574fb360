-- What was observed of leased blocks, and which addresses rest. No cache: it cannot be read anew anywhere.

CREATE TABLE observation (
    -- verdict (subject: the check), sweep (subject: the zone), baseline
    kind       TEXT   NOT NULL,
    -- NetBox's id.
    prefix     BIGINT NOT NULL,
    subject    TEXT   NOT NULL,
    -- JSON.
    body       TEXT   NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (kind, prefix, subject)
);

-- Addresses that were released a while ago and are not handed out yet.
CREATE TABLE resting (
    -- 0 is the global table.
    vrf         BIGINT NOT NULL,
    address     TEXT   NOT NULL,
    -- Microseconds since the epoch.
    released_at BIGINT NOT NULL,
    PRIMARY KEY (vrf, address)
);

CREATE INDEX resting_by_age ON resting (released_at);
