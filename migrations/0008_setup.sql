-- The guide for new servers is not for those that have accounts already.

-- +goose Up

INSERT INTO setting (key, value)
SELECT 'setup ' || step.name, 'done'
FROM (SELECT 'domain' AS name UNION ALL SELECT 'dns' UNION ALL SELECT 'account' UNION ALL SELECT 'test') AS step
WHERE EXISTS (SELECT 1 FROM account);
