// The second half of an exchange: the ways that are tried, the answer, the bill.
#include <algorithm>

#include "error_kind.hpp"
#include "exchange.hpp"
#include "scratch.hpp"

namespace sluice::relay {
namespace {

using dialect::ErrorKind;

constexpr const char* kEndedMessage = "The gateway is shutting down; try again.";

/// What the client of a stream that has begun is told of a provider's error.
Exchange::Failure failure_after_head(policy::Fault fault) {
  switch (fault) {
    case policy::Fault::none:
      return {ErrorKind::bad_request, "The provider refused the request."};
    case policy::Fault::rate:
      return {ErrorKind::rate_limited, "The provider's rate limit is reached; try again soon."};
    case policy::Fault::overloaded:
      return {ErrorKind::overloaded, "The provider is overloaded; try again soon."};
    default:
      return {ErrorKind::upstream_failed, "The provider failed; try again soon."};
  }
}

bool has_quirk(const state::ChannelEntry& channel, state::ChannelQuirks bit) {
  return (channel.quirks & bit) != 0;
}

}  // namespace

dialect::ErrorTable Exchange::error_table() const {
  return dialect::ErrorTable(snapshot_->catalog->text(failover_->channel()->error_classes));
}

// Tries one way after the other until one has answered. One coroutine for all of them, beside the
// relay's: both stay while an answer streams.
ring::Task<> Exchange::serve() {
  Verdict verdict = Verdict::failed;
  do {
    failover_.emplace(services_, *snapshot_, *plan_);
    verdict = Verdict::try_next;
    while (verdict == Verdict::try_next && !client_left_ && !ended_) {
      const std::optional<Way> way = failover_->next();
      if (!way) break;
      if (failover_->attempts() <= request_.head.wish.drill) {
        const bool goes_on = failover_->failed({.fault = policy::Fault::drill});
        verdict = goes_on ? Verdict::try_next : Verdict::failed;
        continue;
      }
      Result<ResponseFacts> response = co_await open(*way);
      if (!response) {
        verdict = after_break(response.error());
      } else if (response->status >= 200 && response->status < 300) {
        verdict = co_await relay(*response);
      } else {
        verdict = co_await relay_error(*response);
      }
      if (attempt_) co_await attempt_->finish(upstream_reusable_);
      attempt_.reset();
    }
    if (hold_ && hold_->open()) {
      const price::End end = client_left_ ? price::End::client_left : price::End::no_candidate;
      co_await close_hold(end, nullptr, 0);
    }
    if (verdict == Verdict::answered || client_left_) co_return;
  } while (failover_->may_leave_model() && !ended_ && co_await next_model());
  co_await answer_failure();
}

// All channels of a model have failed, and the group has another one: its price is its own, so the
// hold was given back and is made anew. False with failure_ as it was when there is none, or with
// what refuses it.
ring::Task<bool> Exchange::next_model() {
  policy::Denial denial;
  std::unique_ptr<Plan> next =
      make_plan(services_, *snapshot_, key_, request_, denial, plan_->next_model);
  if (!next) co_return false;
  hold_.reset();
  plan_ = std::move(next);
  if (!plan_->billed) co_return true;
  const std::optional<Refusal> refused = co_await reserve();
  if (!refused) co_return true;
  failure_ = Failure{refused->kind, "The balance or budget does not suffice for this model."};
  co_return false;
}

// No provider has delivered anything.
ring::Task<> Exchange::answer_failure() {
  if (!failure_ && ended_) failure_ = Failure{ErrorKind::unavailable, kEndedMessage};
  if (!failure_) {
    failure_ =
        Failure{ErrorKind::upstream_failed, "Every provider of this model failed; try again soon."};
  }
  if (delivery_.head_sent()) {
    co_await delivery_.send_error(failure_->kind, failure_->message);
    co_return;
  }
  co_await refuse({.kind = failure_->kind,
                   .message = failure_->message,
                   .retry_after_s = failure_->kind == ErrorKind::unavailable ? 1 : -1});
}

Timeouts Exchange::timeouts_to(const state::ChannelEntry& channel) const {
  return timeouts_of(services_.settings, *plan_->model, channel, plan_->stream);
}

// Makes the bytes of the request for one way.
Result<UpstreamTarget> Exchange::prepare_attempt(const Way& way) {
  UpstreamTarget target{.snapshot = *snapshot_,
                        .channel = way.channel,
                        .upstream_model = snapshot_->catalog->text(way.candidate.upstream_model),
                        .provider_key = way.provider_key};
  if (target.upstream_model == state::kAsAsked) target.upstream_model = plan_->asked;
  const bool in_body = dialect::model_in_body(plan_->operation);
  const auto edits = dialect::plan_edits(
      *plan_->scan,
      {.upstream_model = in_body ? target.upstream_model : std::string_view{},
       .include_usage = plan_->stream,
       .without_stream_options = has_quirk(way.channel, state::kQuirkNoStreamOptions)
                                     ? request_.body.view()
                                     : std::string_view{},
       .output_cap = plan_->output_cap,
       .cap_field = has_quirk(way.channel, state::kQuirkCapIsMaxTokens) ? "max_tokens" : ""});
  if (!edits) return std::unexpected(edits.error());
  attempt_.emplace(services_, request_, hold());
  if (const Result<> made = attempt_->prepare(target, *edits); !made) {
    attempt_.reset();
    return std::unexpected(made.error());
  }
  upstream_reusable_ = false;
  return target;
}

// Sends the request one way and waits for the head of its answer; a stream is kept alive meanwhile.
// Where the provider had closed the connection meanwhile, the same way is taken once more on a new
// one.
ring::Task<Result<ResponseFacts>> Exchange::open(const Way& way) {
  const Timeouts timeouts = timeouts_to(way.channel);
  for (bool fresh = false;; fresh = true) {
    const Result<UpstreamTarget> target = prepare_attempt(way);
    if (!target) co_return std::unexpected(target.error());
    const Result<> started = co_await attempt_->start(*target, timeouts, fresh);
    facts_.connected_ns = attempt_->connected_ns();
    facts_.bytes_in = request_.body.size();
    if (!started) co_return std::unexpected(started.error());
    const TimeNs total_ns = request_.head.received_ns + timeouts.total_ns;
    const TimeNs deadline_ns =
        std::min(total_ns, services_.reactor.now_ns() + timeouts.first_byte_ns);
    Result<ResponseFacts> response;
    for (;;) {
      const bool pings = plan_->stream && !client_left_;
      const TimeNs wake_ns = pings ? std::min(deadline_ns, delivery_.ping_due_ns()) : deadline_ns;
      response = co_await attempt_->read_head(wake_ns);
      const bool waits = !response && response.error().code == Errc::timed_out &&
                         services_.reactor.now_ns() < deadline_ns && !ended_;
      if (!waits) break;
      if (client_left_) continue;  // it is read on for the usage
      const Result<> sent = co_await delivery_.ping(nullptr);
      static_cast<void>(sent);  // a client that has gone is noticed as such
    }
    const bool stale = !response && attempt_->is_stale(response.error());
    if (stale) services_.count(Counter::upstream_stale);
    if (!stale || !may_send_anew(response.error())) {
      if (response) facts_.first_byte_ns = services_.reactor.now_ns();
      if (failover_->is_last() && attempt_->sent_all()) release_sent();
      if (stale) co_return fail(response.error().code, Source::upstream, Retry::yes);
      co_return response;
    }
    co_await attempt_->finish(false);
    if (client_left_ || ended_) co_return fail(Errc::cancelled);
  }
}

// What may have been read all the same. A provider that resets has perhaps read it: who closes what
// it no longer uses ends it in order.
bool Exchange::may_send_anew(const Error& error) const {
  return error.code != Errc::reset && !client_left_ && !ended_ &&
         (plan_->model->flags & state::kModelRetryAfterSend) != 0;
}

bool Exchange::may_retry_sent() const {
  return failover_->more_than_keys() && (plan_->model->flags & state::kModelRetryAfterSend) != 0;
}

// The provider broke before anything of it was delivered: may another one be tried?
Exchange::Verdict Exchange::after_break(const Error& error) {
  if (client_left_ || ended_ || !attempt_) {  // or there is nothing that could be sent
    failover_->abandoned();
    if (client_left_) return Verdict::client_left;
    if (ended_) failure_ = Failure{ErrorKind::unavailable, kEndedMessage};
    return Verdict::failed;
  }
  facts_.error = error.code;
  AttemptEnd end{.sent = attempt_->sent_any()};
  // Sent, and yet it might be sent again: the provider had closed the connection before.
  if (end.sent && error.retry == Retry::yes) end.fault = policy::Fault::none;
  if (error.source == Source::self && error.code == Errc::full) {  // no descriptor, no port
    failure_ = Failure{ErrorKind::unavailable, "The gateway is at its limit; try again soon."};
    end.fault = policy::Fault::none;
  } else if (error.code == Errc::timed_out) {
    failure_ = Failure{ErrorKind::timed_out, "The provider did not answer in time."};
  } else {
    failure_ = Failure{ErrorKind::upstream_failed,
                       "The provider could not be reached or broke the connection."};
  }
  return failover_->failed(end) ? Verdict::try_next : Verdict::failed;
}

// Success by its status and an error by its body, of which the client has seen nothing: another way
// may do, or the client gets the error that it is, with the provider's text.
ring::Task<Exchange::Verdict> Exchange::answer_refused(const Meter& meter) {
  const dialect::Format format = request_.head.route.format;
  const dialect::ErrorClass error_class = meter.error_class(format);
  const policy::Fault fault = meter.fault(format);
  services_.count(counter_of(error_class));
  facts_.error = Errc::refused;
  failure_ = Failure{ErrorKind::upstream_failed,
                     "The provider of this model is not available; try again soon."};
  if (fault == policy::Fault::none) {
    failover_->succeeded(0);  // the caller's own fault
  } else if (failover_->failed({.fault = fault, .sent = true, .answered = true, .status = 200})) {
    co_return Verdict::try_next;
  } else if (failover_->may_leave_model()) {
    co_return Verdict::failed;
  }
  if (delivery_.head_sent()) failure_ = failure_after_head(fault);
  const ErrorKind kind = kind_of(error_class);
  // Of the operator's account nobody is told.
  if (delivery_.head_sent() || kind == ErrorKind::upstream_failed) co_return Verdict::failed;
  facts_.status = static_cast<std::uint16_t>(dialect::status_of(format, kind));
  if (hold_) co_await close_hold(price::End::no_candidate, nullptr, 0);
  const std::string message(meter.error_message());
  co_await refuse({.kind = kind, .message = message});
  co_return Verdict::answered;
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
    case PumpEnd::refused:  // another one was tried, or the failure is answered
    case PumpEnd::ended:
      facts_.error = Errc::cancelled;
      return {price::End::cut, ErrorKind::unavailable, kEndedMessage};
    case PumpEnd::timed_out:
      facts_.error = Errc::timed_out;
      return {price::End::cut, ErrorKind::timed_out, "The request took longer than is allowed."};
  }
  return {price::End::cut, ErrorKind::internal, "The gateway failed."};
}

PumpContext Exchange::pump_context(ResponseFacts& response, bool may_retry) {
  const Timeouts timeouts = timeouts_to(*failover_->channel());
  return {.services = services_,
          .delivery = delivery_,
          .failover = *failover_,
          .client = *client_.stream,
          .upstream = attempt_->upstream(),
          .hold = hold(),
          .request = request_.head,
          .response = response,
          .client_left = client_left_,
          .ended = ended_,
          .drain_after_client = key_.on_disconnect == state::OnDisconnect::drain,
          .read_on = read_on_,
          .commit_late = may_retry,
          .stream = plan_->stream,
          .total_deadline_ns = request_.head.received_ns + timeouts.total_ns,
          .first_token_deadline_ns = services_.reactor.now_ns() + timeouts.first_token_ns,
          .between_tokens_ns = timeouts.between_tokens_ns,
          .sent_ns = attempt_->sent_ns()};
}

ring::Task<Exchange::Verdict> Exchange::relay(ResponseFacts& response) {
  const dialect::Route& route = request_.head.route;
  const bool whole = !response.event_stream && !route.json_array;
  const bool may_retry = may_retry_sent();
  if (!may_retry && attempt_->sent_all()) release_sent();
  DownPump pump(pump_context(response, may_retry),
                {.operation = route.operation,
                 .framing = whole              ? dialect::Framing::json
                            : route.json_array ? dialect::Framing::json_array
                                               : dialect::Framing::sse,
                 .quirks = {.reasoning_outside_completion =
                                has_quirk(*failover_->channel(), state::kQuirkReasoningOutside)},
                 .withhold_usage = plan_->withholds_usage,
                 .errors = error_table()});
  if (plan_->stream && !delivery_.head_sent()) services_.count(Counter::streams);
  facts_.status = static_cast<std::uint16_t>(response.status);
  PumpEnd end = PumpEnd::upstream_broke;
  // What is no stream cannot go on where the head of one was sent.
  if (!response.encoded && !(whole && delivery_.head_sent())) end = co_await pump.run();
  facts_.first_token_ns = pump.first_token_ns();
  facts_.bytes_out = pump.bytes_out();
  services_.count(Counter::bytes_out, pump.bytes_out());
  reusable_ = end == PumpEnd::finished && delivery_.reusable();
  upstream_reusable_ = end == PumpEnd::finished && pump.upstream_reusable();
  if (end == PumpEnd::refused) co_return co_await answer_refused(pump.meter());
  const bool broke = end == PumpEnd::upstream_broke || end == PumpEnd::ended;
  if (broke && !delivery_.begun() && !client_left_) {
    co_return after_break(
        {pump.timed_out() ? Errc::timed_out : Errc::truncated, Source::upstream, Retry::no, 0});
  }
  const policy::Fault fault = end == PumpEnd::upstream_broke ? policy::Fault::broke
                              : pump.meter().failed()        ? pump.meter().fault(route.format)
                                                             : policy::Fault::none;
  failover_->ended(fault, end == PumpEnd::finished);
  const Ending ending = describe(end, pump.meter());
  if (!ending.message.empty()) {
    attempt_->abort();  // the provider stops now, not when the client has read its error
    co_await pump.send_error_event(ending.kind, ending.message);
  }
  if (hold_) co_await close_hold(ending.money, &pump.meter(), pump.counted_output());
  co_return client_left_ ? Verdict::client_left : Verdict::answered;
}

// An answer other than success: another way where the class of the error allows it, else the
// provider's own words, unless they speak of the operator's account.
ring::Task<Exchange::Verdict> Exchange::relay_error(const ResponseFacts& response) {
  const ErrorAnswer answer =
      co_await read_error_answer(services_, attempt_->upstream(), request_.head.route.format,
                                 error_table(), response, services_.settings.connect_ns);
  if (client_left_) {
    failover_->abandoned();
    co_return Verdict::client_left;
  }
  upstream_reusable_ = answer.reusable;
  facts_.error = Errc::refused;
  facts_.status = static_cast<std::uint16_t>(response.status);
  const bool our_trouble =
      answer.fault == policy::Fault::key_bad || answer.fault == policy::Fault::no_money;
  if (answer.fault == policy::Fault::none) {
    failover_->succeeded(0);  // the caller's own fault
  } else if (failover_->failed({.fault = answer.fault,
                                .sent = true,
                                .answered = true,
                                .status = facts_.status,
                                .retry_after_ns = answer.retry_after_ns})) {
    co_return Verdict::try_next;
  } else if (failover_->may_leave_model()) {
    co_return Verdict::failed;
  }
  if (our_trouble || !answer.whole) {
    failure_ = Failure{ErrorKind::upstream_failed,
                       "The provider of this model is not available; try again soon."};
    co_return Verdict::failed;
  }
  if (delivery_.head_sent()) {
    failure_ = failure_after_head(answer.fault);
    co_return Verdict::failed;
  }
  if (hold_) co_await close_hold(price::End::no_candidate, nullptr, 0);
  std::string lines(response.forwarded.view());
  lines += delivery_.limits();
  reusable_ = co_await send_json(services_, *client_.stream, request_.head, response.status,
                                 answer.body.view(), lines, true);
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
  state::OutboxRecord record = usage_record(request_.head, *plan_, *failover_, facts_,
                                            client_.address_v6, services_.reactor.now_ns());
  const state::ChannelEntry* channel = failover_->channel();
  const Result<price::Charge> charge = co_await hold_->close(
      end, metered, channel != nullptr ? channel->multiplier : price::kOne, record);
  if (!charge) co_return;  // the reaper closes it by the meter board
  services_.count(Counter::charged_nanos,
                  static_cast<std::uint64_t>(charge->charged + charge->excess));
  services_.count(Counter::input_tokens, static_cast<std::uint64_t>(charge->billed.prompt()));
  services_.count(Counter::output_tokens, static_cast<std::uint64_t>(charge->billed.output));
}

}  // namespace sluice::relay
