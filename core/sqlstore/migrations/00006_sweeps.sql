-- What deletions left for later: roles taken from their holders, and with role 0 all that a deleted guild had.

-- +goose Up
CREATE TABLE sweeps (
    guild_id    BIGINT NOT NULL,
    role_id     BIGINT NOT NULL,
    bucket      INTEGER NOT NULL,
    epoch       BIGINT NOT NULL,
    counter     BIGINT NOT NULL,
    idx         BIGINT NOT NULL,
    sequence    BIGINT NOT NULL,
    incarnation BIGINT NOT NULL,
    PRIMARY KEY (guild_id, role_id)
);
CREATE INDEX sweeps_order ON sweeps (bucket, epoch, counter, idx);

-- +goose Down
DROP TABLE sweeps;
