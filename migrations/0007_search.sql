-- Trails are found by more than addresses and Message-IDs, also by what is told of
-- them later; and the mail of the last hours can be counted by the minute.

-- +goose Up

-- The events of a trail from this one on are not indexed yet.
ALTER TABLE trail_new ADD COLUMN first INTEGER NOT NULL DEFAULT 0;

-- Beside the keys of addresses and Message-IDs, trail_key holds 'i:' and an IP in
-- hexadecimal, 'h:' and a host with its labels in reverse order, and 'o:' and the
-- kind of an event that says what became of a message, but for 'delivered', which
-- most have. All trails that there are get theirs in the background.
INSERT OR IGNORE INTO trail_new (trail) SELECT id FROM trail;

-- What becomes of a message later is found too. A trail that is not indexed yet
-- stays as it is: it will be, from an earlier event on.
-- +goose StatementBegin
CREATE TRIGGER event_inserted AFTER INSERT ON event
WHEN new.kind IN ('attempt', 'sent', 'deferred', 'bounced', 'cancelled', 'collected', 'deleted')
BEGIN
  INSERT OR IGNORE INTO trail_new (trail, first) SELECT id, new.seq FROM trail WHERE id = new.trail;
END;
-- +goose StatementEnd

-- What tally is counted from: the hours that are over move there.
CREATE TABLE tally_minute (
  minute INTEGER NOT NULL, -- minutes since 1970
  kind   TEXT    NOT NULL,
  n      INTEGER NOT NULL,
  PRIMARY KEY (minute, kind)
) STRICT, WITHOUT ROWID;
