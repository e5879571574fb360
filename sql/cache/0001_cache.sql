-- The cache of NetBox's records. Everything here can be had again from NetBox: delete the file at will.

-- What the file is of, and where it stands. One row.
CREATE TABLE cache (
    only_row          INTEGER PRIMARY KEY CHECK (only_row = 1),
    -- NetBox's URL and the field names that the records were read with: rows of another NetBox are worth nothing here.
    identity          TEXT    NOT NULL,
    -- The generation in service; NULL until a first full pass has ended.
    generation        INTEGER,
    -- The position in NetBox's change log up to which the generation in service is right, as JSON.
    position          TEXT,
    -- Microseconds since the epoch at which it was last known to agree with NetBox.
    synced_at         INTEGER
) STRICT;

-- A record of a generation. kind: 1 VRF, 2 prefix, 3 address, 4 IP range. The record is JSON.
CREATE TABLE record (
    generation INTEGER NOT NULL,
    kind       INTEGER NOT NULL,
    id         INTEGER NOT NULL,
    body       TEXT    NOT NULL,
    PRIMARY KEY (generation, kind, id)
) STRICT, WITHOUT ROWID;
