#include "refusal.hpp"

#include "scratch.hpp"
#include "sluice/http/status.hpp"

namespace sluice::relay {
namespace {

using dialect::ErrorKind;
using state::Limit;

constexpr std::int64_t kIdemFullRetryS = 60;

std::string_view message_of(const Error& error) {
  switch (error.code) {
    case Errc::bad_syntax:
      return "The request is malformed.";
    case Errc::bad_framing:
      return "The request's framing is invalid.";
    case Errc::too_large:
      return "The request body is too large.";
    case Errc::head_too_large:
      return "The request's header section is too large.";
    case Errc::target_too_long:
      return "The request target is too long.";
    case Errc::unsupported:
      return "The request uses a feature of HTTP that is not supported.";
    case Errc::bad_value:
      return "The request has an invalid value.";
    case Errc::expectation_failed:
      return "The expectation is not supported.";
    case Errc::timed_out:
      return "The request did not arrive in time.";
    case Errc::full:
      return "The gateway is at its limit; try again soon.";
    case Errc::unavailable:
    case Errc::stale_epoch:
      return "The gateway is not ready; try again soon.";
    default:
      return "The gateway failed.";
  }
}

std::string usd(Nanos nanos) {
  // Rounded down to 10^-6 USD: what is said to be affordable is.
  const Nanos micros = nanos / 1000;
  std::string fraction = std::to_string(micros % 1'000'000);
  fraction.insert(0, 6 - fraction.size(), '0');
  return std::to_string(micros / 1'000'000) + "." + fraction + " USD";
}

// The only thing that a client whose first attempt was lost on its way can learn about it.
std::string repeated_text(const state::FirstUse& first) {
  const RequestIdText id = to_text(first.request_id);
  const std::string request = "request " + std::string(id.data(), id.size());
  if (first.running) return "This Idempotency-Key is in use: " + request + " is still running.";
  return "This Idempotency-Key was used before: " + request + " cost " + usd(first.cost) + ".";
}

}  // namespace

Refusal refusal_of(const Error& error) {
  Refusal refusal;
  refusal.message = message_of(error);
  refusal.kind = dialect::kind_of(error);
  // Formats differ in what a body over the limit is; the rest is HTTP's own.
  if (error.source == Source::client && error.code != Errc::too_large) {
    refusal.status = http::status_of(error);
  }
  if (error.code == Errc::full || error.code == Errc::unavailable ||
      error.code == Errc::stale_epoch) {
    refusal.kind = ErrorKind::unavailable;
    refusal.retry_after_s = 1;
  }
  return refusal;
}

bool has_left(const Error& error) {
  switch (error.code) {
    case Errc::closed:
    case Errc::reset:
    case Errc::truncated:  // many clients end TLS without saying so
    case Errc::tls_failed:
    case Errc::cancelled:
      return true;
    default:
      return false;
  }
}

Refusal refusal_of(const state::Outcome& outcome, std::string& text) {
  Refusal refusal;
  refusal.limit = outcome.limit;
  const std::string affordable = " " + usd(outcome.affordable) + " would have been available.";
  switch (outcome.limit) {
    case Limit::balance:
      refusal.kind = ErrorKind::no_funds;
      text = "Your prepaid balance is too low for this request." + affordable;
      break;
    case Limit::key_total:
    case Limit::key_day:
    case Limit::key_month:
      refusal.kind = ErrorKind::budget_exhausted;
      text = "The budget of this API key is used up." + affordable;
      break;
    case Limit::wallet_total:
    case Limit::wallet_day:
    case Limit::wallet_month:
      refusal.kind = ErrorKind::budget_exhausted;
      text = "The budget of this account is used up." + affordable;
      break;
    case Limit::key_in_flight:
    case Limit::wallet_in_flight:
      refusal.kind = ErrorKind::rate_limited;
      refusal.retry_after_s = 1;
      text = "Too many requests at the same time.";
      break;
    case Limit::key_requests:
    case Limit::wallet_requests:
    case Limit::key_tokens:
    case Limit::wallet_tokens:
      refusal.kind = ErrorKind::rate_limited;
      refusal.retry_after_s = (outcome.retry_after_ns + kSecond - 1) / kSecond;
      text = "The rate limit is reached.";
      break;
    case Limit::repeated:
      refusal.kind = ErrorKind::conflict;
      text = repeated_text(outcome.first);
      break;
    case Limit::idem_full:
      refusal.kind = ErrorKind::rate_limited;
      refusal.retry_after_s = kIdemFullRetryS;
      text = "No more Idempotency-Keys can be kept now; try again later, or without one.";
      break;
    case Limit::key_state:
      refusal.kind = ErrorKind::unauthenticated;
      text = "This API key is disabled.";
      break;
    case Limit::wallet_state:
      refusal.kind = ErrorKind::forbidden;
      text = "This account is suspended.";
      break;
    case Limit::none:
    case Limit::expired:
    case Limit::undrained:
    case Limit::map_full:
      refusal.kind = ErrorKind::unavailable;
      refusal.retry_after_s = 1;
      text = "The gateway cannot take more requests now; try again soon.";
      break;
  }
  refusal.message = text;
  return refusal;
}

ring::Task<bool> send_json(Services& services, net::Stream& client, const RequestHeadFacts& request,
                           int status, std::string_view body, std::string_view extra_lines,
                           bool keep_alive) {
  const bool keep = keep_alive && request.keep_alive && !services.draining;
  const Result<Body> head = write_client_head(services, request,
                                              {.status = status,
                                               .framing = BodyFraming::length,
                                               .content_length = body.size(),
                                               .keep_alive = keep,
                                               .http_1_0 = request.http_1_0,
                                               .forwarded = {},
                                               .extra = extra_lines,
                                               .content_type = "application/json"});
  if (!head) co_return false;
  const bool with_body = request.method != http::Method::head && !body.empty();
  const std::array<iovec, 2> pieces{iovec{const_cast<char*>(head->view().data()), head->size()},
                                    iovec{const_cast<char*>(body.data()), body.size()}};
  const Result<> sent =
      co_await client.send({pieces.data(), with_body ? 2U : 1U}, services.settings.write_stall_ns);
  co_return sent&& keep;
}

ring::Task<bool> send_refusal(Services& services, net::Stream& client,
                              const RequestHeadFacts& request, Refusal refusal, bool keep_alive) {
  const RequestIdText id = to_text(request.id);
  const dialect::Format format = request.route.format;
  const std::size_t bytes = dialect::render_error(format, refusal.kind,
                                                  {.message = refusal.message,
                                                   .request_id = {id.data(), id.size()},
                                                   .param = refusal.param,
                                                   .retry_after_s = refusal.retry_after_s},
                                                  services.scratch->error_text);
  std::array<char, 128> retry;
  const std::size_t retry_bytes =
      dialect::render_error_headers(refusal.kind, refusal.retry_after_s, retry);
  std::string lines(retry.data(), retry_bytes);
  lines += refusal.lines;
  const std::string body(services.scratch->error_text.data(), bytes);
  const int status =
      refusal.status != 0 ? refusal.status : dialect::status_of(format, refusal.kind);
  services.count(Counter::refused);
  co_return co_await send_json(services, client, request, status, body, lines, keep_alive);
}

}  // namespace sluice::relay
