-- In which log a sequence counts, and how far the history was a moment ago.

-- +goose Up
ALTER TABLE checkpoints ADD COLUMN incarnation BIGINT NOT NULL DEFAULT 0;

CREATE TABLE history_notes (
    bucket      INTEGER PRIMARY KEY,
    sequence    BIGINT NOT NULL,
    counter     BIGINT NOT NULL,
    epoch       BIGINT NOT NULL,
    last_id     BIGINT NOT NULL,
    incarnation BIGINT NOT NULL
);

-- +goose Down
DROP TABLE history_notes;
ALTER TABLE checkpoints DROP COLUMN incarnation;
