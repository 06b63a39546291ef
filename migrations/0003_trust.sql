-- Whom we believe, why others believe us, and how much anyone may send.

-- +goose Up

-- The admin's own lists: a network, a domain or an address.
CREATE TABLE access (
  what    TEXT    PRIMARY KEY, -- as store.AccessEntry has it
  action  INTEGER NOT NULL,    -- store.AccessAction
  note    TEXT    NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL     -- 0: never
) STRICT, WITHOUT ROWID;

-- Scanners and alarms, which submit without logging in.
CREATE TABLE device (
  network TEXT    PRIMARY KEY,
  account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Limits of one's own. 0 is what the configuration says, -1 is none.
CREATE TABLE allowance (
  scope              INTEGER NOT NULL, -- store.Scope
  owner              INTEGER NOT NULL, -- account or domain; 0 for the server
  messages_per_hour   INTEGER NOT NULL,
  messages_per_day    INTEGER NOT NULL,
  recipients_per_hour INTEGER NOT NULL,
  recipients_per_day  INTEGER NOT NULL,
  PRIMARY KEY (scope, owner)
) STRICT, WITHOUT ROWID;

-- What accounts have sent to other servers, by the minute, for as long as a limit
-- looks back. It also counts for the account's domain, and stays when either is
-- removed.
CREATE TABLE sending (
  minute     INTEGER NOT NULL, -- since 1970
  account    INTEGER NOT NULL,
  domain     INTEGER NOT NULL, -- the account's
  messages   INTEGER NOT NULL,
  recipients INTEGER NOT NULL,
  PRIMARY KEY (minute, account)
) STRICT, WITHOUT ROWID;

-- Who has been warned that a limit is near.
CREATE TABLE allowance_notice (
  scope  INTEGER NOT NULL,
  owner  INTEGER NOT NULL,
  admins INTEGER NOT NULL, -- 1: they were told; 0: the owner was
  told   INTEGER NOT NULL, -- when
  below  INTEGER NOT NULL, -- 1: it wasn't near any more at some time after that
  PRIMARY KEY (scope, owner, admins)
) STRICT, WITHOUT ROWID;

-- What we have written ourselves, which is signed.
ALTER TABLE message ADD COLUMN ours INTEGER NOT NULL DEFAULT 0;

CREATE TABLE dkim_key (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  domain    INTEGER NOT NULL REFERENCES domain (id) ON DELETE CASCADE,
  selector  TEXT    NOT NULL,
  algorithm TEXT    NOT NULL, -- the k= of its record: "rsa", "ed25519"
  private   BLOB    NOT NULL, -- PKCS #8
  created   INTEGER NOT NULL,
  since     INTEGER NOT NULL, -- signs from then on; 0: not yet
  until     INTEGER NOT NULL, -- signs no more; 0: it does
  UNIQUE (domain, selector)
) STRICT;

-- Networks that guessed passwords, and may not log in for a while.
CREATE TABLE login_block (
  network  TEXT    PRIMARY KEY,
  since    INTEGER NOT NULL,
  until    INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  names    INTEGER NOT NULL, -- different login names that were tried
  protocol TEXT    NOT NULL  -- of the last try
) STRICT, WITHOUT ROWID;

-- What the admin should know, until it is over.
CREATE TABLE concern (
  key   TEXT    PRIMARY KEY,
  text  TEXT    NOT NULL,
  cure  TEXT    NOT NULL,
  since INTEGER NOT NULL,
  seen  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
