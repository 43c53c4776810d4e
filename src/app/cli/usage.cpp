#include <algorithm>
#include <array>
#include <iterator>
#include <map>

#include "sluice/base/text_units.hpp"
#include "sluice/control/customers.hpp"
#include "sluice/control/keys.hpp"
#include "sluice/state/routing.hpp"
#include "verbs.hpp"

namespace sluice::cli {
namespace {

struct Arguments {
  std::string since;
  std::string until;
  std::string customer;
  std::string key;
  std::string model;
  std::string channel;
  std::string request;
  std::string tag;
  std::string by = "day";
  std::int64_t limit = 100;
};

/// A date, or a time back from now.
Outcome<TimeNs> read_time(const char* field, const std::string& text) {
  if (text.empty()) return 0;
  if (const auto age = parse_duration(text); age) return system_clock().realtime_ns() - *age;
  if (const auto date = parse_utc(text); date) return *date;
  return problem(
      Errc::bad_value,
      std::string(field) + ": must be a date such as 2026-11-22, or 24h for that long ago");
}

Outcome<ledger::UsageFilter> to_filter(control::Service& service, const Arguments& arguments) {
  ledger::UsageFilter filter;
  auto since = read_time("since", arguments.since);
  auto until = read_time("until", arguments.until);
  if (!since) return std::unexpected(since.error());
  if (!until) return std::unexpected(until.error());
  filter.since_ns = *since;
  filter.until_ns = *until;
  filter.limit = arguments.limit;
  filter.request_id = arguments.request;
  filter.tag = arguments.tag;
  if (!arguments.customer.empty()) {
    auto view = control::find_customer(service, arguments.customer);
    if (!view) return std::unexpected(view.error());
    filter.wallet_id = view->wallet.id;
  }
  if (!arguments.key.empty()) {
    auto key = control::find_key(service, arguments.customer, arguments.key);
    if (!key) return std::unexpected(key.error());
    filter.key_id = key->id;
  }
  if (!arguments.model.empty()) {
    auto model = service.ledger.catalog().model(arguments.model);
    if (!model) return problem(Errc::not_found, "model '" + arguments.model + "': not found");
    filter.model_id = model->id;
  }
  if (!arguments.channel.empty()) {
    auto channel = service.ledger.catalog().channel(arguments.channel);
    if (!channel) return problem(Errc::not_found, "channel '" + arguments.channel + "': not found");
    filter.channel_id = channel->id;
  }
  return filter;
}

/// Numbers of the ledger as the names that people know.
struct Names {
  ledger::CatalogSnapshot catalog;
  std::vector<ledger::ApiKey> keys;

  [[nodiscard]] std::string model(ledger::Id id) const { return of(catalog.models, id); }
  [[nodiscard]] std::string channel(ledger::Id id) const { return of(catalog.channels, id); }
  [[nodiscard]] std::string key(ledger::Id id) const { return of(keys, id); }
  template <class T>
  static std::string of(const std::vector<T>& rows, ledger::Id id) {
    for (const T& row : rows) {
      if (row.id == id) return row.name;
    }
    return id == 0 ? std::string() : "#" + std::to_string(id);
  }
};

/// How the request ended, by the numbers that the outbox record has for it (price::End).
std::string end_name(std::int64_t end) {
  static constexpr std::array kNames = {"refused",     "no_candidate",   "finished",
                                        "client_left", "upstream_broke", "cut",
                                        "shard_died",  "expired"};
  const auto index = static_cast<std::size_t>(end);
  return end >= 0 && index < kNames.size() ? kNames[index] : "#" + std::to_string(end);
}

/// What explains a bill to a program; too wide for a table.
Record details(const ledger::UsageRow& row) {
  return {{"end", end_name(row.end)},
          {"error", row.error == 0 ? "" : std::string(to_string(static_cast<Errc>(row.error)))},
          {"held_usd", format_usd(row.held)},
          {"loss_usd", format_usd(row.loss)},
          {"input_estimate", row.input_estimate},
          {"counted_output", row.counted_output},
          {"cache_write_long", row.cache_write_long},
          {"upstream_cost_usd", format_usd(row.upstream_cost)}};
}

/// "east:429:rate:120ms, west:0:broke:5000ms": what was tried before, and what it may have cost.
void add_failures(const std::vector<ledger::UsageAttempt>& attempts, const Names& names,
                  Record& record) {
  std::string text;
  Nanos cost = 0;
  for (const ledger::UsageAttempt& attempt : attempts) {
    text += (text.empty() ? "" : ", ") + names.channel(attempt.channel_id) + ":" +
            std::to_string(attempt.status) + ":" +
            std::string(state::to_string(static_cast<state::Fault>(attempt.fault))) + ":" +
            std::to_string(attempt.lasted_ms) + "ms";
    cost += attempt.cost;
  }
  record.emplace_back("failed", text);
  record.emplace_back("failed_cost_usd", format_usd(cost));
}

using Attempts = std::map<ledger::Id, std::vector<ledger::UsageAttempt>>;

/// Of all rows, which are sorted by descending id.
Outcome<Attempts> attempts_of(control::Service& service,
                              const std::vector<ledger::StoredUsage>& rows) {
  Attempts out;
  if (rows.empty()) return out;
  auto attempts = service.ledger.usage().attempts(rows.back().id, rows.front().id);
  if (!attempts) return problem(Errc::io, "usage: ledger: " + service.ledger.last_error());
  for (const auto& [id, attempt] : *attempts) out[id].push_back(attempt);
  return out;
}

Record to_record(const ledger::StoredUsage& stored, const Names& names) {
  const ledger::UsageRow& row = stored.row;
  return {
      {"at", format_utc(row.started_ns)},
      {"request_id", row.request_id},
      {"key", names.key(row.key_id)},
      {"model", names.model(row.model_id)},
      {"channel", names.channel(row.channel_id)},
      {"status", row.status},
      {"stream", row.stream},
      {"input", row.input},
      {"cache_read", row.cache_read},
      {"cache_write", row.cache_write_short + row.cache_write_long},
      {"output", row.output},
      {"reasoning", row.reasoning},
      {"cost_usd", format_usd(row.charged + row.excess)},
      {"excess_usd", format_usd(row.excess)},
      {"flags", row.flags},
      {"attempts", row.attempts},
      {"client_retry", row.client_retry},
      {"route", std::string(state::to_string(static_cast<state::RouteReason>(row.route_reason)))},
      {"first_token_ms", row.first_token_ns / kMillisecond},
      {"total_ms", row.total_ns / kMillisecond},
      {"price_version", row.price_version},
      {"tags", row.tags}};
}

Outcome<> list(Session& session, const Arguments& arguments) {
  auto service = session.service();
  if (!service) return std::unexpected(service.error());
  auto filter = to_filter(**service, arguments);
  if (!filter) return std::unexpected(filter.error());
  auto rows = (*service)->ledger.usage().list(*filter);
  auto catalog = (*service)->ledger.catalog().snapshot();
  auto keys = (*service)->ledger.keys().list(0);
  if (!rows || !catalog || !keys)
    return problem(Errc::io, "usage: ledger: " + (*service)->ledger.last_error());
  const Names names{std::move(*catalog), std::move(*keys)};
  auto attempts = attempts_of(**service, *rows);
  if (!attempts) return std::unexpected(attempts.error());
  std::vector<Record> records;
  for (const ledger::StoredUsage& stored : *rows) {
    Record record = to_record(stored, names);
    if (session.json()) {
      std::ranges::move(details(stored.row), std::back_inserter(record));
      add_failures((*attempts)[stored.id], names, record);
    }
    records.push_back(std::move(record));
  }
  print_list(session.json(), records);
  return {};
}

Outcome<> stats(Session& session, const Arguments& arguments) {
  auto service = session.service();
  if (!service) return std::unexpected(service.error());
  auto filter = to_filter(**service, arguments);
  if (!filter) return std::unexpected(filter.error());
  ledger::StatsBy by = ledger::StatsBy::day;
  if (arguments.by == "model") {
    by = ledger::StatsBy::model;
  } else if (arguments.by == "key") {
    by = ledger::StatsBy::key;
  } else if (arguments.by == "channel") {
    by = ledger::StatsBy::channel;
  } else if (arguments.by != "day") {
    return problem(Errc::bad_value, "by: must be day, model, key or channel");
  }
  auto sums = (*service)->ledger.usage().stats(by, *filter);
  if (!sums) return std::unexpected(control::from_ledger(**service, sums.error(), "usage"));
  std::vector<Record> records;
  for (const ledger::UsageStats& sum : *sums) {
    records.push_back({{arguments.by, sum.name},
                       {"requests", sum.requests},
                       {"input", sum.input},
                       {"output", sum.output},
                       {"cost_usd", format_usd(sum.charged)},
                       {"upstream_cost_usd", format_usd(sum.upstream_cost)},
                       {"margin_usd", format_usd(sum.charged - sum.upstream_cost)}});
  }
  print_list(session.json(), records);
  return {};
}

/// What was estimated, in per cent of what was told; 100 = right.
std::string percent(Tokens estimate, Tokens told) {
  return told == 0 ? std::string() : std::to_string((estimate * 100 + told / 2) / told);
}

Outcome<> estimates(Session& session, const Arguments& arguments) {
  auto service = session.service();
  if (!service) return std::unexpected(service.error());
  auto filter = to_filter(**service, arguments);
  if (!filter) return std::unexpected(filter.error());
  auto sums = (*service)->ledger.usage().estimates(*filter);
  if (!sums) return std::unexpected(control::from_ledger(**service, sums.error(), "usage"));
  std::vector<Record> records;
  for (const ledger::EstimateSums& sum : *sums) {
    records.push_back({{"model", sum.model},
                       {"reported", sum.reported},
                       {"estimated", sum.estimated},
                       {"input", sum.input},
                       {"input_estimate", sum.input_estimate},
                       {"input_percent", percent(sum.input_estimate, sum.input)},
                       {"output", sum.output},
                       {"counted_output", sum.counted_output},
                       {"output_percent", percent(sum.counted_output, sum.output)}});
  }
  print_list(session.json(), records);
  return {};
}

void add_filter(Verb& verb, Arguments& arguments) {
  verb.option("--since", "a date, or 24h for that long ago", arguments.since)
      .option("--until", "the same", arguments.until)
      .option("--customer", "of this customer only", arguments.customer)
      .option("--key", "of this key of the customer only", arguments.key)
      .option("--model", "of this model only", arguments.model)
      .option("--channel", "through this channel only", arguments.channel);
}

}  // namespace

void add_usage_verbs(Parser& parser, Session& session) {
  auto listed = std::make_shared<Arguments>();
  Verb& list_verb = parser.verb("usage", "list", "requests, newest first");
  add_filter(list_verb, *listed);
  list_verb.option("--request", "of this request id only", listed->request)
      .option("--tag", "with this label: name=value, or name", listed->tag)
      .option("--limit", "how many", listed->limit)
      .runs([&session, listed] { return list(session, *listed); });

  auto judged = std::make_shared<Arguments>();
  Verb& estimates_verb =
      parser.verb("usage", "estimates", "how good the estimates of each model's tokens were");
  add_filter(estimates_verb, *judged);
  estimates_verb.runs([&session, judged] { return estimates(session, *judged); });

  auto summed = std::make_shared<Arguments>();
  Verb& stats_verb = parser.verb("usage", "stats",
                                 "sums by day (UTC), model, key or channel, and what is left of "
                                 "them when the providers are paid");
  add_filter(stats_verb, *summed);
  stats_verb.option("--by", "day, model, key or channel", summed->by).runs([&session, summed] {
    return stats(session, *summed);
  });
}

}  // namespace sluice::cli
