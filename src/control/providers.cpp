// Groups, providers and their keys.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "fields.hpp"
#include "sluice/base/assert.hpp"
#include "sluice/control/catalog.hpp"
#include "sluice/control/customers.hpp"
#include "sluice/control/secrets.hpp"
#include "transaction.hpp"

namespace sluice::control {
namespace {

constexpr std::array<std::string_view, 4> kDialects{"openai", "responses", "claude", "gemini"};
constexpr std::array<std::string_view, 6> kAuths{"none",           "bearer",  "x-api-key",
                                                 "x-goog-api-key", "api-key", "query-key"};

template <std::size_t N>
Outcome<> read_one_of(std::string_view field, const std::optional<std::string>& text,
                      const std::array<std::string_view, N>& choices, std::string& out) {
  if (!text) return {};
  if (std::find(choices.begin(), choices.end(), *text) == choices.end()) {
    return problem(Errc::bad_value,
                   fmt::format("{}: must be one of {}", field, fmt::join(choices, ", ")));
  }
  out = *text;
  return {};
}

std::string default_auth(std::string_view dialect) {
  if (dialect == "claude") return "x-api-key";
  return dialect == "gemini" ? "x-goog-api-key" : "bearer";
}

/// Lines as they go on the wire. Anything that could begin a second header is refused.
Outcome<> read_headers(const std::optional<std::vector<std::string>>& lines, std::string& out) {
  if (!lines) return {};
  std::string joined;
  for (const std::string& line : *lines) {
    const std::size_t colon = line.find(": ");
    const bool name = colon != std::string::npos && colon > 0 &&
                      line.substr(0, colon).find_first_not_of(
                          "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                          "0123456789-") == std::string::npos;
    const bool value =
        std::all_of(line.begin(), line.end(), [](char c) { return c >= ' ' && c < 0x7f; });
    if (!name || !value || line.size() > 1000) {
      return problem(
          Errc::bad_value,
          fmt::format("extra-headers: '{}' must be \"Name: value\" in printable ASCII", line));
    }
    joined += line + "\r\n";
  }
  out = std::move(joined);
  return {};
}

/// Sealing the same key twice gives different bytes: the fingerprint tells whether it is the same.
/// It may be of any pepper that is still in force.
bool is_fingerprint(const Service& service, std::string_view secret, std::string_view known) {
  SLUICE_ASSERT(service.hasher != nullptr);
  return to_hex(service.hasher->hash(secret)) == known ||
         std::ranges::any_of(service.older_hashers, [&](const KeyHasher* older) {
           return to_hex(older->hash(secret)) == known;
         });
}

Outcome<> read_quirks(const std::optional<std::vector<std::string>>& names, std::string& out) {
  if (!names) return {};
  for (const std::string& name : *names) {
    std::string known;
    CONTROL_TRY(read_one_of("quirks", name, ledger::kQuirkNames, known));
  }
  out = join_list(*names);
  return {};
}

/// Lines as the catalog has them: the code, a blank, the class.
Outcome<> read_errors(const std::optional<std::vector<std::pair<std::string, std::string>>>& errors,
                      std::string& out) {
  if (!errors) return {};
  std::map<std::string, std::string> classes;
  for (const auto& [code, name] : *errors) {
    std::string known;
    CONTROL_TRY(read_one_of("errors", name, ledger::kErrorClassNames, known));
    const bool word =
        !code.empty() && code.size() <= 60 &&
        std::all_of(code.begin(), code.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (!word) {
      return problem(Errc::bad_value,
                     fmt::format("errors: '{}' must be 1 to 60 printable ASCII characters", code));
    }
    if (!classes.emplace(code, known).second)
      return problem(Errc::bad_value, fmt::format("errors: '{}' has two classes", code));
  }
  out.clear();
  for (const auto& [code, name] : classes) out += code + " " + name + "\n";
  return {};
}

}  // namespace

Outcome<Change> put_group(Service& service, std::string_view name, std::string_view multiplier) {
  CONTROL_TRY(check_name("group", name));
  auto thousandths = parse_thousandths("multiplier", multiplier, 1, 1'000'000);
  if (!thousandths) return std::unexpected(thousandths.error());
  Change change = Change::none;
  const std::string what = fmt::format("group '{}'", name);
  CONTROL_TRY(in_transaction(service, what, [&]() -> Outcome<> {
    auto found = service.ledger.catalog().group(name);
    if (!found && found.error().code != Errc::not_found)
      return std::unexpected(from_ledger(service, found.error(), what));
    ledger::Group group = found ? *found : ledger::Group{0, std::string(name), -1};
    if (group.multiplier == *thousandths) return {};
    change = found ? Change::updated : Change::created;
    group.multiplier = *thousandths;
    if (auto put = service.ledger.catalog().put(group); !put)
      return std::unexpected(from_ledger(service, put.error(), what));
    return note(service, "group set", name, multiplier);
  }));
  return change;
}

Outcome<Change> put_provider(Service& service, std::string_view name,
                             const ProviderSettings& settings) {
  CONTROL_TRY(check_name("provider", name));
  Change change = Change::none;
  const std::string what = fmt::format("provider '{}'", name);
  CONTROL_TRY(in_transaction(service, what, [&]() -> Outcome<> {
    auto found = service.ledger.catalog().provider(name);
    if (!found && found.error().code != Errc::not_found)
      return std::unexpected(from_ledger(service, found.error(), what));
    ledger::Provider provider = found ? *found : ledger::Provider{};
    provider.name = name;
    if (!found && (!settings.dialect || !settings.base_url)) {
      return problem(Errc::bad_value, what + ": needs a dialect and a base-url");
    }
    CONTROL_TRY(read_one_of("dialect", settings.dialect, kDialects, provider.dialect));
    if (!found) provider.auth = default_auth(provider.dialect);
    CONTROL_TRY(read_one_of("auth", settings.auth, kAuths, provider.auth));
    if (settings.base_url) {
      auto url = check_base_url(*settings.base_url, service.allow_private);
      if (!url) return std::unexpected(url.error());
      provider.base_url = std::move(*url);
    }
    CONTROL_TRY(read_headers(settings.extra_headers, provider.extra_headers));
    CONTROL_TRY(read_quirks(settings.quirks, provider.quirks));
    CONTROL_TRY(read_errors(settings.errors, provider.error_classes));
    read_flag(settings.enabled, provider.enabled);
    if (found && provider.dialect == found->dialect && provider.base_url == found->base_url &&
        provider.auth == found->auth && provider.extra_headers == found->extra_headers &&
        provider.quirks == found->quirks && provider.error_classes == found->error_classes &&
        provider.enabled == found->enabled) {
      return {};
    }
    change = found ? Change::updated : Change::created;
    if (auto put = service.ledger.catalog().put(provider); !put)
      return std::unexpected(from_ledger(service, put.error(), what));
    return note(service, found ? "provider set" : "provider add", name, provider.base_url);
  }));
  return change;
}

Outcome<Change> put_provider_key(Service& service, std::string_view provider, std::string_view name,
                                 std::string_view secret, std::optional<bool> enabled) {
  CONTROL_TRY(check_name("provider key", name));
  const bool printable =
      std::all_of(secret.begin(), secret.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!printable || secret.size() > 4096) {
    return problem(Errc::bad_value,
                   "provider key: must be printable ASCII without blanks, at most 4096 characters");
  }
  Change change = Change::none;
  const std::string what = fmt::format("provider key '{}/{}'", provider, name);
  CONTROL_TRY(in_transaction(service, what, [&]() -> Outcome<> {
    auto owner = service.ledger.catalog().provider(provider);
    if (!owner)
      return std::unexpected(
          from_ledger(service, owner.error(), fmt::format("provider '{}'", provider)));
    auto keys = service.ledger.catalog().provider_keys(owner->id);
    if (!keys) return std::unexpected(from_ledger(service, keys.error(), what));
    const auto found =
        std::find_if(keys->begin(), keys->end(), [&](const auto& key) { return key.name == name; });
    ledger::ProviderKey key = found != keys->end() ? *found : ledger::ProviderKey{};
    if (key.id == 0 && secret.empty())
      return problem(Errc::bad_value, what + ": needs the key itself");
    const bool before = key.enabled;
    read_flag(enabled, key.enabled);
    if (!secret.empty() && !is_fingerprint(service, secret, key.fingerprint)) {
      SLUICE_ASSERT(service.sealer != nullptr);
      key.fingerprint = to_hex(service.hasher->hash(secret));
      key.sealed = service.sealer->seal(secret);
      key.last_chars = secret.size() >= 12 ? std::string(secret.substr(secret.size() - 4)) : "****";
    } else if (key.enabled == before) {
      return {};
    }
    key.provider_id = owner->id;
    key.name = name;
    change = key.id == 0 ? Change::created : Change::updated;
    if (auto put = service.ledger.catalog().put(key); !put)
      return std::unexpected(from_ledger(service, put.error(), what));
    return note(service, "provider key", fmt::format("{}/{}", provider, name),
                "ends in " + key.last_chars);
  }));
  return change;
}

}  // namespace sluice::control
