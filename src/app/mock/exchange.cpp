// What the stand-in answers, and when: the part of the server that plays a behaviour.
#include <algorithm>
#include <utility>

#include "server.hpp"
#include "sluice/base/crc32c.hpp"
#include "text.hpp"

namespace sluice::mock {
namespace {

constexpr std::size_t kWriteBatchBytes = 64 * 1024;
constexpr std::size_t kMaxScripts = 100'000;

std::string_view query_key(std::string_view target) {
  const std::size_t at = target.find("key=");
  if (at == std::string_view::npos || at == 0 || (target[at - 1] != '?' && target[at - 1] != '&'))
    return {};
  const std::string_view rest = target.substr(at + 4);
  return rest.substr(0, rest.find('&'));
}

/// The credential that the request carries, and by which way.
std::pair<std::string_view, std::string_view> credential_of(const HttpRequest& request) {
  if (!request.api_key.empty()) return {"x-api-key", request.api_key};
  if (!request.goog_api_key.empty()) return {"x-goog-api-key", request.goog_api_key};
  if (request.authorization.starts_with("Bearer "))
    return {"bearer", request.authorization.substr(7)};
  if (const std::string_view key = query_key(request.target); !key.empty()) return {"query", key};
  return {"none", ""};
}

bool streams(const Exchange& exchange) {
  return generates(exchange.script->call) && exchange.record.stream;
}

std::int64_t due_ns(const Exchange& exchange) {
  return exchange.stream_start_ns + exchange.answer.chunks_sent * exchange.script->behaviour.gap_ns;
}

}  // namespace

void Server::process(Connection& connection) {
  const Handle handle{connection.fd, connection.generation};
  while (connection.phase == Phase::reading && !connection.in.empty() &&
         !connection.close_after_write) {
    // The request's views point into the bytes taken out here, so nothing that grows `in` disturbs
    // them.
    std::string bytes = std::exchange(connection.in, {});
    const std::size_t used = process_one(connection, bytes);
    if (find(handle) == nullptr) return;
    if (used == 0) {
      connection.in = std::move(bytes);
      return;
    }
    connection.in.insert(0, bytes, used);
  }
}

/// Serves the request at the start of `bytes` if it is complete; returns the bytes used, 0 = more
/// are needed.
std::size_t Server::process_one(Connection& connection, std::string_view bytes) {
  HttpRequest request;
  const ReadProgress progress = read_request(bytes, request, connection.body_store);
  switch (progress.kind) {
    case ReadProgress::Kind::need_more: {
      const bool expects = progress.head_complete && progress.expects_continue;
      connection.head_seen = true;
      connection.exchange.record.body_bytes = progress.body_bytes_so_far;
      if (expects && !connection.continue_sent) {
        connection.continue_sent = true;
        send_bytes(connection, "HTTP/1.1 100 Continue\r\n\r\n");
      }
      return 0;
    }
    case ReadProgress::Kind::bad: {
      recorder_.opened();
      connection.exchange = Exchange{};
      connection.exchange.record.number = recorder_.next_number();
      connection.exchange.close = true;
      refuse(connection, 400, "not a request", End::refused);
      return bytes.size();
    }
    case ReadProgress::Kind::complete:
      break;
  }
  connection.head_seen = false;
  connection.continue_sent = false;
  ++connection.requests;
  if (connection.kind == ListenerKind::control) {
    control(connection, request);
  } else {
    begin(connection, request);
  }
  return progress.consumed;
}

void Server::start_record(Connection& connection, const HttpRequest& request,
                          const RequestFacts& facts) {
  recorder_.opened();
  connection.exchange = Exchange{};
  Exchange& exchange = connection.exchange;
  Record& record = exchange.record;
  record.number = recorder_.next_number();
  record.connection = connection.number;
  record.on_connection = connection.requests;
  record.call = facts.call;
  record.stream = facts.stream;
  record.include_usage = facts.include_usage;
  record.method = request.method;
  record.target = request.target;
  record.model = facts.model;
  const auto [way, key] = credential_of(request);
  record.credential.append(way).append(" ").append(key);
  record.body_bytes = request.body.size();
  record.body_crc32c = crc32c(request.body.data(), request.body.size());
  record.received_ns = now_ns_;
  if (recorder_.keep().heads) record.head = request.head;
  record.body = request.body.substr(0, recorder_.keep().body_bytes);
  exchange.answer.id = record.number;
  exchange.answer.items = facts.items;
  exchange.counted_input = facts.input_tokens;
  exchange.close = request.close;
}

void Server::begin(Connection& connection, const HttpRequest& request) {
  const RequestFacts facts = facts_of(request);
  start_record(connection, request, facts);
  if (!options_.required_key.empty() && credential_of(request).second != options_.required_key) {
    return refuse(connection, 401, "the API key is not valid", End::refused);
  }
  if (facts.call == Call::unknown) return refuse(connection, 404, "no such path", End::refused);
  if (lists_models(facts.call)) return list_models(connection, facts);
  if (!facts.valid_json) return refuse(connection, 400, "the body is not JSON", End::refused);
  if (facts.model.empty()) return refuse(connection, 400, "the model is missing", End::refused);
  if (options_.personality != nullptr && options_.personality->strict && facts.stream_options)
    return refuse_as(connection, Trouble::caller);
  connection.exchange.script = script_for(facts);
  if (connection.exchange.script == nullptr)
    return refuse(connection, 503, "too many models", End::refused);
  const Behaviour& behaviour = connection.exchange.script->behaviour;
  connection.split_bytes = static_cast<std::size_t>(behaviour.split_bytes);
  if (behaviour.hold == 0) return schedule_answer(connection);
  connection.phase = Phase::held;
  held_.push_back({connection.fd, connection.generation});
  if (behaviour.hold > 0 && held_.size() >= static_cast<std::size_t>(behaviour.hold))
    release(held_.size());
}

Script* Server::script_for(const RequestFacts& facts) {
  script_key_.assign(1, static_cast<char>(facts.call));
  script_key_ += facts.include_usage ? '1' : '0';
  script_key_ += facts.model;
  const auto known = scripts_.find(script_key_);
  if (known != scripts_.end()) return known->second.get();
  if (scripts_.size() >= kMaxScripts) return nullptr;
  const auto named = options_.named.find(std::string(facts.model));
  const Behaviour behaviour =
      named != options_.named.end() ? named->second : behaviour_of(facts.model, options_.defaults);
  auto script = std::make_unique<Script>(
      make_script(facts.call, facts.include_usage, facts.model, behaviour, options_.personality));
  return scripts_.emplace(script_key_, std::move(script)).first->second.get();
}

void Server::release(std::size_t count) {
  std::vector<Handle> released(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(count));
  held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(count));
  for (const Handle handle : released) {
    Connection* const connection = find(handle);
    if (connection == nullptr) continue;
    schedule_answer(*connection);
    next_request(handle);
  }
}

void Server::schedule_answer(Connection& connection) {
  const Behaviour& behaviour = connection.exchange.script->behaviour;
  connection.phase = Phase::waiting;
  if (behaviour.latency_ns == 0) return answer(connection);
  wheel_.set(connection, now_ns_ + behaviour.latency_ns);
}

void Server::on_timer(Connection& connection) {
  const Handle handle{connection.fd, connection.generation};
  if (connection.phase == Phase::waiting) {
    answer(connection);
  } else if (connection.phase == Phase::streaming && connection.out.empty()) {
    pump(connection);
  }
  next_request(handle);
}

/// Serves what the client sent ahead while its last answer was under way.
void Server::next_request(Handle handle) {
  Connection* const connection = find(handle);
  if (connection != nullptr && connection->phase == Phase::reading) process(*connection);
}

void Server::answer(Connection& connection) {
  Exchange& exchange = connection.exchange;
  const Behaviour& behaviour = exchange.script->behaviour;
  if (behaviour.stall_after == 0) {
    connection.phase = Phase::stalled;
    return;
  }
  if (behaviour.trouble != Trouble::none) return refuse_as(connection, behaviour.trouble);
  if (behaviour.status != 200)
    return refuse(connection, behaviour.status, "asked for by the model's name", End::error);
  exchange.record.status = 200;
  exchange.record.answered_ns = now_ns_;
  exchange.answer.usage = claimed_usage(*exchange.script, exchange.counted_input, behaviour.chunks);
  exchange.close = exchange.close || behaviour.close;
  if (!streams(exchange)) return answer_whole(connection);
  connection.phase = Phase::streaming;
  exchange.stream_start_ns = now_ns_ + behaviour.first_ns;
  append_stream_start(scratch_, *exchange.script, exchange.answer);
  if (behaviour.first_ns > 0 || behaviour.cut_after == 0) {
    send_scratch(connection);
  }
  pump(connection);
}

void Server::answer_whole(Connection& connection) {
  Exchange& exchange = connection.exchange;
  const Behaviour& behaviour = exchange.script->behaviour;
  exchange.close = exchange.close || behaviour.until_eof;
  append_whole(scratch_, *exchange.script, exchange.answer);
  const bool cut = behaviour.cut_after >= 0;
  const bool stall = behaviour.stall_after > 0;
  if (cut || stall)
    scratch_.resize(scratch_.size() - std::min<std::size_t>(scratch_.size() / 3, 100));
  send_scratch(connection);
  if (stall) {
    connection.phase = Phase::stalled;
    return;
  }
  if (cut) {
    exchange.close = true;
    connection.reset_at_close = behaviour.reset;
    return finish(connection, End::cut);
  }
  const bool generated = generates(exchange.script->call);
  exchange.answer.chunks_sent = generated ? behaviour.chunks : 0;
  exchange.record.usage_sent = behaviour.usage != UsageMode::none &&
                               (generated || exchange.script->call == Call::embeddings);
  finish(connection, End::complete);
}

/// Appends to `scratch_` what is due, sends it, and arms the timer for the rest.
void Server::pump(Connection& connection) {
  Exchange& exchange = connection.exchange;
  const Script& script = *exchange.script;
  Answer& answer = exchange.answer;
  while (true) {
    while (answer.chunks_sent < script.behaviour.chunks && scratch_.size() < kWriteBatchBytes &&
           due_ns(exchange) <= now_ns_) {
      if (interrupted(connection)) return;
      append_chunk(scratch_, script, answer, now_ns_);
      ++answer.chunks_sent;
    }
    const bool all = answer.chunks_sent == script.behaviour.chunks;
    if (all) {
      if (interrupted(connection)) return;
      append_stream_end(scratch_, script, answer);
      exchange.record.usage_sent = streams_usage(script);
    }
    send_scratch(connection);
    if (all) return finish(connection, End::complete);
    if (!connection.out.empty()) return;  // goes on when the socket takes bytes again
    if (due_ns(exchange) > now_ns_) return wheel_.set(connection, due_ns(exchange));
  }
}

/// True when the behaviour ends or stops the stream before the next chunk; what was due has been
/// sent then.
bool Server::interrupted(Connection& connection) {
  Exchange& exchange = connection.exchange;
  const Behaviour& behaviour = exchange.script->behaviour;
  const std::int64_t sent = exchange.answer.chunks_sent;
  const bool cut = behaviour.cut_after >= 0 && sent >= behaviour.cut_after;
  const bool stall = behaviour.stall_after > 0 && sent >= behaviour.stall_after;
  const bool error = behaviour.error_after >= 0 && sent >= behaviour.error_after;
  if (!cut && !stall && !error) return false;
  if (error) append_stream_error(scratch_, *exchange.script, exchange.answer);
  send_scratch(connection);
  if (stall) {
    connection.phase = Phase::stalled;
  } else if (cut) {
    exchange.close = true;
    connection.reset_at_close = behaviour.reset;
    finish(connection, End::cut);
  } else {
    finish(connection, End::error);
  }
  return true;
}

/// Says what is wrong in the personality's own words, or in those of the format.
void Server::refuse_as(Connection& connection, Trouble trouble) {
  Exchange& exchange = connection.exchange;
  const Family family = family_of(exchange.record.call);
  const Refusal* const own =
      find_refusal(options_.personality, trouble, family, exchange.record.stream);
  if (own == nullptr) {
    constexpr int kStatus[] = {200, 401, 402, 429, 503, 400};
    return refuse(connection, kStatus[static_cast<std::size_t>(trouble)],
                  "asked for by the model's name", End::error);
  }
  exchange.record.status = own->status;
  exchange.record.answered_ns = now_ns_;
  append_json(scratch_, own->status, family, exchange.record.number, own->body);
  send_scratch(connection);
  finish(connection, End::error);
}

void Server::refuse(Connection& connection, int status, std::string_view message, End end) {
  Exchange& exchange = connection.exchange;
  exchange.record.status = status;
  exchange.record.answered_ns = now_ns_;
  const int retry_after =
      exchange.script != nullptr ? exchange.script->behaviour.retry_after_s : -1;
  append_error(scratch_, status, family_of(exchange.record.call), exchange.record.number, message,
               retry_after);
  send_scratch(connection);
  finish(connection, end);
}

void Server::finish(Connection& connection, End end) {
  Exchange& exchange = connection.exchange;
  Record& record = exchange.record;
  record.end = end;
  record.ended_ns = now_ns_;
  record.chunks_sent = exchange.answer.chunks_sent;
  if (end == End::complete) {
    record.usage = exchange.answer.usage;
  } else if (exchange.script != nullptr) {
    record.usage = claimed_usage(*exchange.script, exchange.counted_input, record.chunks_sent);
  }
  const bool close = exchange.close;
  recorder_.ended(std::move(record));
  exchange = Exchange{};
  connection.phase = Phase::reading;
  if (close) {
    if (connection.tls && end != End::cut) {
      cipher_.clear();
      connection.tls->close(cipher_);
      send_raw(connection, cipher_);
    }
    if (connection.out.empty()) return close_connection(connection);
    connection.close_after_write = true;
  }
}

void Server::abort_exchange(Connection& connection) {
  Record& record = connection.exchange.record;
  if (connection.phase == Phase::reading) {
    if (!connection.head_seen || connection.kind == ListenerKind::control) return;
    recorder_.opened();
    record.number = recorder_.next_number();
    record.connection = connection.number;
    record.on_connection = connection.requests + 1;
    record.gone_ns = now_ns_;
    return finish(connection, End::request_cut);
  }
  std::erase_if(held_, [&connection](Handle handle) { return handle.fd == connection.fd; });
  connection.exchange.close = false;  // the caller closes
  record.gone_ns = now_ns_;
  finish(connection, End::aborted);
}

}  // namespace sluice::mock
