-- Gives tables, columns and indexes plain names. Rows are not touched. A server of an older version cannot use the ledger
-- afterwards: with several replicas, stop the old ones before the first new one starts.
-- In PostgreSQL the primary keys keep the names of their constraints (resting_pkey, told_pkey).

-- Addresses that were released and are not allocated again until their quarantine is over.
ALTER TABLE resting RENAME TO quarantine;
DROP INDEX resting_by_age;
CREATE INDEX quarantine_by_age ON quarantine (released_at);

-- Of each record (or check of a prefix) the revision and the digest of its state in the last event about it. An event that would
-- repeat that state, or report an older one, is not published.
ALTER TABLE told RENAME TO published_digest;

-- What the event is about (a prefix, an address, or the sync). A sink receives the events of one ordering key in their order.
ALTER TABLE delivery RENAME COLUMN matter TO ordering_key;
