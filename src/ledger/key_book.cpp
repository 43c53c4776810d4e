#include "sluice/ledger/key_book.hpp"

#include <algorithm>

#include "sluice/ledger/catalog_book.hpp"
#include "scope.hpp"

namespace sluice::ledger {
namespace {

#define KEY_COLUMNS                                                                          \
  "SELECT id, wallet_id, name, digest, last_chars, enabled, models, cidr_allow, cidr_deny, " \
  "expires_ns, "                                                                             \
  "budget_total, budget_day, budget_month, requests_per_minute, tokens_per_minute, "         \
  "max_in_flight, zone, "                                                                    \
  "on_disconnect, on_revoke, drain_seconds, drain_bytes, drain_nanos, excess_max, clamp, "   \
  "may_pin, "                                                                                \
  "reserve_context, created_ns, generation, credentials, pepper FROM api_key "
constexpr const char* kKeyTypes = "iitttitttiiiiiiitiiiiiiiiiiiii";

ApiKey to_key(const Row& row) {
  ApiKey out;
  out.id = row.integer(0);
  out.wallet_id = row.integer(1);
  out.name = row.text(2);
  out.digest = row.text(3);
  out.last_chars = row.text(4);
  out.enabled = row.integer(5) != 0;
  KeyPolicy& policy = out.policy;
  policy.models = row.text(6);
  policy.cidr_allow = row.text(7);
  policy.cidr_deny = row.text(8);
  policy.expires_ns = row.integer(9);
  policy.budget_total = row.integer(10);
  policy.budget_day = row.integer(11);
  policy.budget_month = row.integer(12);
  policy.requests_per_minute = row.integer(13);
  policy.tokens_per_minute = row.integer(14);
  policy.max_in_flight = row.integer(15);
  policy.zone = row.text(16);
  policy.on_disconnect = row.integer(17) == 1 ? OnDisconnect::drain : OnDisconnect::cancel;
  policy.on_revoke = row.integer(18) == 1 ? OnRevoke::cut : OnRevoke::finish;
  policy.drain_seconds = row.integer(19);
  policy.drain_bytes = row.integer(20);
  policy.drain_nanos = row.integer(21);
  policy.excess_max = row.integer(22);
  policy.clamp = row.integer(23) != 0;
  policy.may_pin = row.integer(24) != 0;
  policy.reserve_context = row.integer(25) != 0;
  out.created_ns = row.integer(26);
  out.generation = row.integer(27);
  policy.credentials = static_cast<Credentials>(std::clamp<std::int64_t>(row.integer(28), 0, 2));
  out.pepper = row.integer(29);
  return out;
}

#define FORMER_COLUMNS "SELECT digest, key_id, last_chars, expires_ns FROM former_secret "
constexpr const char* kFormerTypes = "titi";

FormerSecret to_former(const Row& row) {
  return {row.text(0), row.integer(1), row.text(2), row.integer(3)};
}

std::int64_t number(bool value) { return value ? 1 : 0; }
std::int64_t number(OnDisconnect value) { return static_cast<std::int64_t>(value); }
std::int64_t number(OnRevoke value) { return static_cast<std::int64_t>(value); }
std::int64_t number(Credentials value) { return static_cast<std::int64_t>(value); }

}  // namespace

Result<> KeyBook::add(ApiKey& key) {
  return in_write(db_, [&]() -> Result<> {
    auto generation = next_generation(db_, static_cast<std::int64_t>(Topic::keys));
    if (!generation) return std::unexpected(generation.error());
    key.generation = *generation;
    key.created_ns = clock_.realtime_ns();
    auto former = db_.integer("SELECT COUNT(*) FROM former_secret WHERE digest = :d", {key.digest});
    if (!former) return std::unexpected(former.error());
    if (*former != 0) return fail(Errc::conflict);
    const KeyPolicy& p = key.policy;
    auto id = db_.integer(
        "INSERT INTO api_key (wallet_id, name, digest, last_chars, enabled, models, cidr_allow, "
        "cidr_deny, "
        "expires_ns, budget_total, budget_day, budget_month, requests_per_minute, "
        "tokens_per_minute, "
        "max_in_flight, zone, on_disconnect, on_revoke, drain_seconds, drain_bytes, drain_nanos, "
        "excess_max, "
        "clamp, may_pin, reserve_context, created_ns, generation, credentials, pepper) VALUES (:a, "
        ":b, :c, :d, :e, :f, :g, :h, :i, :j, :k, :l, :m, :n, :o, :p, :q, :r, :s, :t, :u, :v, :w, "
        ":x, :y, :z, :zz, :zy, :zx) RETURNING id",
        {key.wallet_id,
         key.name,
         key.digest,
         key.last_chars,
         number(key.enabled),
         p.models,
         p.cidr_allow,
         p.cidr_deny,
         p.expires_ns,
         p.budget_total,
         p.budget_day,
         p.budget_month,
         p.requests_per_minute,
         p.tokens_per_minute,
         p.max_in_flight,
         p.zone,
         number(p.on_disconnect),
         number(p.on_revoke),
         p.drain_seconds,
         p.drain_bytes,
         p.drain_nanos,
         p.excess_max,
         number(p.clamp),
         number(p.may_pin),
         number(p.reserve_context),
         key.created_ns,
         key.generation,
         number(p.credentials),
         key.pepper});
    if (!id) return std::unexpected(id.error());
    key.id = *id;
    return {};
  });
}

Result<> KeyBook::update(ApiKey& key) {
  return in_write(db_, [&]() -> Result<> {
    auto generation = next_generation(db_, static_cast<std::int64_t>(Topic::keys));
    if (!generation) return std::unexpected(generation.error());
    key.generation = *generation;
    const KeyPolicy& p = key.policy;
    auto changed = db_.run(
        "UPDATE api_key SET enabled = :e, models = :f, cidr_allow = :g, cidr_deny = :h, expires_ns "
        "= :i, "
        "budget_total = :j, budget_day = :k, budget_month = :l, requests_per_minute = :m, "
        "tokens_per_minute = :n, "
        "max_in_flight = :o, zone = :p, on_disconnect = :q, on_revoke = :r, drain_seconds = :s, "
        "drain_bytes = :t, "
        "drain_nanos = :u, excess_max = :v, clamp = :w, may_pin = :x, reserve_context = :y, "
        "generation = :z, credentials = :zy "
        "WHERE id = :zz",
        {number(key.enabled),
         p.models,
         p.cidr_allow,
         p.cidr_deny,
         p.expires_ns,
         p.budget_total,
         p.budget_day,
         p.budget_month,
         p.requests_per_minute,
         p.tokens_per_minute,
         p.max_in_flight,
         p.zone,
         number(p.on_disconnect),
         number(p.on_revoke),
         p.drain_seconds,
         p.drain_bytes,
         p.drain_nanos,
         p.excess_max,
         number(p.clamp),
         number(p.may_pin),
         number(p.reserve_context),
         key.generation,
         number(p.credentials),
         key.id});
    if (!changed) return std::unexpected(changed.error());
    if (*changed == 0) return fail(Errc::not_found);
    return {};
  });
}

Result<> KeyBook::rotate(ApiKey& key, TimeNs former_until_ns) {
  return in_write(db_, [&]() -> Result<> {
    auto former = db_.integer("SELECT COUNT(*) FROM former_secret WHERE digest = :d", {key.digest});
    if (!former) return std::unexpected(former.error());
    if (*former != 0) return fail(Errc::conflict);
    auto generation = next_generation(db_, static_cast<std::int64_t>(Topic::keys));
    if (!generation) return std::unexpected(generation.error());
    LEDGER_TRY(
        db_.run("UPDATE former_secret SET expires_ns = MIN(expires_ns, :e) WHERE key_id = :k",
                {former_until_ns, key.id}));
    auto kept = db_.run(
        "INSERT INTO former_secret (digest, key_id, pepper, last_chars, expires_ns) "
        "SELECT digest, id, pepper, last_chars, :e FROM api_key WHERE id = :k",
        {former_until_ns, key.id});
    if (!kept) return std::unexpected(kept.error());
    if (*kept == 0) return fail(Errc::not_found);
    LEDGER_TRY(
        db_.run("UPDATE api_key SET digest = :d, last_chars = :c, generation = :g, pepper = :p "
                "WHERE id = :k",
                {key.digest, key.last_chars, *generation, key.pepper, key.id}));
    key.generation = *generation;
    return {};
  });
}

Result<std::vector<FormerSecret>> KeyBook::former_of(Id key_id) {
  if (key_id == 0) {
    return collect<FormerSecret>(db_, FORMER_COLUMNS "ORDER BY key_id, expires_ns", kFormerTypes,
                                 {}, to_former);
  }
  return collect<FormerSecret>(db_, FORMER_COLUMNS "WHERE key_id = :k ORDER BY expires_ns",
                               kFormerTypes, {key_id}, to_former);
}

Result<std::vector<FormerSecret>> KeyBook::former_expired(TimeNs now_ns, std::int64_t limit) {
  return collect<FormerSecret>(db_,
                               FORMER_COLUMNS "WHERE expires_ns <= :n ORDER BY expires_ns LIMIT :l",
                               kFormerTypes, {now_ns, limit}, to_former);
}

Result<> KeyBook::forget_former(const std::vector<FormerSecret>& secrets) {
  return in_write(db_, [&]() -> Result<> {
    for (const FormerSecret& secret : secrets) {
      LEDGER_TRY(db_.run("DELETE FROM former_secret WHERE digest = :d", {secret.digest}));
    }
    return {};
  });
}

Result<ApiKey> KeyBook::by_name(Id wallet_id, std::string_view name) {
  return only<ApiKey>(db_, KEY_COLUMNS "WHERE wallet_id = :w AND name = :n", kKeyTypes,
                      {wallet_id, name}, to_key);
}

Result<ApiKey> KeyBook::by_id(Id id) {
  return only<ApiKey>(db_, KEY_COLUMNS "WHERE id = :i", kKeyTypes, {id}, to_key);
}

Result<ApiKey> KeyBook::by_digest(std::string_view digest) {
  return only<ApiKey>(db_, KEY_COLUMNS "WHERE digest = :d", kKeyTypes, {digest}, to_key);
}

Result<std::vector<ApiKey>> KeyBook::list(Id wallet_id) {
  if (wallet_id == 0)
    return collect<ApiKey>(db_, KEY_COLUMNS "ORDER BY wallet_id, name", kKeyTypes, {}, to_key);
  return collect<ApiKey>(db_, KEY_COLUMNS "WHERE wallet_id = :w ORDER BY name", kKeyTypes,
                         {wallet_id}, to_key);
}

Result<std::vector<ApiKey>> KeyBook::changed_after(std::int64_t generation) {
  return collect<ApiKey>(db_, KEY_COLUMNS "WHERE generation > :g ORDER BY id", kKeyTypes,
                         {generation}, to_key);
}

Result<std::int64_t> KeyBook::count() { return db_.integer("SELECT COUNT(*) FROM api_key"); }

Result<std::int64_t> KeyBook::live_with_pepper(std::int64_t version) {
  return db_.integer(
      "SELECT COUNT(*) FROM api_key k WHERE enabled = 1 AND (expires_ns = 0 OR expires_ns > :n) "
      "AND (pepper = :p OR EXISTS (SELECT 1 FROM former_secret f WHERE f.key_id = k.id AND "
      "f.pepper = :q AND f.expires_ns > :m))",
      {clock_.realtime_ns(), version, version, clock_.realtime_ns()});
}

}  // namespace sluice::ledger
