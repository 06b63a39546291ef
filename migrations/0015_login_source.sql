-- Where an account's logins came from, and who tried in vain.

-- +goose Up

-- The latest of each account and kind; older ones make room.
CREATE TABLE login_source (
  account  INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  failed   INTEGER NOT NULL, -- 1: what came from there was refused
  network  TEXT    NOT NULL, -- an IPv4 address, or an IPv6 /64
  protocol TEXT    NOT NULL, -- of the last one, as in last_login
  first    INTEGER NOT NULL,
  last     INTEGER NOT NULL,
  times    INTEGER NOT NULL, -- failed logins alone are all counted
  PRIMARY KEY (account, failed, network)
) STRICT, WITHOUT ROWID;
