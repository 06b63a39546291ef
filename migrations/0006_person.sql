-- What people make of their accounts: where their mail goes on to, as whom else
-- they may send, and what is answered while they are away.

-- +goose Up

CREATE TABLE forward (
  account INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
  keep    INTEGER NOT NULL -- 1: a copy enters the maildrop
) STRICT;

CREATE TABLE forward_target (
  account INTEGER NOT NULL REFERENCES forward (account) ON DELETE CASCADE,
  seq     INTEGER NOT NULL,
  address TEXT    NOT NULL,
  PRIMARY KEY (account, seq)
) STRICT, WITHOUT ROWID;

-- Addresses beyond its own and its aliases that an account may send as.
CREATE TABLE sender (
  account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  domain  INTEGER NOT NULL REFERENCES domain (id) ON DELETE CASCADE,
  local   TEXT    NOT NULL, -- lower case; empty: every address of the domain
  created INTEGER NOT NULL,
  PRIMARY KEY (account, domain, local)
) STRICT, WITHOUT ROWID;

CREATE INDEX sender_domain ON sender (domain);

CREATE TABLE vacation (
  account INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
  active  INTEGER NOT NULL,
  subject TEXT    NOT NULL, -- empty: made of that of the mail that is answered
  text    TEXT    NOT NULL,
  since   INTEGER NOT NULL, -- 0: from the start
  until   INTEGER NOT NULL  -- answers no more; 0: without an end
) STRICT;

-- Vacation notices that are owed, one to each sender, with what they are made of:
-- the mail itself may have been collected before they are written.
CREATE TABLE answer (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  account   INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  sender    TEXT    NOT NULL,
  key       TEXT    NOT NULL, -- the sender's
  message   INTEGER NOT NULL, -- its trail
  at        INTEGER NOT NULL,
  recipient TEXT    NOT NULL,
  header_id TEXT    NOT NULL,
  history   TEXT    NOT NULL, -- its field References
  subject   TEXT    NOT NULL,
  UNIQUE (account, key)
) STRICT;

-- Whom a vacation notice was sent to, for as long as no second one follows.
CREATE TABLE answered (
  account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  key     TEXT    NOT NULL,
  at      INTEGER NOT NULL,
  PRIMARY KEY (account, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX answered_at ON answered (at);
