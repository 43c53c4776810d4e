#include "sluice/control/keys.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "fields.hpp"
#include "sluice/base/assert.hpp"
#include "sluice/base/text_units.hpp"
#include "sluice/control/customers.hpp"
#include "sluice/control/secrets.hpp"
#include "transaction.hpp"

namespace sluice::control {
namespace {

constexpr std::size_t kMaxPatterns = 256;
constexpr TimeNs kMostOverlapNs = 90 * 24 * 3600 * kSecond;

std::string subject(std::string_view customer, std::string_view name) {
  return fmt::format("key '{}/{}'", customer, name);
}

Outcome<> read_expiry(Service& service, const std::optional<std::string>& text, TimeNs& out) {
  if (!text) return {};
  if (*text == "never") {
    out = 0;
    return {};
  }
  const auto age = parse_duration(*text);
  const auto date = parse_utc(*text);
  if (age && *age > 0) {
    out = service.clock.realtime_ns() + *age;
  } else if (date) {
    out = *date;
  } else {
    return problem(
        Errc::bad_value,
        "expires: must be a time from now such as 30d, a date such as 2027-01-01, or never");
  }
  return {};
}

template <class Choice>
Outcome<> read_choice(std::string_view field, const std::optional<std::string>& text,
                      std::string_view zero, std::string_view one, Choice& out) {
  if (!text) return {};
  if (*text != zero && *text != one)
    return problem(Errc::bad_value, fmt::format("{}: must be {} or {}", field, zero, one));
  out = static_cast<Choice>(*text == one ? 1 : 0);
  return {};
}

Outcome<> read_credentials(const std::optional<std::string>& text, ledger::Credentials& out) {
  if (!text) return {};
  if (*text == "pass") {
    out = ledger::Credentials::pass;
  } else if (*text == "mask") {
    out = ledger::Credentials::mask;
  } else if (*text == "refuse") {
    out = ledger::Credentials::refuse;
  } else {
    return problem(Errc::bad_value, "credentials: must be pass, mask or refuse");
  }
  return {};
}

/// What of a secret is stored, of the one given or a random one.
Outcome<> take_secret(Service& service, std::string_view given, NewKey& out) {
  SLUICE_ASSERT(service.hasher != nullptr);
  const bool printable =
      std::all_of(given.begin(), given.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!given.empty() && (given.size() < 24 || given.size() > 200 || !printable)) {
    return problem(Errc::bad_value,
                   "secret: must be 24 to 200 printable ASCII characters without blanks");
  }
  out.secret = given.empty() ? make_api_key(service.rng) : std::string(given);
  out.key.digest = to_hex(service.hasher->hash(out.secret));
  out.key.pepper = service.pepper_version;
  out.key.last_chars = out.secret.substr(out.secret.size() - 4);
  return {};
}

Outcome<> apply_caps(const KeySettings& settings, ledger::KeyPolicy& policy) {
  if (settings.drain_time) {
    std::int64_t milliseconds = policy.drain_seconds * 1000;
    CONTROL_TRY(read_timeout_ms("drain-time", settings.drain_time, milliseconds));
    policy.drain_seconds = (milliseconds + 999) / 1000;
  }
  if (settings.drain_bytes) {
    const auto bytes = parse_size(*settings.drain_bytes);
    if (!bytes || *bytes > (1ULL << 32))
      return problem(Errc::bad_value, "drain-bytes: must be a size such as 1MiB, at most 4GiB");
    policy.drain_bytes = static_cast<std::int64_t>(*bytes);
  }
  CONTROL_TRY(read_usd("drain-cost", settings.drain_cost, policy.drain_nanos));
  return read_usd("excess-max", settings.excess_max, policy.excess_max);
}

/// Applies what is set, and gives the catalog the sets and zones that the policy names.
Outcome<> apply_settings(Service& service, const KeySettings& settings, ledger::ApiKey& key) {
  ledger::KeyPolicy& policy = key.policy;
  if (settings.models) {
    auto patterns = parse_model_patterns(*settings.models);
    if (!patterns) return std::unexpected(patterns.error());
    policy.models = std::move(*patterns);
  }
  CONTROL_TRY(read_cidrs("allow", settings.cidr_allow, policy.cidr_allow));
  CONTROL_TRY(read_cidrs("deny", settings.cidr_deny, policy.cidr_deny));
  CONTROL_TRY(read_expiry(service, settings.expires, policy.expires_ns));
  CONTROL_TRY(read_budget("budget-total", settings.budget_total, policy.budget_total));
  CONTROL_TRY(read_budget("budget-day", settings.budget_day, policy.budget_day));
  CONTROL_TRY(read_budget("budget-month", settings.budget_month, policy.budget_month));
  CONTROL_TRY(read_count("requests-per-minute", settings.requests_per_minute, 100'000'000,
                         policy.requests_per_minute));
  CONTROL_TRY(read_count("tokens-per-minute", settings.tokens_per_minute, 1'000'000'000'000,
                         policy.tokens_per_minute));
  CONTROL_TRY(read_count("max-in-flight", settings.max_in_flight, 1'000'000, policy.max_in_flight));
  CONTROL_TRY(read_zone("zone", settings.zone, policy.zone));
  CONTROL_TRY(read_choice("on-disconnect", settings.on_disconnect, "cancel", "drain",
                          policy.on_disconnect));
  CONTROL_TRY(read_choice("on-revoke", settings.on_revoke, "finish", "cut", policy.on_revoke));
  CONTROL_TRY(read_credentials(settings.credentials, policy.credentials));
  CONTROL_TRY(apply_caps(settings, policy));
  read_flag(settings.clamp, policy.clamp);
  read_flag(settings.may_pin, policy.may_pin);
  read_flag(settings.reserve_context, policy.reserve_context);
  read_flag(settings.enabled, key.enabled);
  auto& catalog = service.ledger.catalog();
  auto numbered = catalog.number_of(ledger::TextKind::model_set, policy.models);
  if (numbered) numbered = catalog.number_of(ledger::TextKind::cidr_set, cidr_set_text(policy));
  if (numbered) numbered = catalog.number_of(ledger::TextKind::zone, policy.zone);
  if (!numbered) return std::unexpected(from_ledger(service, numbered.error(), "key policy"));
  return {};
}

/// The ledger refuses a digest that it has. Under another pepper the same key has another one.
Outcome<> check_unknown_before(Service& service, std::string_view secret, std::string_view what) {
  for (const KeyHasher* older : service.older_hashers) {
    const auto found = service.ledger.keys().by_digest(to_hex(older->hash(secret)));
    const Errc code = found ? Errc::conflict : found.error().code;
    if (code != Errc::not_found)
      return std::unexpected(from_ledger(service, fail(code).error(), what));
  }
  return {};
}

bool has_budget(const ledger::KeyPolicy& policy) {
  return policy.budget_total >= 0 || policy.budget_day >= 0 || policy.budget_month >= 0;
}

}  // namespace

std::string cidr_set_text(const ledger::KeyPolicy& policy) {
  if (policy.cidr_allow.empty() && policy.cidr_deny.empty()) return {};
  return policy.cidr_allow + "!" + policy.cidr_deny;
}

Outcome<NewKey> add_key(Service& service, std::string_view customer, std::string_view name,
                        const KeySettings& settings, std::string_view secret) {
  CONTROL_TRY(check_name("key", name));
  NewKey out;
  out.key.name = name;
  CONTROL_TRY(take_secret(service, secret, out));
  CONTROL_TRY(in_transaction(service, subject(customer, name), [&]() -> Outcome<> {
    auto owner = find_customer(service, customer);
    if (!owner) return std::unexpected(owner.error());
    out.key.wallet_id = owner->wallet.id;
    out.key.policy.zone = owner->wallet.zone;
    CONTROL_TRY(check_unknown_before(service, out.secret, subject(customer, name)));
    CONTROL_TRY(apply_settings(service, settings, out.key));
    if (!settings.clamp) out.key.policy.clamp = has_budget(out.key.policy);
    if (auto added = service.ledger.keys().add(out.key); !added) {
      return std::unexpected(from_ledger(service, added.error(), subject(customer, name)));
    }
    return note(service, "key add", fmt::format("{}/{}", customer, name),
                "ends in " + out.key.last_chars);
  }));
  return out;
}

Outcome<NewKey> rotate_key(Service& service, std::string_view customer, std::string_view name,
                           std::string_view overlap, std::string_view secret) {
  const auto overlap_ns = overlap == "0" ? std::optional<TimeNs>(0) : parse_duration(overlap);
  if (!overlap_ns || *overlap_ns > kMostOverlapNs) {
    return problem(Errc::bad_value, "overlap: must be a time such as 24h, at most 90d, or 0");
  }
  NewKey out;
  CONTROL_TRY(take_secret(service, secret, out));
  CONTROL_TRY(in_transaction(service, subject(customer, name), [&]() -> Outcome<> {
    auto found = find_key(service, customer, name);
    if (!found) return std::unexpected(found.error());
    const std::string ended = found->last_chars;
    found->digest = out.key.digest;
    found->last_chars = out.key.last_chars;
    found->pepper = out.key.pepper;
    out.key = std::move(*found);
    const TimeNs until_ns = service.clock.realtime_ns() + *overlap_ns;
    if (auto done = service.ledger.keys().rotate(out.key, until_ns); !done) {
      return std::unexpected(from_ledger(service, done.error(), subject(customer, name)));
    }
    return note(service, "key rotate", fmt::format("{}/{}", customer, name),
                fmt::format("ends in {}; the one that ends in {} until {}", out.key.last_chars,
                            ended, format_utc(until_ns)));
  }));
  return out;
}

Outcome<ledger::ApiKey> set_key(Service& service, std::string_view customer, std::string_view name,
                                const KeySettings& settings, bool& changed) {
  ledger::ApiKey key;
  changed = false;
  CONTROL_TRY(in_transaction(service, subject(customer, name), [&]() -> Outcome<> {
    auto found = find_key(service, customer, name);
    if (!found) return std::unexpected(found.error());
    key = *found;
    CONTROL_TRY(apply_settings(service, settings, key));
    if (key.policy == found->policy && key.enabled == found->enabled) return {};
    changed = true;
    if (auto stored = service.ledger.keys().update(key); !stored) {
      return std::unexpected(from_ledger(service, stored.error(), subject(customer, name)));
    }
    return note(service, "key set", fmt::format("{}/{}", customer, name), "");
  }));
  return key;
}

Outcome<ledger::ApiKey> find_key(Service& service, std::string_view customer,
                                 std::string_view name) {
  auto owner = find_customer(service, customer);
  if (!owner) return std::unexpected(owner.error());
  auto key = service.ledger.keys().by_name(owner->wallet.id, name);
  if (!key) return std::unexpected(from_ledger(service, key.error(), subject(customer, name)));
  return std::move(*key);
}

Outcome<std::vector<ledger::ApiKey>> list_keys(Service& service, std::string_view customer) {
  ledger::Id wallet_id = 0;
  if (!customer.empty()) {
    auto owner = find_customer(service, customer);
    if (!owner) return std::unexpected(owner.error());
    wallet_id = owner->wallet.id;
  }
  auto keys = service.ledger.keys().list(wallet_id);
  if (!keys) return std::unexpected(from_ledger(service, keys.error(), "keys"));
  return std::move(*keys);
}

Outcome<std::string> parse_model_patterns(std::string_view text) {
  std::vector<std::string> parts = split_list(text);
  if (parts.empty())
    return problem(Errc::bad_value,
                   "models: must name at least one model or pattern such as gpt-*");
  if (parts.size() > kMaxPatterns)
    return problem(Errc::bad_value, fmt::format("models: more than {} patterns", kMaxPatterns));
  for (const std::string& part : parts) {
    std::string plain = part;
    std::erase(plain, '*');
    if (!check_name("model", 'x' + plain)) {
      return problem(Errc::bad_value,
                     fmt::format("models: '{}' is no model name or pattern", part));
    }
    if (part == "*") return std::string("*");
  }
  std::sort(parts.begin(), parts.end());
  parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
  return join_list(parts);
}

bool zone_exists(std::string_view zone) {
  if (zone == "UTC") return true;
  if (zone.empty() || zone.size() > 64 || zone.front() == '/' ||
      zone.find("..") != std::string_view::npos)
    return false;
  for (const char c : zone) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!plain && c != '/' && c != '_' && c != '-' && c != '+') return false;
  }
  struct stat info{};
  const std::string path = "/usr/share/zoneinfo/" + std::string(zone);
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

}  // namespace sluice::control
