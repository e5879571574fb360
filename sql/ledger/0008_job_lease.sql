-- Which server runs the jobs that one server runs for all of them.

CREATE TABLE job_lease (
    name       TEXT   NOT NULL PRIMARY KEY,
    -- The process that holds it.
    owner      TEXT   NOT NULL,
    -- Raised whenever the holder changes.
    fence      BIGINT NOT NULL,
    -- Microseconds since the epoch, by the holder's clock. After that anybody may take it.
    held_until BIGINT NOT NULL
);
