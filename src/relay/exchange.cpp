#include "exchange.hpp"

#include <algorithm>
#include <cstring>

#include "account.hpp"
#include "body_reader.hpp"
#include "key_check.hpp"
#include "labels.hpp"
#include "limit_lines.hpp"
#include "scratch.hpp"
#include "sluice/dialect/credentials.hpp"
#include "sluice/dialect/model_list.hpp"
#include "verb_awaiter.hpp"

namespace sluice::relay {
namespace {

using dialect::ErrorKind;

// A body that is not longer is received also where the request is refused: its connection stays.
constexpr std::size_t kDroppedBodyBytes = 16 * kKiB;
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
                     .message = "This part of the API is not offered by this gateway."};
    case dialect::RouteVerdict::bad_target:
      break;
  }
  return Refusal{.kind = ErrorKind::bad_request, .message = "The request target is invalid."};
}

/// The models that the lists show to a key, and the groups that it may call as such or by one of
/// their models.
std::vector<dialect::ModelInfo> shown_models(const state::Catalog& catalog, std::uint32_t set) {
  std::vector<dialect::ModelInfo> models;
  const auto add = [&](std::string_view name, const state::ModelEntry& model, TimeNs created_ns) {
    models.push_back({.id = name,
                      .display_name = {},
                      .owner = catalog.text(model.owner),
                      .created_s = created_ns / kSecond,
                      .context_tokens = model.context_tokens,
                      .max_output_tokens = model.max_output_tokens});
  };
  for (const state::ModelEntry& model : catalog.models()) {
    constexpr std::uint32_t kShown = state::kModelEnabled | state::kModelListed;
    if ((model.flags & kShown) != kShown || !catalog.model_in_set(set, model)) continue;
    add(catalog.text(model.name), model, model.created_at_ns);
  }
  for (const state::RouteGroupEntry& group : catalog.route_groups()) {
    constexpr std::uint32_t kShown = state::kRouteGroupEnabled | state::kRouteGroupListed;
    if ((group.flags & kShown) != kShown) continue;
    for (const std::uint32_t index : catalog.models_of(group)) {
      const state::ModelEntry& model = catalog.models()[index];
      const bool callable = (model.flags & state::kModelEnabled) != 0 &&
                            (catalog.group_in_set(set, group) || catalog.model_in_set(set, model));
      if (!callable) continue;
      add(catalog.text(group.name), model, group.created_at_ns);
      break;
    }
  }
  return models;
}

bool is_free_answer(dialect::Operation operation) {
  return operation == dialect::Operation::list_models || operation == dialect::Operation::get_model;
}

}  // namespace

Exchange::Exchange(Services& services, Client& client, RequestHeadFacts& head)
    : services_(services),
      client_(client),
      request_{.head = head, .body = {}},
      snapshot_(services.snapshot),
      delivery_(services, *client.stream, head) {
  client_.stream->watch_end(&Exchange::on_client_end, this);
  // It may have gone right behind its request.
  if (client_.stream->end().code != Errc::none) on_client_end(this, client_.stream->end());
}

Exchange::~Exchange() {
  client_.stream->watch_end(nullptr, nullptr);
  release_body();
  if (!shed_) services_.admission.note_ended();
}

void Exchange::release_body() {
  services_.body_bytes -= request_.body.capacity();
  request_.body.reset();
}

// What only the last candidate's request needed is not kept while its answer streams.
void Exchange::release_sent() {
  release_body();
  plan_->scan.reset();
  request_.head.forwarded.reset();
  std::string().swap(request_.head.query);
}

void Exchange::on_client_end(void* context, const Error& end) {
  Exchange& self = *static_cast<Exchange*>(context);
  if (end.code == Errc::closed && self.services_.settings.clients.tolerate_half_close) return;
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
  if (!co_await services_.admission.admit(services_.reactor.now_ns())) {
    co_await refuse_shed();
    co_return false;
  }
  if (client_left_) co_return false;
  services_.providers.retries.note_request();
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
    if (const auto refused = co_await take_request()) {
      co_await refuse(*refused);
    } else {
      co_await answer_models();
    }
    co_return false;
  }
  if (dialect::is_account(request_.head.route.operation)) {
    co_await answer_account();
    co_return false;
  }
  if (const auto refusal = redact_body()) {
    co_await refuse(*refusal);
    co_return false;
  }
  policy::Denial denial;
  plan_ = make_plan(services_, *snapshot_, key_, request_, denial);
  std::optional<Refusal> refused;
  if (!plan_) {
    refused = refusal_of(denial);
  } else if (plan_->billed) {
    if (const dialect::ValueSpan& metadata = plan_->scan->metadata; metadata.present()) {
      add_metadata(request_.head.labels,
                   request_.body.view().substr(metadata.offset, metadata.size));
    }
    refused = co_await reserve();
  } else {
    refused = co_await take_request();
  }
  if (refused) co_await refuse(*refused);
  co_return !refused;
}

// More than can be served: the less a refusal costs, the more are. Not even the key is looked up.
ring::Task<> Exchange::refuse_shed() {
  shed_ = true;
  services_.count(Counter::shed);
  const RequestHeadFacts& head = request_.head;
  if (head.framing == http::Framing::length && head.content_length <= kDroppedBodyBytes) {
    const Result<Body> dropped = co_await read_body(services_, *client_.stream, head);
    if (!dropped) co_return;
    request_.head.framing = http::Framing::none;
  }
  co_await refuse({.kind = ErrorKind::unavailable,
                   .message = "The gateway has more requests than it can serve; try again soon.",
                   .retry_after_s = kShedRetryS});
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

// Before anything reads the body: what is masked is seen by nobody.
std::optional<Refusal> Exchange::redact_body() {
  if ((key_.flags & (state::kKeyMaskCredentials | state::kKeyRefuseCredentials)) == 0)
    return std::nullopt;
  if ((key_.flags & state::kKeyRefuseCredentials) != 0) {
    const auto found = dialect::find_credential(request_.body.view());
    if (!found) return std::nullopt;
    services_.count(Counter::credentials);
    std::string& text = services_.scratch->refusal_text;
    text = "The request contains " + std::string(found->kind) +
           ", which this API key may not send. Take it out.";
    return Refusal{.kind = ErrorKind::bad_request, .message = text};
  }
  const std::size_t masked = dialect::mask_credentials(request_.body.bytes());
  if (masked > 0) {
    services_.count(Counter::credentials, masked);
    add_label(request_.head.labels, "masked", std::to_string(masked));
  }
  return std::nullopt;
}

std::optional<Refusal> Exchange::authenticate() {
  if (!snapshot_) {
    return Refusal{.kind = ErrorKind::unavailable,
                   .message = "The gateway is not ready; try again soon."};
  }
  const std::unique_ptr<KeyDigests> key = std::move(request_.head.key);
  if (!key) {
    return Refusal{.kind = ErrorKind::unauthenticated,
                   .message = "You did not provide an API key."};
  }
  if (const auto refusal = look_up_key(services_, *key, client_.address_v6, key_)) return refusal;
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
  record.limit = static_cast<std::uint8_t>(refusal.limit);
  record.format_in = static_cast<std::uint8_t>(request_.head.route.format);
  record.address_kind = 6;
  record.client_address = client_.address_v6;
  record.bytes_in = static_cast<std::uint32_t>(request_.body.size());
  record.total_ns =
      static_cast<std::uint64_t>(services_.reactor.now_ns() - request_.head.received_ns);
  services_.refused.push(record);
}

ring::Task<> Exchange::answer_models() {
  const dialect::Route& route = request_.head.route;
  const std::vector<dialect::ModelInfo> models = shown_models(*snapshot_->catalog, key_.model_set);
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
  reusable_ = co_await send_json(services_, *client_.stream, request_.head, 200, body,
                                 delivery_.limits(), true);
}

ring::Task<> Exchange::answer_account() {
  const dialect::Route& route = request_.head.route;
  const TimeNs now_ns = request_.head.received_realtime_ns;
  Result<std::string> body;
  if (route.operation == dialect::Operation::account_request) {
    body = co_await find_request(services_, key_, route.model);
  } else {
    const auto account = view_account(services_, *snapshot_, key_, now_ns);
    body = account ? Result<std::string>(dialect::render_account(route.operation, *account))
                   : std::unexpected(account.error());
  }
  if (body) {
    reusable_ = co_await send_json(services_, *client_.stream, request_.head, 200, *body, {}, true);
  } else if (body.error().code == Errc::not_found) {
    co_await refuse({.kind = ErrorKind::not_found,
                     .message = "No request of this API key that has ended has this id."});
  } else {
    co_await refuse(relay::refusal_of(body.error()));
  }
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
  verb.deadline_ns =
      verb.now_ns + kHoldGraceNs +
      longest_total_ns(services_.settings, catalog, *plan_->model, plan_->candidates);
  verb.idem = request_.head.labels.idem;
  for (bool shrunk = false;; shrunk = true) {
    verb.rate_tokens = plan_->hold.prompt_bound + plan_->hold.slice;
    hold_.emplace(services_, plan_->hold);
    const Result<state::Outcome> outcome = co_await hold_->reserve(verb);
    facts_.reserved_ns = services_.reactor.now_ns();
    if (outcome) {
      delivery_.set_limits(
          limit_lines(request_.head.route.format, outcome->rates, verb.opened_at_ns));
      if (outcome->verdict == state::Verdict::done) co_return std::nullopt;
    }
    hold_.reset();
    if (!outcome) co_return relay::refusal_of(outcome.error());
    const bool by_money = outcome->limit <= state::Limit::wallet_month;
    if (shrunk || !by_money || !shrink_to(services_, key_, *plan_, outcome->affordable)) {
      co_return refusal_of_reserve(*outcome);
    }
  }
}

// What costs nothing takes one request a minute of key and customer all the same (design §12).
ring::Task<std::optional<Refusal>> Exchange::take_request() {
  state::PendingVerb pending;
  pending.verb = state::RequestVerb{
      .wallet_id = key_.wallet_id, .key_id = key_.key_id, .now_ns = services_.reactor.now_ns()};
  co_await VerbAwaiter(services_, pending);
  if (pending.error.code != Errc::none) co_return relay::refusal_of(pending.error);
  delivery_.set_limits(limit_lines(request_.head.route.format, pending.outcome.rates,
                                   request_.head.received_realtime_ns));
  if (pending.outcome.verdict == state::Verdict::done) co_return std::nullopt;
  co_return refusal_of_reserve(pending.outcome);
}

// A budget that begins anew says when.
Refusal Exchange::refusal_of_reserve(const state::Outcome& outcome) {
  using state::Limit;
  Refusal refusal = relay::refusal_of(outcome, services_.scratch->refusal_text);
  refusal.lines = delivery_.limits();
  const bool day = outcome.limit == Limit::key_day || outcome.limit == Limit::wallet_day;
  const bool month = outcome.limit == Limit::key_month || outcome.limit == Limit::wallet_month;
  if (day || month) {
    const bool of_key = outcome.limit == Limit::key_day || outcome.limit == Limit::key_month;
    const TimeNs now_ns = services_.reactor.realtime_ns();
    const auto ends =
        snapshot_->catalog->window_ends(of_key ? key_.zone : key_.wallet_zone, now_ns);
    const TimeNs end_ns = day ? ends.day_ns : ends.month_ns;
    if (end_ns > now_ns) refusal.retry_after_s = (end_ns - now_ns + kSecond - 1) / kSecond;
  }
  return refusal;
}

}  // namespace sluice::relay
