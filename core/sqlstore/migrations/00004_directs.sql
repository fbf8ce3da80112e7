-- Names that wait for their user, with what the log must not hold; direct message channels; who blocks whom.

-- +goose Up
ALTER TABLE usernames ADD COLUMN password_hash TEXT NOT NULL DEFAULT '';

-- The two users of a channel, the lower id first, and who has it in the list.
CREATE TABLE directs (
    id         BIGINT PRIMARY KEY,
    low        BIGINT NOT NULL,
    high       BIGINT NOT NULL,
    low_open   BOOLEAN NOT NULL,
    high_open  BOOLEAN NOT NULL,
    UNIQUE (low, high)
);
CREATE INDEX directs_high ON directs (high);

CREATE TABLE relationships (
    user_id  BIGINT NOT NULL,
    other_id BIGINT NOT NULL,
    type     INTEGER NOT NULL,
    PRIMARY KEY (user_id, other_id)
);

-- +goose Down
DROP TABLE relationships;
DROP TABLE directs;
ALTER TABLE usernames DROP COLUMN password_hash;
