-- The direct channels in a user's list as the user's own bucket knows them, so that the list is as of a sequence of that bucket. A row stays after a
-- closing, so that an opening that comes late loses; since is the id of either.

-- +goose Up
CREATE TABLE user_directs (
    user_id    BIGINT NOT NULL,
    channel_id BIGINT NOT NULL,
    listed     BOOLEAN NOT NULL,
    since      BIGINT NOT NULL,
    PRIMARY KEY (user_id, channel_id)
);
INSERT INTO user_directs (user_id, channel_id, listed, since) SELECT low, id, low_open, 0 FROM directs;
INSERT INTO user_directs (user_id, channel_id, listed, since) SELECT high, id, high_open, 0 FROM directs;

-- +goose Down
DROP TABLE user_directs;
