#include "apply_readers.hpp"

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "sluice/ledger/records.hpp"

namespace sluice::control {
namespace {

void text(TomlTable& table, std::string_view key, std::optional<std::string>& out) {
  std::string value;
  if (table.text(key, value)) out = std::move(value);
}

/// Numbers may be written bare: budget_day = 5, max_in_flight = 10.
void decimal(TomlTable& table, std::string_view key, std::optional<std::string>& out) {
  std::string value;
  if (table.decimal_text(key, value)) out = std::move(value);
}

void flag(TomlTable& table, std::string_view key, std::optional<bool>& out) {
  bool value = false;
  if (table.boolean(key, value)) out = value;
}

void number(TomlTable& table, std::string_view key, std::optional<std::int64_t>& out) {
  std::int64_t value = 0;
  if (table.integer(key, value, 0, 1'000'000'000'000)) out = value;
}

void texts(TomlTable& table, std::string_view key, std::optional<std::vector<std::string>>& out) {
  std::vector<std::string> values;
  if (table.texts(key, values)) out = std::move(values);
}

/// A list of strings as one comma-separated text, or the text itself.
void list(TomlTable& table, std::string_view key, std::optional<std::string>& out) {
  std::vector<std::string> values;
  if (!table.texts(key, values)) return;
  std::string joined;
  for (const std::string& value : values) joined += (joined.empty() ? "" : ",") + value;
  out = std::move(joined);
}

void pairs(TomlTable table, std::vector<std::pair<std::string, std::string>>& out) {
  for (const std::string& key : table.keys()) {
    std::string value;
    if (table.decimal_text(key, value)) out.emplace_back(key, value);
  }
}

RateSettings read_rates(TomlTable& table) {
  RateSettings out;
  table.decimal_text("input", out.input);
  table.decimal_text("output", out.output);
  decimal(table, "cache_read", out.cache_read);
  decimal(table, "cache_write_short", out.cache_write_short);
  decimal(table, "cache_write_long", out.cache_write_long);
  return out;
}

void read_routes(TomlTable& table, std::optional<std::vector<RouteSettings>>& out) {
  std::vector<std::string> names;
  std::vector<RouteSettings> routes;
  const bool plain = table.texts("routes", names);
  for (const std::string& name : names) routes.push_back({name, {}, -1, -1, 0});
  for (TomlTable& item : table.tables("route")) {
    RouteSettings route;
    item.text("channel", route.channel);
    item.text("upstream_model", route.upstream_model);
    item.integer("priority", route.priority, 0, 1000);
    item.integer("weight", route.weight, 1, 1000);
    item.integer("max_output_tokens", route.max_output_tokens, 0, 1'000'000'000);
    item.finish();
    routes.push_back(std::move(route));
  }
  if (plain || !routes.empty()) out = std::move(routes);
}

/// Codes by class: rate = ["1302", "1303"].
std::vector<std::pair<std::string, std::string>> read_errors(TomlTable table) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const std::string_view name : ledger::kErrorClassNames) {
    std::vector<std::string> codes;
    if (!table.texts(name, codes)) continue;
    for (std::string& code : codes) out.emplace_back(std::move(code), std::string(name));
  }
  table.finish();
  return out;
}

}  // namespace

ProviderSettings read_provider(TomlTable& table) {
  ProviderSettings out;
  text(table, "dialect", out.dialect);
  text(table, "base_url", out.base_url);
  text(table, "auth", out.auth);
  texts(table, "extra_headers", out.extra_headers);
  texts(table, "quirks", out.quirks);
  if (table.has("errors")) out.errors = read_errors(table.table("errors"));
  flag(table, "enabled", out.enabled);
  return out;
}

ChannelSettings read_channel(TomlTable& table) {
  ChannelSettings out;
  text(table, "provider", out.provider);
  number(table, "priority", out.priority);
  number(table, "weight", out.weight);
  decimal(table, "multiplier", out.multiplier);
  text(table, "proxy", out.proxy);
  // Not set: what is stored stays, so that a file may be applied again without its variables.
  SecretSource credentials = read_secret(table, "proxy_credentials");
  if (!credentials.secret.empty()) out.proxy_credentials = std::move(credentials.secret);
  text(table, "connect_timeout", out.connect_timeout);
  text(table, "first_byte_timeout", out.first_byte_timeout);
  text(table, "total_timeout", out.total_timeout);
  flag(table, "enabled", out.enabled);
  return out;
}

ModelSettings read_model(TomlTable& table) {
  ModelSettings out;
  texts(table, "aliases", out.aliases);
  text(table, "owner", out.owner);
  texts(table, "formats", out.formats);
  number(table, "context_tokens", out.context_tokens);
  number(table, "max_output_tokens", out.max_output_tokens);
  decimal(table, "input_margin", out.input_margin);
  flag(table, "hidden_output", out.hidden_output);
  number(table, "hidden_tokens_per_s", out.hidden_tokens_per_s);
  text(table, "first_byte_timeout", out.first_byte_timeout);
  text(table, "between_tokens_timeout", out.between_tokens_timeout);
  text(table, "first_token_timeout", out.first_token_timeout);
  text(table, "total_timeout", out.total_timeout);
  flag(table, "retry_after_send", out.retry_after_send);
  flag(table, "listed", out.listed);
  flag(table, "enabled", out.enabled);
  read_routes(table, out.routes);
  return out;
}

RouteGroupSettings read_route_group(TomlTable& table) {
  RouteGroupSettings out;
  texts(table, "models", out.models);
  flag(table, "listed", out.listed);
  flag(table, "enabled", out.enabled);
  return out;
}

PriceSettings read_price(TomlTable& table) {
  PriceSettings out;
  table.boolean("free", out.free);
  out.rates = read_rates(table);
  for (TomlTable& item : table.tables("band")) {
    BandSettings band;
    item.integer("above_prompt_tokens", band.above_prompt_tokens, 1, 1'000'000'000);
    band.rates = read_rates(item);
    item.finish();
    out.bands.push_back(std::move(band));
  }
  for (TomlTable& item : table.tables("window")) {
    WindowSettings window;
    item.decimal_text("multiplier", window.multiplier);
    item.text("start", window.start);
    item.text("end", window.end);
    item.text("weekdays", window.weekdays);
    item.finish();
    out.windows.push_back(std::move(window));
  }
  table.texts("holidays", out.holidays);
  pairs(table.table("tiers"), out.tiers);
  pairs(table.table("fees"), out.fees);
  text(table, "effective", out.effective);
  return out;
}

CustomerSettings read_customer(TomlTable& table) {
  CustomerSettings out;
  text(table, "group", out.group);
  text(table, "note", out.note);
  text(table, "zone", out.zone);
  decimal(table, "overdraft", out.overdraft);
  decimal(table, "budget_total", out.budget_total);
  decimal(table, "budget_day", out.budget_day);
  decimal(table, "budget_month", out.budget_month);
  decimal(table, "max_in_flight", out.max_in_flight);
  decimal(table, "requests_per_minute", out.requests_per_minute);
  decimal(table, "tokens_per_minute", out.tokens_per_minute);
  flag(table, "enabled", out.enabled);
  return out;
}

KeySettings read_key(TomlTable& table) {
  KeySettings out;
  list(table, "models", out.models);
  list(table, "allow", out.cidr_allow);
  list(table, "deny", out.cidr_deny);
  text(table, "expires", out.expires);
  decimal(table, "budget_total", out.budget_total);
  decimal(table, "budget_day", out.budget_day);
  decimal(table, "budget_month", out.budget_month);
  decimal(table, "requests_per_minute", out.requests_per_minute);
  decimal(table, "tokens_per_minute", out.tokens_per_minute);
  decimal(table, "max_in_flight", out.max_in_flight);
  text(table, "zone", out.zone);
  text(table, "on_disconnect", out.on_disconnect);
  text(table, "on_revoke", out.on_revoke);
  text(table, "drain_time", out.drain_time);
  decimal(table, "drain_bytes", out.drain_bytes);
  decimal(table, "drain_cost", out.drain_cost);
  decimal(table, "excess_max", out.excess_max);
  flag(table, "clamp", out.clamp);
  flag(table, "may_pin", out.may_pin);
  flag(table, "reserve_context", out.reserve_context);
  text(table, "credentials", out.credentials);
  flag(table, "enabled", out.enabled);
  return out;
}

SecretSource read_secret(TomlTable& table, const std::string& name) {
  SecretSource out;
  std::string path;
  const int given = int{table.text(name, out.secret)} +
                    int{table.text(name + "_env", out.variable)} +
                    int{table.text(name + "_file", path)};
  if (given > 1) {
    table.fail("", "give one of " + name + ", " + name + "_env and " + name + "_file");
    return {};
  }
  if (!out.variable.empty()) {
    const char* value = std::getenv(out.variable.c_str());
    if (value != nullptr) out.secret = value;
  }
  if (!path.empty()) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                               &std::fclose);
    char buffer[4200];
    const std::size_t bytes =
        file == nullptr ? 0 : std::fread(buffer, 1, sizeof buffer, file.get());
    out.secret.assign(buffer, bytes);
    while (out.secret.ends_with('\n') || out.secret.ends_with('\r')) out.secret.pop_back();
    if (out.secret.empty()) table.fail(name + "_file", "cannot be read or is empty");
  }
  return out;
}

}  // namespace sluice::control
