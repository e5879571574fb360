-- Every list is one walk along an index, whatever its filters, and a delivery knows what kind of failure its error is. A server
-- of an older version can go on using the ledger.

-- The newest first, a page at a time. No list shows releases.
DROP INDEX intent_by_age;
CREATE INDEX intent_by_age ON intent (created_at, request_id) WHERE kind <> 'release';
CREATE INDEX intent_by_state ON intent (state, created_at, request_id) WHERE kind <> 'release';
CREATE INDEX intent_by_parent ON intent (parent, created_at, request_id) WHERE kind <> 'release';

CREATE INDEX delivery_by_state ON delivery (state, created_at, id);
CREATE INDEX delivery_by_sink ON delivery (sink, created_at, id);
CREATE INDEX delivery_by_sink_and_state ON delivery (sink, state, created_at, id);

-- What kind of failure `error` describes: failed, refused. Empty if there is no error, and if a server of an older version
-- recorded it: such an error may hold the text of a library.
ALTER TABLE delivery ADD COLUMN failure TEXT NOT NULL DEFAULT '';

-- Microseconds since the epoch: when the attempt failed. 0 where `failure` is empty.
ALTER TABLE delivery ADD COLUMN failed_at BIGINT NOT NULL DEFAULT 0;
