-- Bans, the audit log, and what members are searched and pruned by.

-- +goose Up
CREATE TABLE bans (
    guild_id BIGINT NOT NULL,
    user_id  BIGINT NOT NULL,
    reason   TEXT,
    PRIMARY KEY (guild_id, user_id)
);

CREATE TABLE audit_log (
    guild_id BIGINT NOT NULL,
    id       BIGINT NOT NULL,
    user_id  BIGINT NOT NULL,
    action   INTEGER NOT NULL,
    body     TEXT NOT NULL,
    PRIMARY KEY (guild_id, id)
);
CREATE INDEX audit_log_user ON audit_log (guild_id, user_id, id);
CREATE INDEX audit_log_action ON audit_log (guild_id, action, id);

-- The names that a member can be found by, in lower case. Bytes, which both databases order alike.
CREATE TABLE member_names (
    guild_id BIGINT NOT NULL,
    name     BYTEA NOT NULL,
    user_id  BIGINT NOT NULL,
    PRIMARY KEY (guild_id, name, user_id)
);
CREATE INDEX member_names_user ON member_names (guild_id, user_id);

-- Unix milliseconds. The next migration reads them from the bodies.
ALTER TABLE members ADD COLUMN joined_ms BIGINT NOT NULL DEFAULT 0;
CREATE INDEX members_joined ON members (guild_id, joined_ms);
CREATE INDEX members_user ON members (user_id);
CREATE INDEX member_roles_user ON member_roles (guild_id, user_id);

-- +goose Down
DROP INDEX member_roles_user;
DROP INDEX members_user;
DROP INDEX members_joined;
ALTER TABLE members DROP COLUMN joined_ms;
DROP TABLE member_names;
DROP TABLE audit_log;
DROP TABLE bans;
