// One turn: drain, publish, and what is due each second and each minute.
#include <algorithm>
#include <array>
#include <thread>
#include <utility>

#include "reconciler_impl.hpp"
#include "sluice/base/log.hpp"

namespace sluice::reconcile {
namespace {

constexpr TimeNs kLookNs = 50 * kMillisecond;            // at the ledger, for changes
constexpr TimeNs kBetweenChunksNs = 200 * kMicrosecond;  // shards get the gate in between
constexpr TimeNs kSlotsNs = kSecond;
constexpr TimeNs kExpireNs = 10 * kSecond;
constexpr TimeNs kHouseNs = 60 * kSecond;
constexpr TimeNs kRetryNs = kSecond;
constexpr std::size_t kBatchesAStep = 8;
constexpr std::int64_t kRemoveBatches = 4;  // of usage rows that are old enough, in one transaction
constexpr std::size_t kRefusedAtOnce = 256;
// Admission stops at 70 % of the map and begins again a little lower, so that it does not flutter.
constexpr std::uint64_t kFullPercent = 70;
constexpr std::uint64_t kRoomPercent = 65;

}  // namespace

/// What a failed step means: trouble of the ledger or a full map passes, and is said once; an
/// environment that was replaced ends the process.
Result<> Reconciler::Impl::judge(Episode& episode, const Error& error, std::string_view what,
                                 TimeNs& next_ns) {
  if (error.code == Errc::stale_epoch) return std::unexpected(error);
  episode.begin(std::string(what) + ": " + std::string(to_string(error.code)) + ledger_words());
  next_ns = clock.monotonic_ns() + kRetryNs;
  return {};
}

/// The same for a part of the turn of a second, which comes again by itself.
Result<> Reconciler::Impl::judge(Episode& episode, const Result<>& done, std::string_view what,
                                 std::string_view again) {
  if (!done) return judge(episode, done.error(), what, next_slots_ns);
  episode.end(again);
  return {};
}

Result<> Reconciler::Impl::drain_step() {
  const TimeNs now_ns = clock.monotonic_ns();
  next_drain_ns = now_ns + options.drain_interval_ns;
  if (auto polled = drain->poll(); !polled)
    return judge(drain_trouble, polled.error(), "cannot read the outbox", next_drain_ns);
  std::size_t stored_rows = 0;
  for (std::size_t i = 0; i < kBatchesAStep; ++i) {
    const auto stored = drain->commit_batch();
    if (!stored)
      return judge(drain_trouble, stored.error(), "usage cannot be stored, it waits",
                   next_drain_ns);
    if (*stored == 0) break;
    stored_rows += *stored;
    if (auto trimmed = drain->trim(); !trimmed) {
      return judge(drain_trouble, trimmed.error(), "stored usage cannot be deleted from the outbox",
                   next_drain_ns);
    }
  }
  if (auto trimmed = drain->trim(); !trimmed) {
    return judge(drain_trouble, trimmed.error(), "stored usage cannot be deleted from the outbox",
                 next_drain_ns);
  }
  drain_trouble.end("usage is stored again");
  if (stored_rows >= ledger::kDrainRowsMax)
    next_drain_ns = now_ns;  // more than fits into one interval
  take_refused();
  records->flush();
  return {};
}

/// What the ledger has: to the access records, the spans and those who watch budgets.
void Reconciler::Impl::hand_on(std::span<const state::OutboxRow> rows) {
  if (records->enabled()) {
    for (const state::OutboxRow& row : rows) append_record(records->buffer(), row, *names);
  }
  if (notice_watch) notice_watch->note(rows);
  if (!spans) return;
  for (const state::OutboxRow& row : rows) {
    const RecordNames::Key& key = names->key(row.record.key_id);
    spans->add({row.record, std::string(names->model(row.record.model_id)),
                std::string(names->channel(row.record.channel_id)),
                std::string(names->provider(row.record.channel_id)), key.key, key.customer});
  }
}

Result<> Reconciler::Impl::notice_step() {
  if (!notices) return {};
  for (const NoticeSender::Outcome& outcome : notices->take_outcomes()) {
    if (auto kept = ledger->notices().set_delivery(outcome.id, outcome.delivery); !kept)
      return kept;
    state::AdmissionBlock& block = started.environment->boards().admission();
    auto& counter = outcome.delivery == ledger::NoticeDelivery::done ? block.notices_sent
                                                                     : block.notices_given_up;
    counter.fetch_add(1, std::memory_order_relaxed);
  }
  // Until both looks went well: what the first has raised is not forgotten when the second fails.
  const bool known = std::exchange(notices_known, false);
  const auto raised = notice_watch->step();
  if (!raised) return std::unexpected(raised.error());
  const state::Catalog* catalog = publisher->catalog().present();
  const auto told = catalog != nullptr ? channel_watch->step(*catalog) : Result<bool>(false);
  if (!told) return std::unexpected(told.error());
  if (known && !*raised && !*told) {
    notices_known = true;
    return {};
  }
  const auto waiting = ledger->notices().waiting(NoticeSender::kMostWaiting);
  if (!waiting) return std::unexpected(waiting.error());
  notices->add(*waiting);
  notices_known = waiting->size() < NoticeSender::kMostWaiting;
  return {};
}

void Reconciler::Impl::take_refused() {
  std::array<state::RefusedRecord, kRefusedAtOnce> out;
  state::Boards& boards = started.environment->boards();
  for (state::SlotId slot = 0; slot < started.environment->meta().slots; ++slot) {
    for (std::size_t got = 0; (got = boards.refused(slot).pop(out)) > 0;) {
      for (std::size_t i = 0; i < got; ++i) {
        if (notice_watch) notice_watch->note(out[i]);
        if (records->enabled()) append_record(records->buffer(), out[i], *names);
      }
    }
  }
}

Result<> Reconciler::Impl::publish_step() {
  const TimeNs now_ns = clock.monotonic_ns();
  next_look_ns = now_ns + kLookNs;
  const auto more = publisher->step();
  if (!more)
    return judge(publish_trouble, more.error(), "cannot publish, will try again", next_look_ns);
  publish_trouble.end("publishing works again");
  if (*more) next_look_ns = now_ns + kBetweenChunksNs;
  if (named_catalog != publisher->catalog().generation()) {
    named_catalog = publisher->catalog().generation();
    names->set_catalog(publisher->model_names(), publisher->channel_names(),
                       publisher->channel_providers());
  }
  return {};
}

Result<> Reconciler::Impl::every_second() {
  next_slots_ns = clock.monotonic_ns() + kSlotsNs;
  if (auto judged = judge(notice_trouble, notice_step(), "cannot look for notices",
                          "notices are looked for again");
      !judged) {
    return judged;
  }
  if (auto judged = judge(offer_trouble, offers->step(named_catalog), "cannot keep lists of models",
                          "lists of models are kept again");
      !judged) {
    return judged;
  }
  if (auto stepped = slots->step(); !stepped) {
    return judge(slot_trouble, stepped.error(), "cannot close the holds of a dead shard",
                 next_slots_ns);
  }
  slot_trouble.end("the holds of dead shards are closed again");
  if (const auto forgotten = idem->step(); !forgotten) {
    return judge(slot_trouble, forgotten.error(), "cannot forget old Idempotency-Keys",
                 next_slots_ns);
  } else if (*forgotten) {
    next_slots_ns = clock.monotonic_ns() + kBetweenChunksNs;
  }
  if (const auto use = started.environment->map_use()) {
    const std::uint64_t percent =
        (use->map_pages - use->free_pages()) * 100 / std::max<std::uint64_t>(1, use->map_pages);
    const bool full = percent >= (map_full ? kRoomPercent : kFullPercent);
    if (full != map_full) {
      log_line(full ? LogLevel::error : LogLevel::info, "reconcile",
               full ? "ALARM the map is " + std::to_string(percent) + " % used: no new requests"
                    : "the map has room again");
    }
    map_full = full;
  }
  return {};
}

void Reconciler::Impl::every_minute() {
  next_house_ns = clock.monotonic_ns() + kHouseNs;
  publisher->catalog().remove_old_files();
  if (!started.environment->check_readers())
    log_line(LogLevel::warning, "reconcile", "cannot check LMDB's readers");
  const auto more_former = publisher->forget_former_secrets();
  if (!more_former)
    log_line(LogLevel::warning, "reconcile",
             "secrets of rotated keys cannot be taken away" + ledger_words());
  if (more_former.value_or(false)) next_house_ns = clock.monotonic_ns() + kLookNs;
  const TimeNs before_ns =
      clock.realtime_ns() - static_cast<TimeNs>(options.usage_days) * 86'400 * kSecond;
  const auto removed = ledger->usage().remove_before(before_ns, kRemoveBatches);
  if (removed && *removed > 0) next_house_ns = clock.monotonic_ns() + kLookNs;
}

void Reconciler::Impl::tell_admission() {
  const Lag lag = drain->lag();
  state::AdmissionBlock& block = started.environment->boards().admission();
  block.undrained_rows.store(lag.rows, std::memory_order_relaxed);
  block.undrained_nanos.store(lag.nanos, std::memory_order_relaxed);
  block.undrained_oldest_ns.store(lag.oldest_ns, std::memory_order_relaxed);
  const std::uint32_t stop =
      (drain->broken() ? static_cast<std::uint32_t>(state::kStopUndrained) : 0U) |
      (map_full ? static_cast<std::uint32_t>(state::kStopMapFull) : 0U);
  block.stop.store(stop, std::memory_order_relaxed);
  if (spans) {
    block.spans_sent.store(spans->sent(), std::memory_order_relaxed);
    block.spans_dropped.store(spans->dropped(), std::memory_order_relaxed);
  }
  block.routes_unlisted.store(offers ? offers->unlisted() : 0, std::memory_order_relaxed);
  if (notices) block.notices_waiting.store(notices->waiting(), std::memory_order_relaxed);
  block.reconciler_heartbeat_ns.store(clock.monotonic_ns(), std::memory_order_relaxed);
}

/// A broken outbox is salvaged by starting again, once no shard is at work in it.
Result<> Reconciler::Impl::check_broken() {
  if (!drain->broken()) return {};
  const auto locked = state::any_slot_locked(options.state_directory);
  if (locked && !*locked) return fail(Errc::corrupt);
  return {};
}

Result<> Reconciler::Impl::step() {
  const auto due = [&](TimeNs next_ns) { return clock.monotonic_ns() >= next_ns; };
  if (due(next_drain_ns)) {
    if (auto done = drain_step(); !done) return done;
    tell_admission();
  }
  if (due(next_look_ns)) {
    if (auto done = publish_step(); !done) return done;
  }
  if (due(next_slots_ns)) {
    if (auto done = every_second(); !done) return done;
    if (auto done = check_broken(); !done) return done;
  }
  if (due(next_expire_ns)) {
    next_expire_ns = clock.monotonic_ns() + kExpireNs;
    if (auto done = slots->expire_leaked(); !done) {
      return judge(slot_trouble, done.error(), "cannot expire leaked holds", next_expire_ns);
    }
  }
  if (due(next_house_ns)) every_minute();
  return {};
}

TimeNs Reconciler::Impl::next_due_ns() const {
  return std::min({next_drain_ns, next_look_ns, next_slots_ns, next_expire_ns, next_house_ns});
}

bool Reconciler::Impl::drain_all(TimeNs limit_ns) {
  const TimeNs until_ns = system_clock().monotonic_ns() + limit_ns;
  do {
    if (auto drained = drain->drain_good_rows(); !drained) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      continue;
    }
    if (!drain->trim()) continue;
    take_refused();
    records->flush();
    tell_admission();
    if (drain->empty()) {
      records->flush_and_wait();
      return true;
    }
    if (drain->broken()) break;
  } while (system_clock().monotonic_ns() < until_ns);
  records->flush_and_wait();
  return false;
}

}  // namespace sluice::reconcile
