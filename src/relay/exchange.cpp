#include "exchange.hpp"

#include <algorithm>
#include <cstring>

#include "body_reader.hpp"
#include "scratch.hpp"
#include "sluice/dialect/model_list.hpp"

namespace sluice::relay {
namespace {

using dialect::ErrorKind;

constexpr std::size_t kErrorBodyBytes =
    64 * kKiB;  // of an upstream's error that is kept to be passed on
// A body that is not longer is received also where the request is refused: its connection stays.
constexpr std::size_t kDroppedBodyBytes = 16 * kKiB;
constexpr const char* kEndedMessage = "The gateway is shutting down; try again.";
constexpr TimeNs kHoldGraceNs =
    60 * kSecond;  // a hold may be expired this long after the total time-out

Refusal refusal_of(const policy::Denial& denial) {
  return {.kind = denial.kind, .message = denial.message, .param = denial.param};
}

std::optional<Refusal> refusal_of(dialect::RouteVerdict verdict) {
  switch (verdict) {
    case dialect::RouteVerdict::ok:
      return std::nullopt;
    case dialect::RouteVerdict::not_found:
      return Refusal{.kind = ErrorKind::not_found, .message = "Unknown path."};
    case dialect::RouteVerdict::method_not_allowed:
      return Refusal{.kind = ErrorKind::method_not_allowed,
                     .message = "The method is not allowed here."};
    case dialect::RouteVerdict::not_offered:
      return Refusal{.kind = ErrorKind::not_offered,
                     .message = "This gateway does not serve this path."};
    case dialect::RouteVerdict::bad_target:
      break;
  }
  return Refusal{.kind = ErrorKind::bad_request, .message = "The request target is invalid."};
}

bool is_free_answer(dialect::Operation operation) {
  return operation == dialect::Operation::list_models || operation == dialect::Operation::get_model;
}

}  // namespace

Exchange::Exchange(Services& services, Client& client, RequestHeadFacts& head)
    : services_(services),
      client_(client),
      request_{.head = head, .body = {}},
      snapshot_(services.snapshot) {
  client_.stream->watch_end(&Exchange::on_client_end, this);
  // It may have gone right behind its request.
  if (client_.stream->end().code != Errc::none) on_client_end(this, client_.stream->end());
}

Exchange::~Exchange() {
  client_.stream->watch_end(nullptr, nullptr);
  release_body();
}

void Exchange::release_body() {
  services_.body_bytes -= request_.body.capacity();
  request_.body.reset();
}

// What only the last candidate's request needed is not kept while its answer streams.
void Exchange::release_sent() {
  release_body();
  request_.head.forwarded.reset();
  std::string().swap(request_.head.query);
}

void Exchange::on_client_end(void* context, const Error& end) {
  Exchange& self = *static_cast<Exchange*>(context);
  if (end.code == Errc::closed && self.services_.settings.tolerate_half_close) return;
  self.client_left_ = true;
  self.services_.count(Counter::client_left);
  const bool drain = self.key_.on_disconnect == state::OnDisconnect::drain && self.hold_ &&
                     self.hold_->open() && self.hold_->phase() >= price::Phase::sent;
  if (drain) {
    self.read_on_ =
        std::make_unique<ReadOn>(self.services_, self.key_, &Exchange::on_read_enough, &self);
  } else if (self.attempt_) {
    self.attempt_->abort();
  }
}

void Exchange::on_read_enough(void* context) {
  Exchange& self = *static_cast<Exchange*>(context);
  if (self.attempt_) self.attempt_->abort();
}

void Exchange::end() {
  ended_ = true;
  if (attempt_) attempt_->abort();
}

ring::Task<bool> Exchange::admit() {
  services_.count(Counter::requests);
  if (!services_.shedding.takes()) {
    co_await shed();
    co_return false;
  }
  if (const auto refusal = refusal_before_body()) {
    co_await refuse(*refusal);
    co_return false;
  }
  Result<Body> body = co_await read_body(services_, *client_.stream, request_.head);
  if (!body) {
    if (has_left(body.error())) co_return false;
    request_.head.keep_alive = false;
    co_await refuse(relay::refusal_of(body.error()));
    co_return false;
  }
  take_body(std::move(*body));
  if (is_free_answer(request_.head.route.operation)) {
    co_await answer_models();
    co_return false;
  }
  policy::Denial denial;
  plan_ = make_plan(services_, *snapshot_, key_, request_, denial);
  std::optional<Refusal> refused;
  if (!plan_) {
    refused = refusal_of(denial);
  } else if (plan_->billed) {
    refused = co_await reserve();
  }
  if (refused) co_await refuse(*refused);
  co_return !refused;
}

// More than can be served: the less a refusal costs, the more are. Not even the key is looked up.
ring::Task<> Exchange::shed() {
  services_.count(Counter::shed);
  const RequestHeadFacts& head = request_.head;
  if (head.framing == http::Framing::length && head.content_length <= kDroppedBodyBytes) {
    const Result<Body> dropped = co_await read_body(services_, *client_.stream, head);
    if (!dropped) co_return;
    request_.head.framing = http::Framing::none;
  }
  co_await refuse({.kind = ErrorKind::unavailable,
                   .message = "The gateway has more requests than it can serve; try again soon.",
                   .retry_after_s = 1});
}

// What is refused by the head alone, with the body unread.
std::optional<Refusal> Exchange::refusal_before_body() {
  if (const auto refusal = refusal_of(request_.head.route.verdict)) return refusal;
  if (const auto refusal = authenticate()) return refusal;
  if (!request_.head.encoded) return std::nullopt;
  return Refusal{.kind = ErrorKind::bad_request,
                 .message = "Compressed request bodies are not supported.",
                 .status = 415};
}

void Exchange::take_body(Body body) {
  request_.body = std::move(body);
  request_.head.framing = http::Framing::none;  // nothing of it is left in the connection
  services_.body_bytes += request_.body.capacity();
  services_.count(Counter::bytes_in, request_.body.size());
}

std::optional<Refusal> Exchange::authenticate() {
  if (!snapshot_) {
    return Refusal{.kind = ErrorKind::unavailable,
                   .message = "The gateway is not ready; try again soon."};
  }
  if (!request_.head.has_key) {
    return Refusal{.kind = ErrorKind::unauthenticated,
                   .message = "You did not provide an API key."};
  }
  if (const auto refusal = look_up_key(services_, client_.address_v6, key_)) return refusal;
  if (const policy::Denial* denied = policy::check_key(
          key_, *snapshot_->catalog, client_.address_v6, request_.head.received_realtime_ns)) {
    return refusal_of(*denied);
  }
  return std::nullopt;
}

ring::Task<> Exchange::refuse(Refusal refusal) {
  note_refused(refusal);
  // A body that was not read would be taken for the next request.
  const bool keep = request_.head.framing == http::Framing::none;
  reusable_ = co_await send_refusal(services_, *client_.stream, request_.head, refusal, keep);
}

void Exchange::note_refused(const Refusal& refusal) {
  state::RefusedRecord record;
  record.request_id = request_.head.id;
  record.key_id = key_.key_id;
  record.at_ns = request_.head.received_realtime_ns;
  record.model_id = plan_ && plan_->model != nullptr ? plan_->model->id : 0;
  record.http_status = static_cast<std::uint16_t>(
      refusal.status != 0 ? refusal.status
                          : dialect::status_of(request_.head.route.format, refusal.kind));
  record.format_in = static_cast<std::uint8_t>(request_.head.route.format);
  record.address_kind = 6;
  record.client_address = client_.address_v6;
  record.bytes_in = static_cast<std::uint32_t>(request_.body.size());
  record.total_ns =
      static_cast<std::uint64_t>(services_.reactor.now_ns() - request_.head.received_ns);
  services_.refused.push(record);
}

ring::Task<> Exchange::answer_models() {
  const state::Catalog& catalog = *snapshot_->catalog;
  const dialect::Route& route = request_.head.route;
  std::vector<dialect::ModelInfo> models;
  for (const state::ModelEntry& model : catalog.models()) {
    constexpr std::uint32_t kShown = state::kModelEnabled | state::kModelListed;
    if ((model.flags & kShown) != kShown || !catalog.model_in_set(key_.model_set, model)) continue;
    models.push_back({.id = catalog.text(model.name),
                      .display_name = {},
                      .owner = catalog.text(model.owner),
                      .created_s = model.created_at_ns / kSecond,
                      .context_tokens = model.context_tokens,
                      .max_output_tokens = model.max_output_tokens});
  }
  std::string body;
  if (route.operation == dialect::Operation::list_models) {
    dialect::render_model_list(route.format, models, body);
  } else {
    const auto found = std::find_if(models.begin(), models.end(),
                                    [&](const auto& model) { return model.id == route.model; });
    if (found == models.end()) {
      co_await refuse({.kind = ErrorKind::model_not_found,
                       .message = "The model does not exist or this API key has no access to it.",
                       .param = "model"});
      co_return;
    }
    dialect::render_model(route.format, *found, body);
  }
  reusable_ = co_await send_json(services_, *client_.stream, request_.head, 200, body, {}, true);
}

ring::Task<std::optional<Refusal>> Exchange::reserve() {
  const state::Catalog& catalog = *snapshot_->catalog;
  state::ReserveVerb verb;
  verb.wallet_id = key_.wallet_id;
  verb.key_id = key_.key_id;
  verb.key_windows = catalog.windows_at(key_.zone, request_.head.received_realtime_ns);
  verb.wallet_windows =
      key_.wallet_zone == key_.zone
          ? verb.key_windows
          : catalog.windows_at(key_.wallet_zone, request_.head.received_realtime_ns);
  verb.model_id = plan_->model->id;
  verb.format = static_cast<std::uint8_t>(request_.head.route.format);
  verb.request_id = request_.head.id;
  verb.opened_at_ns = request_.head.received_realtime_ns;
  verb.now_ns = services_.reactor.now_ns();
  verb.deadline_ns = verb.now_ns + services_.settings.total_ns + kHoldGraceNs;
  for (bool shrunk = false;; shrunk = true) {
    verb.rate_tokens = plan_->hold.prompt_bound + plan_->hold.slice;
    hold_.emplace(services_, plan_->hold);
    const Result<state::Outcome> outcome = co_await hold_->reserve(verb);
    facts_.reserved_ns = services_.reactor.now_ns();
    if (outcome && outcome->verdict == state::Verdict::done) co_return std::nullopt;
    hold_.reset();
    if (!outcome) co_return relay::refusal_of(outcome.error());
    const bool by_money = outcome->limit <= state::Limit::wallet_month;
    if (shrunk || !by_money || !shrink_to(services_, key_, *plan_, outcome->affordable)) {
      co_return relay::refusal_of(*outcome, services_.scratch->refusal_text);
    }
  }
}

// Tries the candidates in order until one has answered. One coroutine for all of them, beside the
// relay's: both stay while an answer streams.
ring::Task<> Exchange::serve() {
  const policy::CandidateList& candidates = plan_->candidates;
  Verdict verdict = Verdict::failed;
  for (std::size_t i = 0; i < candidates.count && !client_left_ && !ended_; ++i) {
    const bool last = i + 1 == candidates.count;
    const Result<ResponseFacts> response = co_await open(*candidates.entries[i], last);
    if (!response) {
      verdict = after_break(last, response.error());
    } else if (response->status >= 200 && response->status < 300) {
      verdict = co_await relay(*response, last);
    } else {
      verdict = co_await relay_error(*response, last);
    }
    if (attempt_) co_await attempt_->finish(upstream_reusable_);
    attempt_.reset();
    if (verdict != Verdict::try_next) break;
  }
  if (hold_ && hold_->open()) {
    const price::End end = client_left_ ? price::End::client_left : price::End::no_candidate;
    co_await close_hold(end, nullptr, 0);
  }
  if (verdict == Verdict::answered || client_left_) co_return;
  if (!failure_ && ended_) failure_ = Failure{ErrorKind::unavailable, kEndedMessage};
  if (!failure_) {
    failure_ =
        Failure{ErrorKind::upstream_failed, "Every provider of this model failed; try again soon."};
  }
  co_await refuse({.kind = failure_->kind,
                   .message = failure_->message,
                   .retry_after_s = failure_->kind == ErrorKind::unavailable ? 1 : -1});
}

// Chooses the provider key and makes the bytes of the request for one candidate.
Result<UpstreamTarget> Exchange::prepare_attempt(const state::CandidateEntry& candidate,
                                                 bool last) {
  const state::Catalog& catalog = *snapshot_->catalog;
  const state::ChannelEntry& channel = catalog.channel(candidate);
  UpstreamTarget target{.snapshot = *snapshot_,
                        .channel = channel,
                        .upstream_model = catalog.text(candidate.upstream_model),
                        .provider_key = {}};
  const auto keys = catalog.keys(channel);
  for (std::uint32_t i = 0; i < keys.size() && target.provider_key.empty(); ++i) {
    if (keys[i].enabled != 0) target.provider_key = snapshot_->provider_keys[channel.first_key + i];
  }
  const bool in_body = dialect::model_in_body(plan_->operation);
  const auto edits = dialect::plan_edits(
      *plan_->scan, {.upstream_model = in_body ? target.upstream_model : std::string_view{},
                     .include_usage = plan_->stream,
                     .output_cap = plan_->output_cap});
  if (!edits) return std::unexpected(edits.error());
  if (last) plan_->scan.reset();
  attempt_.emplace(services_, request_, hold());
  if (const Result<> made = attempt_->prepare(target, *edits); !made) {
    attempt_.reset();
    return std::unexpected(made.error());
  }
  upstream_reusable_ = false;
  ++facts_.attempts;
  facts_.channel_id = channel.id;
  return target;
}

// Sends the request to one candidate and waits for the head of its answer.
ring::Task<Result<ResponseFacts>> Exchange::open(const state::CandidateEntry& candidate,
                                                 bool last) {
  const Result<UpstreamTarget> target = prepare_attempt(candidate, last);
  if (!target) co_return std::unexpected(target.error());
  const Settings& settings = services_.settings;
  const TimeNs now_ns = services_.reactor.now_ns();
  const TimeNs first_byte_ns =
      plan_->stream ? settings.first_byte_stream_ns : settings.first_byte_whole_ns;
  Result<ResponseFacts> response = co_await attempt_->open(
      *target,
      {.connect_ns = now_ns + settings.connect_ns, .first_byte_ns = now_ns + first_byte_ns});
  facts_.connected_ns = attempt_->connected_ns();
  facts_.bytes_in = request_.body.size();
  if (last && attempt_->sent_all()) release_sent();
  if (response) {
    facts_.first_byte_ns = services_.reactor.now_ns();
  } else {
    services_.count(Counter::upstream_failures);
  }
  co_return response;
}

// The candidate broke before anything of it was delivered: may another one be tried?
Exchange::Verdict Exchange::after_break(bool last, const Error& error) {
  if (client_left_) return Verdict::client_left;
  if (ended_) {
    failure_ = Failure{ErrorKind::unavailable, kEndedMessage};
    return Verdict::failed;
  }
  if (!attempt_) return Verdict::failed;  // there is nothing that could be sent
  facts_.error = error.code;
  if (error.source == Source::self && error.code == Errc::full) {  // no descriptor, no port
    failure_ = Failure{ErrorKind::unavailable, "The gateway is at its limit; try again soon."};
    return last ? Verdict::failed : Verdict::try_next;
  }
  const bool timed_out = error.code == Errc::timed_out;
  failure_ = timed_out ? Failure{ErrorKind::timed_out, "The provider did not answer in time."}
                       : Failure{ErrorKind::upstream_failed,
                                 "The provider could not be reached or broke the connection."};
  const bool may_retry =
      !attempt_->sent_any() || (plan_->model->flags & state::kModelRetryAfterSend) != 0;
  return !last && may_retry ? Verdict::try_next : Verdict::failed;
}

// What the end of the pump means for the bill, and for the client that has seen a part of the
// answer.
Exchange::Ending Exchange::describe(PumpEnd end, const Meter& meter) {
  switch (end) {
    case PumpEnd::finished:
      // Some providers answer 200 with an error inside, or end a stream with one: the client has
      // seen it.
      if (meter.failed() && meter.counted_output() > 0) return {price::End::upstream_broke, {}, {}};
      if (meter.failed() && !meter.usage().reported) return {price::End::no_candidate, {}, {}};
      return {price::End::finished, {}, {}};
    case PumpEnd::client_left:
      return {price::End::client_left, {}, {}};
    case PumpEnd::upstream_broke:
      facts_.error = Errc::truncated;
      return {price::End::upstream_broke, ErrorKind::upstream_failed,
              "The provider ended the stream before it was complete."};
    case PumpEnd::cut: {
      services_.count(Counter::cut);
      facts_.error = Errc::insufficient_funds;
      state::Outcome refused;
      refused.limit = hold_->refused_limit();
      return {price::End::cut, relay::refusal_of(refused, services_.scratch->refusal_text).kind,
              "The balance or budget was used up while streaming."};
    }
    case PumpEnd::ended:
      facts_.error = Errc::cancelled;
      return {price::End::cut, ErrorKind::unavailable, kEndedMessage};
    case PumpEnd::timed_out:
      facts_.error = Errc::timed_out;
      return {price::End::cut, ErrorKind::timed_out, "The request took longer than is allowed."};
  }
  return {price::End::cut, ErrorKind::internal, "The gateway failed."};
}

ring::Task<Exchange::Verdict> Exchange::relay(const ResponseFacts& response, bool last) {
  const dialect::Route& route = request_.head.route;
  const bool whole = !response.event_stream && !route.json_array;
  const bool may_retry = !last && (plan_->model->flags & state::kModelRetryAfterSend) != 0;
  const TimeNs start_ns = request_.head.received_ns;
  const bool drain = key_.on_disconnect == state::OnDisconnect::drain;
  DownPump pump({.services = services_,
                 .client = *client_.stream,
                 .upstream = attempt_->upstream(),
                 .hold = hold(),
                 .request = request_.head,
                 .response = response,
                 .client_left = client_left_,
                 .ended = ended_,
                 .drain_after_client = drain,
                 .read_on = read_on_,
                 .commit_late = may_retry,
                 .stream = plan_->stream,
                 .total_deadline_ns = start_ns + services_.settings.total_ns,
                 .first_byte_deadline_ns =
                     services_.reactor.now_ns() + services_.settings.first_byte_stream_ns,
                 .sent_ns = attempt_->sent_ns()},
                {.operation = route.operation,
                 .framing = whole              ? dialect::Framing::json
                            : route.json_array ? dialect::Framing::json_array
                                               : dialect::Framing::sse,
                 .quirks = {},
                 .withhold_usage = plan_->withholds_usage});
  if (plan_->stream) services_.count(Counter::streams);
  facts_.status = static_cast<std::uint16_t>(response.status);
  PumpEnd end = PumpEnd::upstream_broke;
  if (!response.encoded) end = co_await pump.run();
  facts_.first_token_ns = pump.first_token_ns();
  facts_.bytes_out = pump.bytes_out();
  services_.count(Counter::bytes_out, pump.bytes_out());
  reusable_ = end == PumpEnd::finished && pump.client_reusable();
  upstream_reusable_ = end == PumpEnd::finished && pump.upstream_reusable();
  const bool broke = end == PumpEnd::upstream_broke || end == PumpEnd::ended;
  if (broke && !pump.committed() && !client_left_) {
    services_.count(Counter::upstream_failures);
    co_return after_break(last, {Errc::truncated, Source::upstream, Retry::no, 0});
  }
  const Ending ending = describe(end, pump.meter());
  if (!ending.message.empty()) {
    attempt_->abort();  // the provider stops now, not when the client has read its error
    co_await pump.send_error_event(ending.kind, ending.message);
  }
  if (hold_) co_await close_hold(ending.money, &pump.meter(), pump.counted_output());
  co_return client_left_ ? Verdict::client_left : Verdict::answered;
}

// An answer other than success: another candidate where the class of the error allows it, else the
// provider's own words, unless they speak of the operator's account.
ring::Task<Exchange::Verdict> Exchange::relay_error(const ResponseFacts& response, bool last) {
  http::BodyDecoder decoder(response.framing, response.content_length, kErrorBodyBytes,
                            Source::upstream);
  Body body;
  bool whole = true;
  const TimeNs deadline_ns = services_.reactor.now_ns() + services_.settings.connect_ns;
  while (!decoder.done() && whole) {
    Result<ring::Piece> received = co_await attempt_->upstream().receive(deadline_ns);
    if (!received) {
      whole = decoder.end_of_stream().has_value() && received.error().code == Errc::closed;
      break;
    }
    ring::Piece piece = std::move(*received);
    while (!piece.empty() && !decoder.done()) {
      const Result<http::BodyStep> step = decoder.next(piece.view());
      whole = step && body.append({step->payload.data(), step->payload.size()}, kErrorBodyBytes);
      if (!whole || step->consumed_bytes == 0) break;
      piece.drop_front(step->consumed_bytes);
    }
    // Bytes behind the end stay in the connection: so it is not used again.
    if (decoder.done()) attempt_->upstream().unread(std::move(piece));
  }
  if (client_left_) co_return Verdict::client_left;
  const dialect::Format format = request_.head.route.format;
  const dialect::ErrorClass error_class =
      dialect::classify_upstream_error(format, response.status, body.view());
  facts_.error = Errc::refused;
  facts_.status = static_cast<std::uint16_t>(response.status);
  const bool our_trouble =
      error_class == dialect::ErrorClass::key_bad || error_class == dialect::ErrorClass::no_money;
  const bool other_may_do = our_trouble || error_class == dialect::ErrorClass::rate ||
                            error_class == dialect::ErrorClass::overloaded;
  if (other_may_do) services_.count(Counter::upstream_failures);
  if (other_may_do && !last) co_return Verdict::try_next;
  if (our_trouble || !whole) {
    failure_ = Failure{ErrorKind::upstream_failed,
                       "The provider of this model is not available; try again soon."};
    co_return Verdict::failed;
  }
  if (hold_) co_await close_hold(price::End::no_candidate, nullptr, 0);
  upstream_reusable_ = decoder.done() && response.keep_alive;
  reusable_ = co_await send_json(services_, *client_.stream, request_.head, response.status,
                                 body.view(), response.forwarded.view(), true);
  co_return Verdict::answered;
}

ring::Task<> Exchange::close_hold(price::End end, const Meter* meter, Tokens counted) {
  price::Metered metered;
  metered.input_estimate = hold_->terms().input_estimate;
  metered.counted_output = counted;
  if (meter != nullptr) {
    const dialect::Usage usage = meter->usage();
    if (usage.reported) {
      const bool complete = end == price::End::finished || meter->ended();
      metered.usage_state = complete ? price::UsageState::final : price::UsageState::partial;
      metered.usage = to_counts(usage);
      hold_->note_usage(metered.usage_state, metered.usage);
    }
  }
  state::OutboxRecord record;
  fill_record(record);
  const Result<price::Charge> charge = co_await hold_->close(end, metered, record);
  if (!charge) co_return;  // the reaper closes it by the meter board
  services_.count(Counter::charged_nanos,
                  static_cast<std::uint64_t>(charge->charged + charge->excess));
  services_.count(Counter::input_tokens, static_cast<std::uint64_t>(charge->billed.prompt()));
  services_.count(Counter::output_tokens, static_cast<std::uint64_t>(charge->billed.output));
}

void Exchange::fill_record(state::OutboxRecord& record) const {
  const RequestHeadFacts& head = request_.head;
  const auto since = [&](TimeNs at_ns) {
    return at_ns > head.received_ns ? static_cast<std::uint64_t>(at_ns - head.received_ns) : 0;
  };
  record.format_in = static_cast<std::uint8_t>(head.route.format);
  record.format_out = record.format_in;
  record.stream = plan_->stream ? 1 : 0;
  record.http_status = facts_.status;
  record.key_id = key_.key_id;
  record.wallet_id = key_.wallet_id;
  record.request_id = head.id;
  record.model_id = plan_->model->id;
  record.channel_id = facts_.channel_id;
  record.attempts = facts_.attempts;
  record.client_retry = head.client_retry;
  record.error = static_cast<std::uint32_t>(facts_.error);
  record.client_address_kind = 6;
  record.client_address = client_.address_v6;
  record.started_at_ns = head.received_realtime_ns;
  record.queue_ns = since(facts_.reserved_ns);
  record.connect_ns = since(facts_.connected_ns);
  record.first_byte_ns = since(facts_.first_byte_ns);
  record.first_token_ns = since(facts_.first_token_ns);
  record.total_ns = since(services_.reactor.now_ns());
  record.bytes_in = facts_.bytes_in;
  record.bytes_out = facts_.bytes_out;
  std::memcpy(record.tags.data(), head.tag.data(), std::min(head.tag.size(), record.tags.size()));
}

}  // namespace sluice::relay
