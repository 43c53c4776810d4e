// Drills: what is to happen when something fails, made to happen while everything works.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "http_call.hpp"
#include "sluice/base/text_units.hpp"
#include "sluice/state/routing.hpp"
#include "verbs.hpp"

namespace sluice::cli {
namespace {

constexpr int kMostFailures = 3;  // of one request: the fourth attempt is its last
constexpr int kWaitMs = 5000;     // for a record to be drained

struct Arguments {
  std::string model;
  std::string key;
  std::string url;
};

/// The same short question in the format that the model's first channel speaks.
struct Question {
  std::string path;
  std::string body;
};

Question question_of(std::string_view dialect, const std::string& model) {
  if (dialect == "claude") {
    return {"/claude/v1/messages", R"({"model":")" + model +
                                       R"(","max_tokens":16,"stream":true,"messages":)"
                                       R"([{"role":"user","content":"Say ok."}]})"};
  }
  if (dialect == "gemini") {
    return {"/gemini/v1beta/models/" + model + ":streamGenerateContent?alt=sse",
            R"({"contents":[{"role":"user","parts":[{"text":"Say ok."}]}],)"
            R"("generationConfig":{"maxOutputTokens":16}})"};
  }
  return {"/v1/chat/completions", R"({"model":")" + model +
                                      R"(","max_tokens":16,"stream":true,"messages":)"
                                      R"([{"role":"user","content":"Say ok."}]})"};
}

template <class T>
const T* by_id(const std::vector<T>& rows, ledger::Id id) {
  const auto found = std::ranges::find(rows, id, &T::id);
  return found == rows.end() ? nullptr : &*found;
}

/// The enabled channels of the model that speak what its first one speaks.
std::vector<std::string> channels_of(const ledger::CatalogSnapshot& catalog, ledger::Id model_id,
                                     std::string& dialect) {
  std::vector<std::string> names;
  for (const ledger::Route& route : catalog.routes) {
    if (route.model_id != model_id) continue;
    const ledger::Channel* channel = by_id(catalog.channels, route.channel_id);
    if (channel == nullptr || !channel->enabled) continue;
    const ledger::Provider* provider = by_id(catalog.providers, channel->provider_id);
    if (provider == nullptr || !provider->enabled) continue;
    if (dialect.empty()) dialect = provider->dialect;
    if (provider->dialect == dialect) names.push_back(channel->name);
  }
  return names;
}

Outcome<std::string> url_of(Session& session, const Arguments& arguments) {
  if (!arguments.url.empty()) return arguments.url;
  auto config = session.config();
  if (!config) return std::unexpected(config.error());
  const auto& listener = (*config)->edge.listeners.front();
  std::string address = listener.address;
  // What listens everywhere is asked here.
  if (address.starts_with("0.0.0.0:")) address.replace(0, 7, "127.0.0.1");
  if (address.starts_with("[::]:")) address.replace(0, 4, "[::1]");
  return (listener.tls.certificate_file.empty() ? "http://" : "https://") + address;
}

/// The usage row of a request, when it has been drained.
Outcome<ledger::StoredUsage> row_of(control::Service& service, const std::string& request_id) {
  ledger::UsageFilter filter;
  filter.request_id = request_id;
  for (int waited_ms = 0; waited_ms < kWaitMs; waited_ms += 50) {
    auto rows = service.ledger.usage().list(filter);
    if (!rows) return problem(Errc::io, "usage: ledger: " + service.ledger.last_error());
    if (!rows->empty()) return rows->front();
    ::usleep(50'000);
  }
  return problem(Errc::timed_out, "no record of request " + request_id + " came");
}

Outcome<Record> step(control::Service& service, const ledger::CatalogSnapshot& catalog,
                     const HttpCall& base, int failures) {
  HttpCall asked = base;
  asked.headers.push_back("x-sluice-drill: " + std::to_string(failures));
  auto answer = call(asked);
  if (!answer) return std::unexpected(answer.error());
  if (answer->status == 403) {
    return problem(Errc::forbidden, "this key may not run drills: sluice key set --may-pin");
  }
  if (answer->request_id.empty())
    return problem(Errc::bad_value, asked.url + ": that is no Sluice: it gives no request id");
  auto stored = row_of(service, answer->request_id);
  if (!stored) return std::unexpected(stored.error());
  const ledger::UsageRow& row = stored->row;
  auto attempts = service.ledger.usage().attempts(stored->id, stored->id);
  if (!attempts) return problem(Errc::io, "usage: ledger: " + service.ledger.last_error());
  std::string failed;
  for (const auto& [id, attempt] : *attempts) {
    const ledger::Channel* channel = by_id(catalog.channels, attempt.channel_id);
    failed += (failed.empty() ? "" : ",") + (channel != nullptr ? channel->name : "?");
  }
  const ledger::Channel* served = by_id(catalog.channels, row.channel_id);
  const bool good = answer->status == 200 && answer->body.find("data:") != std::string::npos &&
                    row.attempts == failures + 1 && row.charged > 0;
  return Record{
      {"made_to_fail", std::int64_t{failures}},
      {"failed", failed},
      {"served_by", served != nullptr ? served->name : ""},
      {"status", std::int64_t{answer->status}},
      {"route", std::string(state::to_string(static_cast<state::RouteReason>(row.route_reason)))},
      {"first_byte_ms", answer->first_byte_ns / kMillisecond},
      {"total_ms", answer->total_ns / kMillisecond},
      {"cost_usd", format_usd(row.charged + row.excess)},
      {"ok", good},
      {"request_id", answer->request_id}};
}

Outcome<> fallback(Session& session, const Arguments& arguments) {
  std::string key = arguments.key;
  if (const char* known = std::getenv("SLUICE_API_KEY"); key.empty() && known != nullptr)
    key = known;
  if (key.empty())
    return problem(Errc::bad_value, "key: give --key or set SLUICE_API_KEY (one that may pin)");
  auto service = session.service();
  if (!service) return std::unexpected(service.error());
  auto url = url_of(session, arguments);
  if (!url) return std::unexpected(url.error());
  auto catalog = (*service)->ledger.catalog().snapshot();
  if (!catalog) return std::unexpected(control::from_ledger(**service, catalog.error(), "catalog"));
  const auto model = std::ranges::find(catalog->models, arguments.model, &ledger::Model::name);
  if (model == catalog->models.end())
    return problem(Errc::not_found, "model '" + arguments.model + "': not found");
  std::string dialect;
  const std::vector<std::string> channels = channels_of(*catalog, model->id, dialect);
  if (channels.size() < 2) {
    return problem(Errc::bad_value, "model '" + arguments.model + "': has " +
                                        std::to_string(channels.size()) +
                                        " usable channel: there is nothing to fall back to");
  }
  const Question question = question_of(dialect, model->name);
  const HttpCall base{.url = *url + question.path,
                      .headers = {"Authorization: Bearer " + key, "Content-Type: application/json"},
                      .body = question.body};
  const int most = std::min(kMostFailures, static_cast<int>(channels.size()) - 1);
  std::vector<Record> records;
  std::string wrong;
  for (int failures = 0; failures <= most; ++failures) {
    auto record = step(**service, *catalog, base, failures);
    if (!record) return std::unexpected(record.error());
    const auto ok = std::ranges::find(*record, "ok", &Record::value_type::first);
    if (!std::get<bool>(ok->second) && wrong.empty())
      wrong = "with " + std::to_string(failures) + " channels down the model was not served";
    records.push_back(std::move(*record));
  }
  print_list(session.json(), records);
  return wrong.empty() ? Outcome<>() : problem(Errc::refused, "drill: " + wrong);
}

}  // namespace

void add_drill_verbs(Parser& parser, Session& session) {
  auto arguments = std::make_shared<Arguments>();
  parser.verb("drill", "fallback", "asks a model while its channels fail one after the other")
      .argument("model", "with at least two channels", arguments->model)
      .option("--key", "a client key that may pin; SLUICE_API_KEY where it is not given",
              arguments->key)
      .option("--url", "of the edge; default: the first listener of the configuration",
              arguments->url)
      .runs([&session, arguments] { return fallback(session, *arguments); });
}

}  // namespace sluice::cli
