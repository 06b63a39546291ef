-- What the pages list, in the order and by the words that people ask for.

-- +goose Up

-- Networks before domains before addresses.
CREATE INDEX access_kind ON access (CASE WHEN instr(what, '@') THEN 2 WHEN instr(what, '/') THEN 0 ELSE 1 END, what);

-- Which aliases lead to an address.
CREATE INDEX alias_target_address ON alias_target (lower(address));
