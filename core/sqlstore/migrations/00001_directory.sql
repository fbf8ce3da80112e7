-- The same statements run on SQLite and on Postgres. Bodies are the JSON of proto types, so that a new field needs no migration; a column
-- stands beside a body only where a query asks for it. No foreign keys: rows of different buckets are written in any order.

-- +goose Up
CREATE TABLE checkpoints (
    bucket   INTEGER PRIMARY KEY,
    sequence BIGINT NOT NULL,
    counter  BIGINT NOT NULL,
    epoch    BIGINT NOT NULL,
    last_id  BIGINT NOT NULL
);

-- Commands owed to other buckets.
CREATE TABLE outbox (
    id       BYTEA PRIMARY KEY,
    bucket   INTEGER NOT NULL,
    epoch    BIGINT NOT NULL,
    counter  BIGINT NOT NULL,
    idx      BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    command  BYTEA NOT NULL
);
CREATE INDEX outbox_order ON outbox (bucket, epoch, counter, idx);

CREATE TABLE users (
    id            BIGINT PRIMARY KEY,
    owner_id      BIGINT NOT NULL,
    body          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    token_hash    BYTEA NOT NULL
);
CREATE INDEX users_owner ON users (owner_id);

-- Names of people in lower case; user_id is 0 while only reserved.
CREATE TABLE usernames (
    name        TEXT PRIMARY KEY,
    command     BYTEA NOT NULL,
    reserved_ms BIGINT NOT NULL,
    user_id     BIGINT NOT NULL
);
CREATE INDEX usernames_user ON usernames (user_id);

CREATE TABLE logins (
    id           BIGINT PRIMARY KEY,
    user_id      BIGINT NOT NULL,
    refresh_hash BYTEA NOT NULL UNIQUE,
    expires_ms   BIGINT NOT NULL,
    revoked      BOOLEAN NOT NULL
);
CREATE INDEX logins_user ON logins (user_id);

-- The guilds of a user as the user's own bucket knows them. A row stays after a leave, so that a join that comes late loses.
CREATE TABLE user_guilds (
    user_id  BIGINT NOT NULL,
    guild_id BIGINT NOT NULL,
    joined   BOOLEAN NOT NULL,
    epoch    BIGINT NOT NULL,
    counter  BIGINT NOT NULL,
    idx      BIGINT NOT NULL,
    PRIMARY KEY (user_id, guild_id)
);

CREATE TABLE guilds (
    id           BIGINT PRIMARY KEY,
    body         TEXT NOT NULL,
    member_count BIGINT NOT NULL
);

CREATE TABLE roles (
    guild_id BIGINT NOT NULL,
    id       BIGINT NOT NULL,
    body     TEXT NOT NULL,
    PRIMARY KEY (guild_id, id)
);

CREATE TABLE channels (
    id        BIGINT PRIMARY KEY,
    guild_id  BIGINT NOT NULL,
    parent_id BIGINT NOT NULL,
    body      TEXT NOT NULL
);
CREATE INDEX channels_guild ON channels (guild_id);

CREATE TABLE members (
    guild_id BIGINT NOT NULL,
    user_id  BIGINT NOT NULL,
    body     TEXT NOT NULL,
    PRIMARY KEY (guild_id, user_id)
);

-- Who holds a role: the roles in the bodies of members, the other way round.
CREATE TABLE member_roles (
    guild_id BIGINT NOT NULL,
    role_id  BIGINT NOT NULL,
    user_id  BIGINT NOT NULL,
    PRIMARY KEY (guild_id, role_id, user_id)
);

CREATE TABLE invites (
    code       TEXT PRIMARY KEY,
    guild_id   BIGINT NOT NULL,
    channel_id BIGINT NOT NULL,
    inviter_id BIGINT NOT NULL,
    uses       BIGINT NOT NULL,
    body       TEXT NOT NULL
);
CREATE INDEX invites_guild ON invites (guild_id);

-- +goose Down
DROP TABLE invites;
DROP TABLE member_roles;
DROP TABLE members;
DROP TABLE channels;
DROP TABLE roles;
DROP TABLE guilds;
DROP TABLE user_guilds;
DROP TABLE logins;
DROP TABLE usernames;
DROP TABLE users;
DROP TABLE outbox;
DROP TABLE checkpoints;
