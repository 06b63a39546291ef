-- What sending needs beyond a queue that works: lanes to schedule by, what is
-- known of each destination, ways that the admin sets, and what a report needs.

-- +goose Up

ALTER TABLE message ADD COLUMN authentic INTEGER NOT NULL DEFAULT 0; -- its sender is proven, by SPF or aligned DKIM
ALTER TABLE message ADD COLUMN tls       INTEGER NOT NULL DEFAULT 0; -- mail.TLSWish

ALTER TABLE queue ADD COLUMN origin TEXT    NOT NULL DEFAULT ''; -- domain of the envelope's sender; empty for <>
ALTER TABLE queue ADD COLUMN via    TEXT    NOT NULL DEFAULT ''; -- the alias that led to the recipient
ALTER TABLE queue ADD COLUMN report INTEGER NOT NULL DEFAULT 0;  -- store.Owed: nothing to send but a report
-- store.Class. Not a generated column: an index on one of those covers no query.
ALTER TABLE queue ADD COLUMN class  INTEGER NOT NULL DEFAULT 0;

-- The origin is what follows the last '@'.
UPDATE queue SET
  origin = replace(sender, rtrim(sender, replace(sender, '@', '')), ''),
  class  = CASE WHEN cancel THEN 2 WHEN attempts > 0 THEN 1 ELSE 0 END;

DROP INDEX queue_due;
DROP INDEX queue_domain;
DROP INDEX queue_message;
CREATE INDEX queue_lane    ON queue (domain, account, origin, class, due) WHERE hold = 0;
CREATE INDEX queue_message ON queue (message, domain);
CREATE INDEX queue_held    ON queue (domain) WHERE hold <> 0;
CREATE INDEX queue_report  ON queue (domain) WHERE report <> 0;

CREATE TABLE destination (
  key          TEXT    PRIMARY KEY,
  host         TEXT    NOT NULL, -- the last one spoken to
  failures     INTEGER NOT NULL, -- rounds in a row in which no server could be reached
  last_success INTEGER NOT NULL,
  last_failure INTEGER NOT NULL,
  next_try     INTEGER NOT NULL, -- 0: at once
  reply        TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pause (
  domain TEXT    PRIMARY KEY,
  since  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- host is empty where the domain's own MX records lead; origin is empty, a
-- sender's domain, or stands for the account.
CREATE TABLE route (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  domain   TEXT    NOT NULL, -- '*': every one
  origin   TEXT    NOT NULL,
  account  INTEGER REFERENCES account (id) ON DELETE CASCADE,
  host     TEXT    NOT NULL,
  port     INTEGER NOT NULL,
  tls      INTEGER NOT NULL, -- store.TLSPolicy
  user     TEXT    NOT NULL,
  password TEXT    NOT NULL,
  created  INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX route_key ON route (domain, origin, COALESCE(account, 0));

-- Addresses to send from.
CREATE TABLE source (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  ip      TEXT    NOT NULL,
  name    TEXT    NOT NULL, -- in EHLO
  origin  TEXT    NOT NULL, -- as in route
  account INTEGER REFERENCES account (id) ON DELETE CASCADE,
  created INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX source_key ON source (ip, origin, COALESCE(account, 0));

-- Whom a backup domain is known to have. Without listed it takes every address.
ALTER TABLE domain ADD COLUMN listed INTEGER NOT NULL DEFAULT 0;
CREATE TABLE backup_recipient (
  domain INTEGER NOT NULL REFERENCES domain (id) ON DELETE CASCADE,
  local  TEXT    NOT NULL, -- lower case
  PRIMARY KEY (domain, local)
) STRICT, WITHOUT ROWID;

-- Policies of MTA-STS (RFC 8461), which must outlive a restart.
CREATE TABLE sts_policy (
  domain  TEXT    PRIMARY KEY,
  id      TEXT    NOT NULL,
  mode    TEXT    NOT NULL,
  mx      TEXT    NOT NULL, -- JSON list of patterns
  fetched INTEGER NOT NULL,
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
