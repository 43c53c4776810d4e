#include "live_answers.hpp"

#include <fmt/format.h>

#include "convert.hpp"

namespace sluice::reconcile {
namespace {

constexpr std::size_t kHoldsMost = 1'000;

}  // namespace

std::string wallet_answer(state::Environment& environment, state::WalletId wallet_id) {
  const auto wallet = environment.find_wallet(wallet_id);
  if (!wallet || !*wallet) return "\n";
  const state::WalletRecord& record = **wallet;
  std::string out = fmt::format("wallet={} available={} held={} charged={} excess={} applied_no={}\n", wallet_id,
                                record.available, record.held, record.charged, record.excess, record.applied_no);
  state::StateCopy copy;
  if (record.held != 0 && state::copy_state(environment, state::kCopyHolds, copy)) {
    std::size_t holds = 0;
    for (const state::HoldRow& hold : copy.holds) {
      if (hold.record.wallet_id != wallet_id || hold.record.state != state::HoldState::open) continue;
      if (++holds > kHoldsMost) break;
      out += fmt::format("hold={} slot={} key={} amount={} opened={} request={}\n", hold.id.seq, hold.id.slot,
                         hold.record.key_id, hold.record.amount, hold.record.opened_at_ns, to_hex(hold.record.request_id));
    }
  }
  return out + "\n";
}

std::string metrics_answer(state::Environment& environment, const Drainer& drainer, const Housekeeping& housekeeping,
                           std::uint64_t lost_records) {
  std::string out;
  const auto counter = [&](std::string_view name, std::uint64_t value) {
    out += fmt::format("# TYPE {0} counter\n{0} {1}\n", name, value);
  };
  const auto gauge = [&](std::string_view name, std::uint64_t value) {
    out += fmt::format("# TYPE {0} gauge\n{0} {1}\n", name, value);
  };
  const HousekeepingCounts& counts = housekeeping.counts();
  counter("sluice_drained_rows_total", drainer.rows_total());
  counter("sluice_drained_batches_total", drainer.batches_total());
  counter("sluice_access_records_lost_total", lost_records);
  counter("sluice_reaped_slots_total", counts.reaped_slots);
  counter("sluice_reaped_holds_total", counts.reaped_holds);
  counter("sluice_expired_holds_total", counts.expired_holds);
  counter("sluice_dead_readers_total", counts.dead_readers);
  counter("sluice_removed_usage_rows_total", counts.removed_rows);
  gauge("sluice_damaged_slots", drainer.stopped().size());
  gauge("sluice_epoch", environment.epoch());
  if (const auto use = environment.map_use()) {
    gauge("sluice_state_map_pages", use->map_pages);
    gauge("sluice_state_free_pages", use->free_pages());
    gauge("sluice_state_oldest_reader_lag", use->oldest_reader_lag);
    gauge("sluice_state_readers", use->readers);
  }
  return out + "\n";
}

}  // namespace sluice::reconcile
