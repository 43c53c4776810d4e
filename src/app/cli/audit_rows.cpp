#include "audit_rows.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "audit_price.hpp"

namespace sluice::cli {
namespace {

template <class Map, class Key>
std::uint64_t number_of(const Map& map, const Key& key) {
  const auto found = map.find(key);
  return found == map.end() ? 0 : found->second;
}

class RowAudit {
 public:
  RowAudit(ledger::Ledger& ledger, std::uint32_t node, const AuditedState& state,
           Findings& findings, Progress& progress)
      : ledger_(ledger),
        node_(node),
        epoch_(state.before.meta.epoch),
        state_(state),
        progress_(progress),
        closes_(findings.add("I3", "each hold closes once")),
        above_(findings.add("I4", "what a hold is charged is at most the hold")),
        ahead_(findings.add("I5", "the ledger is not ahead of the outbox")),
        whole_(findings.add("I5", "every outbox row is in the ledger or still in the outbox")),
        price_(findings.add("I9", "tokens × price = what was charged")) {}

  Result<RowSums> run() {
    if (auto stored = stored_rows(); !stored) return std::unexpected(stored.error());
    if (auto waiting = waiting_rows(); !waiting) return std::unexpected(waiting.error());
    count_all();
    if (auto windows = window_sums(); !windows) return std::unexpected(windows.error());
    return std::move(sums_);
  }

 private:
  Result<> stored_rows() {
    const auto prices = ledger_.catalog().prices(0);
    if (!prices) return std::unexpected(prices.error());
    const AuditPrices audit_prices(*prices);
    progress_.begin("usage rows", rows_written());
    std::map<std::uint32_t, std::uint64_t> last;
    auto visited = ledger_.sums().each_usage(node_, epoch_, [&](const ledger::StoredUsage& stored) {
      progress_.step();
      const ledger::UsageRow& row = stored.row;
      const std::uint64_t head = number_of(state_.heads_after, row.slot);
      ahead_.expect(row.seq <= head, [&] {
        return fmt::format("ledger row {} of slot {}, but its outbox ends at {}", row.seq, row.slot,
                           head);
      });
      const std::uint64_t before = last[row.slot];
      last[row.slot] = row.seq;
      whole_.expect(before == 0 || row.seq == before + 1, [&] {
        return fmt::format("slot {}: row {} is missing in the ledger", row.slot, before + 1);
      });
      if (row.seq > number_of(state_.heads, row.slot)) {  // younger than the copy
        add_spent(row.key_id, row.wallet_id, row.key_day, row.key_month, row.wallet_day,
                  row.wallet_month, -(row.charged + row.excess));
        return;
      }
      ++stored_;
      take(row, audit_prices);
    });
    if (!visited) return visited;
    price_.checked -= audit_prices.skipped();
    price_.sums = fmt::format("{} rows have no fixed price (time windows, tiers, damaged usage)",
                              audit_prices.skipped());
    const auto removed = ledger_.sums().removed(node_, epoch_);
    if (!removed) return std::unexpected(removed.error());
    for (const ledger::RemovedSum& sum : removed->sums) {
      add(sum.wallet_id, sum.charged, sum.excess, true);
    }
    removed_ = removed->rows;
    return {};
  }

  Result<> waiting_rows() {
    const auto cursors = ledger_.usage().cursors(node_, epoch_);
    if (!cursors) return std::unexpected(cursors.error());
    std::map<std::uint32_t, std::uint64_t> next;
    for (const ledger::Cursor& cursor : *cursors) {
      const std::uint64_t head = number_of(state_.heads_after, cursor.slot);
      ahead_.expect(cursor.seq <= head, [&] {
        return fmt::format("ledger cursor of slot {} is {}, but its outbox ends at {}", cursor.slot,
                           cursor.seq, head);
      });
      next[cursor.slot] = std::min(cursor.seq, number_of(state_.heads, cursor.slot));
    }
    for (const state::OutboxRow& row : state_.before.outbox) {
      std::uint64_t& before = next[row.id.slot];
      if (row.id.seq <= before) continue;  // in both: drained, not yet deleted
      whole_.expect(row.id.seq == before + 1 && row.record.hold.epoch == epoch_, [&] {
        return row.id.seq == before + 1
                   ? fmt::format("slot {}: outbox row {} is of epoch {}", row.id.slot, row.id.seq,
                                 row.record.hold.epoch)
                   : fmt::format("slot {}: outbox row {} is missing", row.id.slot, before + 1);
      });
      before = row.id.seq;
      ++waiting_;
      take(row);
    }
    for (const auto& [slot, head] : state_.heads) {
      const std::uint64_t reached = next[slot];
      whole_.expect(reached == head, [&, number = slot, end = head] {
        return reached < end
                   ? fmt::format(
                         "slot {}: row {} is neither in the ledger nor in the outbox, "
                         "which ends at {}",
                         number, reached + 1, end)
                   : fmt::format("slot {}: outbox row {} is above the slot's last number {}",
                                 number, reached, end);
      });
    }
    return {};
  }

  [[nodiscard]] std::uint64_t rows_written() const {
    std::uint64_t rows = 0;
    for (const auto& [slot, head] : state_.heads) rows += head;
    return rows;
  }

  void count_all() {
    const auto written = static_cast<std::int64_t>(rows_written());
    whole_.expect(stored_ + waiting_ + removed_ == written, [&] {
      return fmt::format("{} rows were written, {} are there", written,
                         stored_ + waiting_ + removed_);
    });
    whole_.sums = fmt::format("written {} in the ledger {} undrained {} aged out {}", written,
                              stored_, waiting_, removed_);
  }

  void close(std::uint32_t slot, std::uint64_t hold, std::uint64_t seq, std::int64_t kind) {
    // An expired hold may be settled late; then this is its one row, and its expiry has none.
    if (hold == 0) return;
    const auto [first, fresh] = sums_.closed.try_emplace({slot, hold}, seq);
    closes_.expect(fresh, [&] {
      return fmt::format("hold {} of slot {} is closed by row {} and again by row {} (kind {})",
                         hold, slot, first->second, seq, kind);
    });
  }

  static bool is_late(std::int64_t kind) {
    return kind == static_cast<std::int64_t>(state::OutboxKind::late);
  }

  void add(ledger::Id wallet, Nanos charged, Nanos excess, bool late) {
    WalletSums& sums = sums_.wallets[wallet];
    sums.charged += charged;
    sums.excess += excess;
    if (late) sums.late += charged;
  }

  void take(const ledger::UsageRow& row, const AuditPrices& prices) {
    add(row.wallet_id, row.charged, row.excess, is_late(row.kind));
    above_.expect(row.charged <= row.held, [&] {
      return fmt::format("ledger row {} of slot {}: charged {} of a hold of {}", row.seq, row.slot,
                         row.charged, row.held);
    });
    close(row.slot, row.hold_seq, row.seq, row.kind);
    if (const auto exact = prices.wrong(row)) {
      price_.expect(false, [&] {
        return fmt::format("ledger row {} of slot {}: {} nanos, its tokens cost {}", row.seq,
                           row.slot, row.charged + row.excess + row.loss, *exact);
      });
    } else {
      ++price_.checked;
    }
  }

  void take(const state::OutboxRow& row) {
    const state::OutboxRecord& record = row.record;
    add(static_cast<ledger::Id>(record.wallet_id), record.charged, record.excess,
        record.kind == state::OutboxKind::late);
    above_.expect(record.charged <= record.held, [&] {
      return fmt::format("outbox row {} of slot {}: charged {} of a hold of {}", row.id.seq,
                         row.id.slot, record.charged, record.held);
    });
    close(row.id.slot, record.hold.seq, row.id.seq, static_cast<std::int64_t>(record.kind));
    add_spent(static_cast<ledger::Id>(record.key_id), static_cast<ledger::Id>(record.wallet_id),
              record.key_windows.day, record.key_windows.month, record.wallet_windows.day,
              record.wallet_windows.month, record.charged + record.excess);
  }

  void add_spent(ledger::Id key, ledger::Id wallet, std::int64_t key_day, std::int64_t key_month,
                 std::int64_t wallet_day, std::int64_t wallet_month, Nanos spent) {
    sums_.owners[{ledger::OwnerKind::key, key}].add(key_day, key_month, spent);
    sums_.owners[{ledger::OwnerKind::wallet, wallet}].add(wallet_day, wallet_month, spent);
  }

  // The ledger's own sums of windows: of all epochs, which is what a rebuild starts from.
  Result<> window_sums() {
    const auto slots = ledger_.sums().slot_rows();
    if (!slots) return std::unexpected(slots.error());
    sums_.owners_complete =
        std::ranges::all_of(*slots, [&](const auto& slot) { return slot.node == node_; });
    for (const auto kind : {ledger::OwnerKind::key, ledger::OwnerKind::wallet}) {
      const auto sums = ledger_.usage().window_sums(kind, 0);
      if (!sums) return std::unexpected(sums.error());
      for (const ledger::WindowSum& sum : *sums)
        sums_.owners[{kind, sum.owner_id}].add(sum.day, sum.month, sum.spent);
    }
    return {};
  }

  ledger::Ledger& ledger_;
  const std::uint32_t node_;
  const std::uint64_t epoch_;
  const AuditedState& state_;
  Progress& progress_;
  Finding& closes_;
  Finding& above_;
  Finding& ahead_;
  Finding& whole_;
  Finding& price_;
  RowSums sums_;
  std::int64_t stored_ = 0, waiting_ = 0, removed_ = 0;
};

}  // namespace

void OwnerSums::add(std::int64_t in_day, std::int64_t in_month, Nanos spent) {
  total += spent;
  day[in_day] += spent;
  month[in_month] += spent;
}

Result<RowSums> audit_rows(ledger::Ledger& ledger, std::uint32_t node, const AuditedState& state,
                           Findings& findings, Progress& progress) {
  return RowAudit(ledger, node, state, findings, progress).run();
}

}  // namespace sluice::cli
