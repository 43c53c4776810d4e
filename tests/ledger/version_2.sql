-- What version 2 of the schema added to version 1, as it is in the field. Never changed.
CREATE TABLE limit_change (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ns INTEGER NOT NULL,
  wallet_id INTEGER NOT NULL REFERENCES wallet(id),
  before INTEGER NOT NULL CHECK (before >= 0)) STRICT;
ALTER TABLE node_epoch ADD COLUMN limit_change INTEGER NOT NULL DEFAULT 0;
ALTER TABLE wallet ADD COLUMN budget_total INTEGER NOT NULL DEFAULT -1;
ALTER TABLE api_key ADD COLUMN credentials INTEGER NOT NULL DEFAULT 0;
CREATE TABLE former_secret (
  digest TEXT PRIMARY KEY CHECK (length(digest) = 64),
  key_id INTEGER NOT NULL REFERENCES api_key(id),
  pepper INTEGER NOT NULL CHECK (pepper > 0),
  last_chars TEXT NOT NULL,
  expires_ns INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX former_secret_key ON former_secret(key_id);
CREATE INDEX former_secret_expiry ON former_secret(expires_ns);
CREATE INDEX usage_request ON usage(request_id);
ALTER TABLE api_key ADD COLUMN pepper INTEGER NOT NULL DEFAULT 1 CHECK (pepper > 0);
ALTER TABLE model ADD COLUMN first_token_timeout_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE model ADD COLUMN total_timeout_ms INTEGER NOT NULL DEFAULT 0;
CREATE TABLE route_group (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  models TEXT NOT NULL,
  listed INTEGER NOT NULL,
  enabled INTEGER NOT NULL,
  created_ns INTEGER NOT NULL) STRICT;
ALTER TABLE usage ADD COLUMN route_reason INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN route_group_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN upstream_cost INTEGER NOT NULL DEFAULT 0;
CREATE TABLE usage_attempt (
  usage_id INTEGER NOT NULL,
  number INTEGER NOT NULL,
  channel_id INTEGER NOT NULL,
  channel_key_id INTEGER NOT NULL,
  status INTEGER NOT NULL,
  fault INTEGER NOT NULL,
  sent INTEGER NOT NULL,
  lasted_ms INTEGER NOT NULL,
  cost INTEGER NOT NULL CHECK (cost >= 0),
  PRIMARY KEY (usage_id, number)) STRICT, WITHOUT ROWID;
ALTER TABLE provider ADD COLUMN quirks TEXT NOT NULL DEFAULT '';
ALTER TABLE provider ADD COLUMN error_classes TEXT NOT NULL DEFAULT '';
ALTER TABLE channel ADD COLUMN proxy_credentials TEXT NOT NULL DEFAULT '';
ALTER TABLE channel ADD COLUMN proxy_fingerprint TEXT NOT NULL DEFAULT '';
-- One event that was told to people: it stands until it is cleared; delivery 0 waits, 1 done, 2 given up.
CREATE TABLE notice (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind INTEGER NOT NULL,
  subject_id INTEGER NOT NULL,
  period INTEGER NOT NULL,
  at_ns INTEGER NOT NULL,
  body TEXT NOT NULL,
  cleared INTEGER NOT NULL DEFAULT 0,
  delivery INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX notice_subject ON notice(kind, subject_id, id);
CREATE INDEX notice_waiting ON notice(id) WHERE delivery = 0;
UPDATE schema_version SET version = 2;
