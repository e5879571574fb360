-- Addresses that pools have reserved in NetBox ahead of demand, until the record of each says who was given it.

CREATE TABLE pool_address (
    -- NetBox's id of the address.
    address    BIGINT NOT NULL PRIMARY KEY,
    -- NetBox's id of the prefix that it came from.
    parent     BIGINT NOT NULL,
    -- The process that may hand it out. The number is raised whenever another process takes it over. Both are compared first.
    owner      TEXT   NOT NULL,
    epoch      BIGINT NOT NULL,
    -- stock, handed_out, returning.
    state      TEXT   NOT NULL,
    -- The record as NetBox held it when it came into stock, as JSON.
    record     TEXT   NOT NULL,
    -- The request that it was handed out to, and the record as it is to be, as JSON; NULL while nobody has it.
    request_id TEXT,
    wanted     TEXT,
    -- Who asked; empty if it is not known.
    caller     TEXT   NOT NULL DEFAULT '',
    -- Why NetBox refuses the record as it is to be; NULL if it has not refused it.
    refusal    TEXT,
    -- Microseconds since the epoch: when it came into stock, was handed out, or was begun to be returned.
    changed_at BIGINT NOT NULL
);

CREATE INDEX pool_address_by_state ON pool_address (state, changed_at);
CREATE INDEX pool_address_by_parent ON pool_address (parent);
CREATE INDEX pool_address_by_request ON pool_address (request_id) WHERE request_id IS NOT NULL;

-- Fills whose addresses are not in stock yet.
CREATE INDEX intent_pool_fill ON intent (created_at) WHERE kind = 'pool_fill' AND state <> 'failed';
