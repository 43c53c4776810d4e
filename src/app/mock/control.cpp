// The control port: reading and resetting the recorder, releasing held answers. And the model
// lists.
#include <fmt/format.h>

#include <charconv>
#include <iterator>

#include "server.hpp"
#include "text.hpp"

namespace sluice::mock {
namespace {

/// Value of a number in a query ("?since=12&limit=5"), or `otherwise`.
std::uint64_t query_number(std::string_view target, std::string_view name,
                           std::uint64_t otherwise) {
  const std::size_t question = target.find('?');
  if (question == std::string_view::npos) return otherwise;
  std::string_view query = target.substr(question + 1);
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    if (!pair.starts_with(name) || pair.size() <= name.size() || pair[name.size()] != '=') continue;
    std::uint64_t value = otherwise;
    std::from_chars(pair.data() + name.size() + 1, pair.data() + pair.size(), value);
    return value;
  }
  return otherwise;
}

std::string model_object(Call call, std::string_view name) {
  switch (call) {
    case Call::claude_models:
      return fmt::format(R"({{"type":"model","id":"{0}","display_name":"{0}",)"
                         R"("created_at":"2026-01-01T00:00:00Z"}})",
                         name);
    case Call::gemini_models:
      return fmt::format(R"({{"name":"models/{0}","version":"001","displayName":"{0}",)"
                         R"("inputTokenLimit":1048576,"outputTokenLimit":65536,)"
                         R"("supportedGenerationMethods":["generateContent","countTokens"]}})",
                         name);
    default:
      return fmt::format(
          R"({{"id":"{}","object":"model","created":1763800000,"owned_by":"sluice-mock"}})", name);
  }
}

}  // namespace

void Server::control(Connection& connection, const HttpRequest& request) {
  const std::string_view path = request.target.substr(0, request.target.find('?'));
  std::string body;
  int status = 200;
  if (path == "/recorder") {
    recorder_.flush_log();
    body = recorder_.to_json(query_number(request.target, "since", 0),
                             query_number(request.target, "limit", recorder_.keep().records),
                             held_.size());
  } else if (path == "/recorder/reset" && request.method == "POST") {
    recorder_.reset();
    body = "{}\n";
  } else if (path == "/release" && request.method == "POST") {
    const std::size_t count =
        std::min<std::size_t>(query_number(request.target, "n", held_.size()), held_.size());
    release(count);
    body = fmt::format("{{\"released\":{}}}\n", count);
  } else if (path == "/healthz") {
    body = "{}\n";
  } else {
    status = 404;
    body = R"({"error":"GET /recorder?since=N&limit=N, POST /recorder/reset, POST /release?n=N,)"
           R"( GET /healthz"})"
           "\n";
  }
  std::string out;
  append_json(out, status, Family::openai, 0, body);
  send_bytes(connection, out);
  if (request.close) {
    connection.close_after_write = true;
    if (connection.out.empty()) close_connection(connection);
  }
}

void Server::list_models(Connection& connection, const RequestFacts& facts) {
  std::string list;
  for (const std::string& name : options_.models) {
    if (!facts.model.empty() && facts.model != name) continue;
    if (!list.empty()) list += ',';
    list += model_object(facts.call, name);
  }
  if (!facts.model.empty() && list.empty())
    return refuse(connection, 404, "no such model", End::refused);
  std::string body = list;
  if (facts.model.empty()) {
    if (facts.call == Call::gemini_models) {
      body = fmt::format(R"({{"models":[{}]}})", list);
    } else if (facts.call == Call::claude_models) {
      body = fmt::format(R"({{"data":[{}],"has_more":false,"first_id":"{}","last_id":"{}"}})", list,
                         options_.models.front(), options_.models.back());
    } else {
      body = fmt::format(R"({{"object":"list","data":[{}]}})", list);
    }
  }
  Exchange& exchange = connection.exchange;
  exchange.record.status = 200;
  exchange.record.answered_ns = now_ns_;
  append_json(scratch_, 200, family_of(facts.call), exchange.record.number, body);
  send_scratch(connection);
  finish(connection, End::complete);
}

}  // namespace sluice::mock
