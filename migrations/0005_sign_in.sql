-- Signing in: whose each session of the web page is, the second factor, and who
-- logged in when.

-- +goose Up

-- Sessions from before don't tell whose they are, so nobody could end one of them
-- alone: they end now.
DROP TABLE web_session;
CREATE TABLE web_session (
  id      INTEGER PRIMARY KEY, -- random
  token   TEXT    NOT NULL UNIQUE, -- hashed
  account INTEGER REFERENCES account (id) ON DELETE CASCADE, -- NULL: nobody has signed in
  data    BLOB    NOT NULL,
  began   INTEGER NOT NULL,
  seen    INTEGER NOT NULL,
  client  TEXT    NOT NULL,
  agent   TEXT    NOT NULL,
  expires INTEGER NOT NULL
) STRICT;

CREATE INDEX web_session_expires ON web_session (expires);
CREATE INDEX web_session_account ON web_session (account) WHERE account IS NOT NULL;

-- Since when the web page asks for a second factor; 0: it doesn't.
ALTER TABLE account ADD COLUMN two_factor INTEGER NOT NULL DEFAULT 0;

-- Keys of TOTP (RFC 6238). They are kept as they are: the server must know them to
-- check a code, and a key to encrypt them with would lie in the same folder, and in
-- the same backup if that is to be whole. Who has this file has them too, as with
-- the keys of DKIM and the passwords of routes; nothing ever shows them again.
CREATE TABLE totp (
  account INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
  secret  BLOB    NOT NULL,
  created INTEGER NOT NULL,
  step    INTEGER NOT NULL -- the last one whose code was taken
) STRICT;

CREATE TABLE recovery_code (
  account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  hash    BLOB    NOT NULL,
  PRIMARY KEY (account, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE last_login (
  account      INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  protocol     TEXT    NOT NULL, -- store.Login
  at           INTEGER NOT NULL,
  client       TEXT    NOT NULL,
  app_password TEXT    NOT NULL, -- its name, empty for the account's password
  PRIMARY KEY (account, protocol)
) STRICT, WITHOUT ROWID;
