// What the command line and the edge ask a running reconciler.
#include <algorithm>

#include "reconciler_impl.hpp"

namespace sluice::reconcile {
namespace {

constexpr TimeNs kAskedDrainNs = 5 * kMillisecond;

}  // namespace

/// From the ledger; what has ended a moment ago is stored first, unless that was just done: who
/// asks for what is not there shall not make batches small.
bool Reconciler::Impl::answer_request(const Question& question, JsonLine& line) {
  ledger::UsageFilter filter;
  filter.key_id = static_cast<ledger::Id>(question.id);
  filter.request_id = question.request;
  filter.limit = 1;
  if (question.id == 0 || question.request.empty()) return false;
  auto rows = ledger->usage().list(filter);
  const TimeNs drained_ns = next_drain_ns - options.drain_interval_ns;
  const bool lately = clock.monotonic_ns() - drained_ns < kAskedDrainNs;
  if (rows && rows->empty() && !lately && drain_step()) rows = ledger->usage().list(filter);
  if (!rows || rows->empty()) return false;
  append_request(line, rows->front().row, *names);
  return true;
}

std::string Reconciler::Impl::answer(const Question& question) {
  std::string out;
  JsonLine line(out);
  const auto finish = [&] {
    line.end();
    out.pop_back();
    return out;
  };
  if (question.kind == Question::Kind::lag) {
    const Lag lag = drain->lag();
    const TimeNs age_ns = lag.oldest_ns == 0 ? 0 : clock.monotonic_ns() - lag.oldest_ns;
    line.number("rows", static_cast<std::int64_t>(lag.rows));
    line.number("nanos", lag.nanos);
    line.number("age_ms", std::max<TimeNs>(0, age_ns) / kMillisecond);
    line.number("epoch", static_cast<std::int64_t>(started.environment->epoch()));
    line.number("published", publisher->published());
    return finish();
  }
  if (question.kind == Question::Kind::request) {
    if (!answer_request(question, line)) line.plain("error", "no such request");
    return finish();
  }
  if (question.kind == Question::Kind::wallet) {
    const auto wallet = started.environment->find_wallet(question.id);
    if (wallet && *wallet) {
      line.number("wallet", static_cast<std::int64_t>((*wallet)->wallet_id));
      line.number("available", (*wallet)->available);
      line.number("held", (*wallet)->held);
      line.number("charged", (*wallet)->charged);
      line.number("excess", (*wallet)->excess);
      line.number("applied_no", static_cast<std::int64_t>((*wallet)->applied_no));
      return finish();
    }
    line.plain("error", wallet ? "no such wallet" : to_string(wallet.error().code));
    return finish();
  }
  line.plain("error", "unknown question");
  return finish();
}

}  // namespace sluice::reconcile
