#include "schema.hpp"

#include <iterator>
#include <string_view>

#include "db.hpp"

namespace sluice::ledger {
namespace {

// STRICT makes an integer overflow an error instead of a floating point number. No column is ever
// NULL.
constexpr std::string_view kVersion1 = R"(
CREATE TABLE price_group (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  multiplier INTEGER NOT NULL CHECK (multiplier > 0)) STRICT;
INSERT INTO price_group (id, name, multiplier) VALUES (1, 'default', 1000);
CREATE TABLE customer (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  group_id INTEGER NOT NULL REFERENCES price_group(id),
  note TEXT NOT NULL,
  enabled INTEGER NOT NULL,
  created_ns INTEGER NOT NULL) STRICT;
CREATE TABLE wallet (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  customer_id INTEGER NOT NULL UNIQUE REFERENCES customer(id),
  overdraft_limit INTEGER NOT NULL CHECK (overdraft_limit >= 0),
  budget_day INTEGER NOT NULL,
  budget_month INTEGER NOT NULL,
  max_in_flight INTEGER NOT NULL,
  requests_per_minute INTEGER NOT NULL,
  tokens_per_minute INTEGER NOT NULL,
  zone TEXT NOT NULL,
  last_no INTEGER NOT NULL DEFAULT 0,
  generation INTEGER NOT NULL) STRICT;
CREATE INDEX wallet_generation ON wallet(generation);
CREATE TABLE api_key (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  wallet_id INTEGER NOT NULL REFERENCES wallet(id),
  name TEXT NOT NULL,
  digest TEXT NOT NULL UNIQUE CHECK (length(digest) = 64),
  last_chars TEXT NOT NULL,
  enabled INTEGER NOT NULL,
  models TEXT NOT NULL,
  cidr_allow TEXT NOT NULL,
  cidr_deny TEXT NOT NULL,
  expires_ns INTEGER NOT NULL,
  budget_total INTEGER NOT NULL,
  budget_day INTEGER NOT NULL,
  budget_month INTEGER NOT NULL,
  requests_per_minute INTEGER NOT NULL,
  tokens_per_minute INTEGER NOT NULL,
  max_in_flight INTEGER NOT NULL,
  zone TEXT NOT NULL,
  on_disconnect INTEGER NOT NULL,
  on_revoke INTEGER NOT NULL,
  drain_seconds INTEGER NOT NULL,
  drain_bytes INTEGER NOT NULL,
  drain_nanos INTEGER NOT NULL,
  excess_max INTEGER NOT NULL,
  clamp INTEGER NOT NULL,
  may_pin INTEGER NOT NULL,
  reserve_context INTEGER NOT NULL,
  created_ns INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  UNIQUE (wallet_id, name)) STRICT;
CREATE INDEX api_key_generation ON api_key(generation);
CREATE TABLE provider (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  dialect TEXT NOT NULL,
  base_url TEXT NOT NULL,
  auth TEXT NOT NULL,
  extra_headers TEXT NOT NULL,
  enabled INTEGER NOT NULL) STRICT;
CREATE TABLE provider_key (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  provider_id INTEGER NOT NULL REFERENCES provider(id),
  name TEXT NOT NULL,
  sealed TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  last_chars TEXT NOT NULL,
  enabled INTEGER NOT NULL,
  UNIQUE (provider_id, name)) STRICT;
CREATE TABLE channel (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  provider_id INTEGER NOT NULL REFERENCES provider(id),
  priority INTEGER NOT NULL,
  weight INTEGER NOT NULL CHECK (weight > 0),
  multiplier INTEGER NOT NULL CHECK (multiplier >= 0),
  proxy TEXT NOT NULL,
  connect_timeout_ms INTEGER NOT NULL,
  first_byte_timeout_ms INTEGER NOT NULL,
  total_timeout_ms INTEGER NOT NULL,
  enabled INTEGER NOT NULL) STRICT;
CREATE TABLE model (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  aliases TEXT NOT NULL,
  owner TEXT NOT NULL,
  formats TEXT NOT NULL,
  context_tokens INTEGER NOT NULL CHECK (context_tokens >= 0),
  max_output_tokens INTEGER NOT NULL CHECK (max_output_tokens >= 0),
  first_byte_timeout_ms INTEGER NOT NULL,
  between_tokens_timeout_ms INTEGER NOT NULL,
  input_margin INTEGER NOT NULL CHECK (input_margin >= 1000),
  hidden_output INTEGER NOT NULL,
  hidden_tokens_per_s INTEGER NOT NULL,
  retry_after_send INTEGER NOT NULL,
  listed INTEGER NOT NULL,
  enabled INTEGER NOT NULL,
  created_ns INTEGER NOT NULL) STRICT;
CREATE TABLE route (
  model_id INTEGER NOT NULL REFERENCES model(id),
  channel_id INTEGER NOT NULL REFERENCES channel(id),
  position INTEGER NOT NULL,
  upstream_model TEXT NOT NULL,
  priority INTEGER NOT NULL,
  weight INTEGER NOT NULL,
  max_output_tokens INTEGER NOT NULL,
  PRIMARY KEY (model_id, channel_id)) STRICT;
-- Rates are nanos per million tokens, fees nanos a call (-1 = none); bands, windows, holidays and tiers are lists
-- of numbers in the order of the fields of a price row.
CREATE TABLE price (
  version INTEGER PRIMARY KEY AUTOINCREMENT,
  model_id INTEGER NOT NULL REFERENCES model(id),
  effective_ns INTEGER NOT NULL,
  input INTEGER NOT NULL CHECK (input >= 0),
  cache_read INTEGER NOT NULL CHECK (cache_read >= 0),
  cache_write_short INTEGER NOT NULL CHECK (cache_write_short >= 0),
  cache_write_long INTEGER NOT NULL CHECK (cache_write_long >= 0),
  output INTEGER NOT NULL CHECK (output >= 0),
  fees TEXT NOT NULL,
  bands TEXT NOT NULL,
  windows TEXT NOT NULL,
  holidays TEXT NOT NULL,
  tiers TEXT NOT NULL,
  free INTEGER NOT NULL) STRICT;
CREATE INDEX price_model ON price(model_id, effective_ns);
CREATE TABLE numbered_text (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind INTEGER NOT NULL,
  text TEXT NOT NULL,
  UNIQUE (kind, text)) STRICT;
CREATE TRIGGER price_stays BEFORE UPDATE ON price BEGIN SELECT RAISE(ABORT, 'prices are never changed'); END;
CREATE TRIGGER price_kept BEFORE DELETE ON price BEGIN SELECT RAISE(ABORT, 'prices are never removed'); END;
CREATE TABLE generation (
  topic INTEGER PRIMARY KEY,
  value INTEGER NOT NULL) STRICT;
INSERT INTO generation (topic, value) VALUES (0, 0), (1, 0), (2, 0), (3, 0);
CREATE TABLE publication (
  node INTEGER PRIMARY KEY,
  generation INTEGER NOT NULL) STRICT;
CREATE TABLE account (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  debits INTEGER NOT NULL DEFAULT 0 CHECK (debits >= 0),
  credits INTEGER NOT NULL DEFAULT 0 CHECK (credits >= 0)) STRICT;
INSERT INTO account (id, name) VALUES (1, 'revenue'), (2, 'funding.credit'), (3, 'loss.excess'), (4, 'funding.promo');
CREATE TABLE entry (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ns INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  debit_account INTEGER NOT NULL REFERENCES account(id),
  credit_account INTEGER NOT NULL REFERENCES account(id),
  amount INTEGER NOT NULL CHECK (amount > 0),
  wallet_id INTEGER NOT NULL,
  price_version INTEGER NOT NULL,
  batch INTEGER NOT NULL,
  wallet_no INTEGER NOT NULL,
  note TEXT NOT NULL,
  CHECK (debit_account <> credit_account)) STRICT;
CREATE INDEX entry_wallet ON entry(wallet_id, id);
CREATE TRIGGER entry_stays BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END;
CREATE TRIGGER entry_kept BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'entries are never removed'); END;
CREATE TABLE publish_queue (
  wallet_id INTEGER NOT NULL REFERENCES wallet(id),
  wallet_no INTEGER NOT NULL,
  amount INTEGER NOT NULL,
  PRIMARY KEY (wallet_id, wallet_no)) STRICT, WITHOUT ROWID;
CREATE TABLE node_epoch (
  node INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  uuid TEXT NOT NULL,
  opened_ns INTEGER NOT NULL,
  closed_ns INTEGER NOT NULL,
  batch INTEGER NOT NULL,
  clean INTEGER NOT NULL,
  PRIMARY KEY (node, epoch)) STRICT;
CREATE TABLE epoch_base (
  node INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  wallet_id INTEGER NOT NULL,
  base INTEGER NOT NULL,
  wallet_no INTEGER NOT NULL,
  PRIMARY KEY (node, epoch, wallet_id)) STRICT, WITHOUT ROWID;
CREATE TABLE cursor (
  node INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  slot INTEGER NOT NULL,
  seq INTEGER NOT NULL CHECK (seq > 0),
  PRIMARY KEY (node, epoch, slot)) STRICT, WITHOUT ROWID;
CREATE TABLE drain_batch (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  node INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  at_ns INTEGER NOT NULL,
  row_count INTEGER NOT NULL,
  removed INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX drain_batch_age ON drain_batch(removed, at_ns);
CREATE TABLE gap (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  node INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  slot INTEGER NOT NULL,
  from_seq INTEGER NOT NULL,
  until_seq INTEGER NOT NULL,
  reason TEXT NOT NULL,
  at_ns INTEGER NOT NULL) STRICT;
-- id = batch * 1000 + place in the batch.
CREATE TABLE usage (
  id INTEGER PRIMARY KEY,
  node INTEGER NOT NULL, epoch INTEGER NOT NULL, slot INTEGER NOT NULL, seq INTEGER NOT NULL,
  hold_seq INTEGER NOT NULL, kind INTEGER NOT NULL, end_kind INTEGER NOT NULL, phase INTEGER NOT NULL,
  status INTEGER NOT NULL, error INTEGER NOT NULL, flags INTEGER NOT NULL,
  format_in INTEGER NOT NULL, format_out INTEGER NOT NULL, stream INTEGER NOT NULL,
  wallet_id INTEGER NOT NULL, key_id INTEGER NOT NULL, model_id INTEGER NOT NULL, channel_id INTEGER NOT NULL,
  channel_key_id INTEGER NOT NULL, price_version INTEGER NOT NULL, multiplier INTEGER NOT NULL,
  attempts INTEGER NOT NULL, client_retry INTEGER NOT NULL,
  input INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write_short INTEGER NOT NULL,
  cache_write_long INTEGER NOT NULL, output INTEGER NOT NULL, reasoning INTEGER NOT NULL,
  input_estimate INTEGER NOT NULL, counted_output INTEGER NOT NULL,
  held INTEGER NOT NULL CHECK (held >= 0), charged INTEGER NOT NULL CHECK (charged >= 0),
  excess INTEGER NOT NULL CHECK (excess >= 0), loss INTEGER NOT NULL CHECK (loss >= 0),
  started_ns INTEGER NOT NULL, queue_ns INTEGER NOT NULL, connect_ns INTEGER NOT NULL,
  first_byte_ns INTEGER NOT NULL, first_token_ns INTEGER NOT NULL, total_ns INTEGER NOT NULL,
  own_ns INTEGER NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
  key_day INTEGER NOT NULL, key_month INTEGER NOT NULL, wallet_day INTEGER NOT NULL, wallet_month INTEGER NOT NULL,
  calls TEXT NOT NULL, request_id TEXT NOT NULL, client_address TEXT NOT NULL, tags TEXT NOT NULL,
  UNIQUE (node, epoch, slot, seq)) STRICT;
CREATE TABLE usage_day (
  day INTEGER NOT NULL,
  key_id INTEGER NOT NULL,
  model_id INTEGER NOT NULL,
  channel_id INTEGER NOT NULL,
  wallet_id INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  input INTEGER NOT NULL,
  output INTEGER NOT NULL,
  charged INTEGER NOT NULL,
  PRIMARY KEY (day, key_id, model_id, channel_id)) STRICT, WITHOUT ROWID;
CREATE TABLE window_sum (
  owner_kind INTEGER NOT NULL,
  owner_id INTEGER NOT NULL,
  day INTEGER NOT NULL,
  month INTEGER NOT NULL,
  spent INTEGER NOT NULL,
  PRIMARY KEY (owner_kind, owner_id, day, month)) STRICT, WITHOUT ROWID;
CREATE TABLE audit_log (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ns INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL) STRICT;
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit_log BEGIN SELECT RAISE(ABORT, 'the audit log is never changed'); END;
CREATE TRIGGER audit_kept BEFORE DELETE ON audit_log BEGIN SELECT RAISE(ABORT, 'the audit log is never changed'); END;
CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT;
INSERT INTO schema_version (version) VALUES (0);
)";

// limit_change: each change of an overdraft limit. The auditor's bound on a balance is the highest
// limit that was ever in force in the epoch, and the wallet knows only today's.
// former_secret: what keys that were rotated had before, for as long as it is good.
// usage_attempt: attempts that failed, by the row of the request; the last one too if it failed.
constexpr std::string_view kVersion2 = R"(
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
)";

// provider_offer: when a provider was last asked for its list of models, and whether all of it is
// in offered_model; since_ns of a name is when it was seen first without a list in between that
// lacked it.
constexpr std::string_view kVersion3 = R"(
CREATE TABLE provider_offer (
  provider_id INTEGER PRIMARY KEY REFERENCES provider(id),
  at_ns INTEGER NOT NULL,
  complete INTEGER NOT NULL) STRICT;
CREATE TABLE offered_model (
  provider_id INTEGER NOT NULL REFERENCES provider(id),
  name TEXT NOT NULL,
  since_ns INTEGER NOT NULL,
  PRIMARY KEY (provider_id, name)) STRICT, WITHOUT ROWID;
)";

// What a day cost the operator, failed attempts included, each at the channel that it was made at.
constexpr std::string_view kVersion4 = R"(
ALTER TABLE usage_day ADD COLUMN upstream_cost INTEGER NOT NULL DEFAULT 0;
UPDATE usage_day SET upstream_cost = s.cost FROM (
  SELECT started_ns / 86400000000000 AS day, key_id, model_id, channel_id, SUM(upstream_cost) AS cost
  FROM usage GROUP BY 1, 2, 3, 4) s
WHERE s.day = usage_day.day AND s.key_id = usage_day.key_id AND s.model_id = usage_day.model_id
  AND s.channel_id = usage_day.channel_id;
INSERT INTO usage_day (day, key_id, model_id, channel_id, wallet_id, requests, input, output, charged, upstream_cost)
SELECT u.started_ns / 86400000000000, u.key_id, u.model_id, a.channel_id, u.wallet_id, 0, 0, 0, 0, SUM(a.cost)
FROM usage_attempt a JOIN usage u ON u.id = a.usage_id WHERE a.cost > 0 GROUP BY 1, 2, 3, 4
ON CONFLICT (day, key_id, model_id, channel_id) DO UPDATE SET upstream_cost = upstream_cost + excluded.upstream_cost;
)";

/// From version i to i + 1.
constexpr std::string_view kSteps[] = {kVersion1, kVersion2, kVersion3, kVersion4};
static_assert(std::size(kSteps) == static_cast<std::size_t>(kSchemaVersion));

/// 0 when there are no tables yet.
Result<std::int64_t> version_of(Db& db) {
  auto tables = db.integer("SELECT COUNT(*) FROM sqlite_master WHERE name = 'schema_version'");
  if (!tables || *tables == 0) return tables;
  return db.integer("SELECT version FROM schema_version");
}

Result<> set_version(Db& db) {
  const auto changed = db.run("UPDATE schema_version SET version = :v", {kSchemaVersion});
  if (!changed) return std::unexpected(changed.error());
  return {};
}

}  // namespace

Result<> check_schema(Db& db) {
  auto version = version_of(db);
  if (!version) return std::unexpected(version.error());
  if (*version != kSchemaVersion) return fail(Errc::unsupported);
  return {};
}

Result<> migrate(Db& db) {
  // Asked before the write lock is taken, so that a program that only starts does not wait for a
  // writer.
  auto version = version_of(db);
  if (!version) return std::unexpected(version.error());
  if (*version > kSchemaVersion) return fail(Errc::unsupported);
  if (*version == kSchemaVersion) return {};
  if (auto begun = db.begin(true); !begun) return begun;
  version = version_of(db);  // another program may have been faster
  Result<> done;
  if (!version) done = std::unexpected(version.error());
  for (std::int64_t step = version ? *version : kSchemaVersion; done && step < kSchemaVersion;
       ++step)
    done = db.script(kSteps[step]);
  if (done) done = set_version(db);
  if (!done) {
    db.rollback();
    return done;
  }
  return db.commit();
}

}  // namespace sluice::ledger
