-- Who changed what, by the web page or the command line.

-- +goose Up

CREATE TABLE journal (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  at        INTEGER NOT NULL,
  who       TEXT    NOT NULL, -- an account's address, or a user of the system; empty for the server itself
  via       TEXT    NOT NULL, -- "web", "command line", "server"
  client    TEXT    NOT NULL, -- an IP address, or empty
  action    TEXT    NOT NULL, -- a fixed word, such as "alias.add"
  subject   TEXT    NOT NULL,
  before    TEXT    NOT NULL, -- JSON object, or empty: it wasn't there
  after     TEXT    NOT NULL, -- JSON object, or empty: it is gone
  touched   INTEGER NOT NULL, -- queue items
  undoes    INTEGER NOT NULL, -- the entry that this one takes back, or 0
  undone_by INTEGER NOT NULL  -- the entry that takes this one back, or 0
) STRICT;

CREATE INDEX journal_at ON journal (at);
