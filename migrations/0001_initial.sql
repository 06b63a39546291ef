-- Times are microseconds since 1970, addresses are as mail.Address.String gives
-- them; a "key" is the result of mail.Address.Key.

-- +goose Up

CREATE TABLE domain (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  name    TEXT    NOT NULL UNIQUE,
  backup  INTEGER NOT NULL DEFAULT 0,
  created INTEGER NOT NULL
) STRICT;

CREATE TABLE account (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  domain       INTEGER NOT NULL REFERENCES domain (id),
  local        TEXT    NOT NULL CHECK (local <> ''), -- lower case
  name         TEXT    NOT NULL DEFAULT '',
  hash         TEXT    NOT NULL DEFAULT '',
  scram        TEXT    NOT NULL DEFAULT '',
  quota        INTEGER NOT NULL DEFAULT 0,
  admin        INTEGER NOT NULL DEFAULT 0,
  disabled     INTEGER NOT NULL DEFAULT 0,
  refuse       INTEGER NOT NULL DEFAULT 0,
  created      INTEGER NOT NULL,
  used_bytes   INTEGER NOT NULL DEFAULT 0,
  used_count   INTEGER NOT NULL DEFAULT 0,
  notice_told  INTEGER NOT NULL DEFAULT 0, -- percent of the quota that the user has been told of
  UNIQUE (domain, local)
) STRICT;

CREATE INDEX account_local ON account (local); -- logging in with the local part alone

CREATE TABLE app_password (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  account   INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  name      TEXT    NOT NULL,
  hash      BLOB    NOT NULL UNIQUE,
  created   INTEGER NOT NULL,
  last_used INTEGER NOT NULL DEFAULT 0,
  UNIQUE (account, name)
) STRICT;

CREATE TABLE alias (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  domain  INTEGER NOT NULL REFERENCES domain (id),
  local   TEXT    NOT NULL, -- lower case; empty: the catch-all
  created INTEGER NOT NULL,
  UNIQUE (domain, local)
) STRICT;

CREATE TABLE alias_target (
  alias   INTEGER NOT NULL REFERENCES alias (id) ON DELETE CASCADE,
  seq     INTEGER NOT NULL,
  address TEXT    NOT NULL,
  PRIMARY KEY (alias, seq)
) STRICT, WITHOUT ROWID;

-- A body is the chunks numbered from first_chunk on. place says where it is kept;
-- 0, the only place so far, is the table chunk.
CREATE TABLE message (
  id          INTEGER PRIMARY KEY,
  at          INTEGER NOT NULL,
  sender      TEXT    NOT NULL,
  header_id   TEXT    NOT NULL,
  eight_bit   INTEGER NOT NULL,
  utf8        INTEGER NOT NULL,
  ret         INTEGER NOT NULL,
  envid       TEXT    NOT NULL,
  account     INTEGER NOT NULL, -- who submitted it, 0 if nobody did
  size        INTEGER NOT NULL,
  place       INTEGER NOT NULL DEFAULT 0,
  first_chunk INTEGER NOT NULL,
  chunks      INTEGER NOT NULL
) STRICT;

CREATE TABLE chunk (
  id   INTEGER PRIMARY KEY,
  data BLOB NOT NULL
) STRICT;

-- Chunks that no message refers to yet. What is left here at start is removed.
CREATE TABLE staging (
  first_chunk INTEGER PRIMARY KEY,
  chunks      INTEGER NOT NULL
) STRICT;

-- Messages that lost a reference: the reaper looks whether it was the last.
CREATE TABLE reap (
  message INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE entry (
  account   INTEGER NOT NULL REFERENCES account (id),
  message   INTEGER NOT NULL REFERENCES message (id),
  uid       BLOB    NOT NULL,
  recipient TEXT    NOT NULL, -- for Delivered-To
  size      INTEGER NOT NULL, -- as retrieved
  PRIMARY KEY (account, message)
) STRICT, WITHOUT ROWID;

CREATE INDEX entry_message ON entry (message);

CREATE TABLE queue (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  message    INTEGER NOT NULL REFERENCES message (id),
  sender     TEXT    NOT NULL,
  recipient  TEXT    NOT NULL,
  domain     TEXT    NOT NULL,
  notify     INTEGER NOT NULL,
  orcpt      TEXT    NOT NULL,
  account    INTEGER NOT NULL,
  created    INTEGER NOT NULL,
  expires    INTEGER NOT NULL,
  due        INTEGER NOT NULL,
  attempts   INTEGER NOT NULL DEFAULT 0,
  last_reply TEXT    NOT NULL DEFAULT '',
  hold       INTEGER NOT NULL DEFAULT 0,
  cancel     INTEGER NOT NULL DEFAULT 0,
  delayed    INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX queue_due     ON queue (due) WHERE hold = 0;
CREATE INDEX queue_message ON queue (message);
CREATE INDEX queue_domain  ON queue (domain, due);
CREATE INDEX queue_account ON queue (account) WHERE account <> 0;

-- The trace outlives the message. A trail's id is its message's; since ids grow
-- with time, a range of ids is a range of time.
CREATE TABLE trail (
  id         INTEGER PRIMARY KEY,
  at         INTEGER NOT NULL,
  header_id  TEXT    NOT NULL,
  sender     TEXT    NOT NULL,
  recipients TEXT    NOT NULL, -- JSON list
  refused    INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE event (
  trail     INTEGER NOT NULL,
  seq       INTEGER NOT NULL,
  at        INTEGER NOT NULL,
  kind      TEXT    NOT NULL,
  recipient TEXT    NOT NULL,
  detail    TEXT    NOT NULL, -- JSON: the rest of store.Event
  PRIMARY KEY (trail, seq)
) STRICT, WITHOUT ROWID;

-- Trails that trail_key doesn't know yet. A watermark over ids would not do: ids
-- are given out before their transactions commit, in another order.
CREATE TABLE trail_new (
  trail INTEGER PRIMARY KEY
) STRICT;

-- +goose StatementBegin
CREATE TRIGGER trail_inserted AFTER INSERT ON trail BEGIN
  INSERT OR IGNORE INTO trail_new (trail) VALUES (new.id);
END;
-- +goose StatementEnd

-- Keys to find trails by, written a little later than the trails themselves, many
-- at a time: 'a:' and the key of an address, 'm:' and a Message-ID.
CREATE TABLE trail_key (
  key   TEXT    NOT NULL,
  trail INTEGER NOT NULL,
  PRIMARY KEY (key, trail)
) STRICT, WITHOUT ROWID;

CREATE TABLE tally (
  hour INTEGER NOT NULL, -- hours since 1970
  kind TEXT    NOT NULL,
  n    INTEGER NOT NULL,
  PRIMARY KEY (hour, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE setting (
  key   TEXT PRIMARY KEY,
  value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- Sessions of the web page; the token is hashed before it comes here.
CREATE TABLE web_session (
  token   TEXT    PRIMARY KEY,
  data    BLOB    NOT NULL,
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX web_session_expires ON web_session (expires);
