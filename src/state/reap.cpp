// Row 5: the holds of a slot whose owner died, closed by what its meter board says.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/crash_point.hpp"
#include "sluice/state/gate.hpp"
#include "sluice/state/slots.hpp"

namespace sluice::state {
namespace {

constexpr TimeNs kGateWaitNs = 5 * kSecond;

/// Entries of a dead shard's board by hold, read once.
class BoardIndex {
 public:
  explicit BoardIndex(const MeterBoard& board) : board_(board) {
    for (std::uint32_t i = 0; i < board.capacity(); ++i) {
      if (const std::uint64_t seq = board.hold_at(i); seq != 0) entries_.push_back({seq, i});
    }
    std::ranges::sort(entries_, {}, &Entry::seq);
  }
  /// None matching = RESERVED (row 1).
  [[nodiscard]] MeterView find(std::uint64_t seq) const {
    const auto it = std::ranges::lower_bound(entries_, seq, {}, &Entry::seq);
    if (it == entries_.end() || it->seq != seq) return {};
    return board_.read(it->index).value_or(MeterView{});
  }

 private:
  struct Entry {
    std::uint64_t seq;
    std::uint32_t index;
  };
  MeterBoard board_;
  std::vector<Entry> entries_;
};

struct Context {
  const BoardIndex& board;
  PriceLookup prices;
  ReapTotals totals;
};

price::Charge decide(void* opaque, const HoldId& id, const HoldRecord& hold, OutboxRecord& record) {
  auto& context = *static_cast<Context*>(opaque);
  const MeterView seen = context.board.find(id.seq);
  const price::PriceRow* row =
      context.prices.find == nullptr
          ? nullptr
          : context.prices.find(context.prices.context, hold.price_version);
  record.end = price::End::shard_died;
  record.phase = seen.phase;
  record.format_in = hold.format;
  record.channel_id = seen.channel_id;
  record.attempts =
      static_cast<std::uint16_t>(seen.attempt + (seen.phase > price::Phase::reserved ? 1 : 0));
  record.counted_output = seen.metered.counted_output;
  record.started_at_ns = hold.opened_at_ns;
  record.error = static_cast<std::uint32_t>(Errc::unavailable);
  price::Charge charge = price::charge(price::End::shard_died, seen.phase, seen.metered, row,
                                       hold.terms(), hold.amount, hold.excess_max);
  ++((charge.flags & price::kChargeVoid) != 0 ? context.totals.voided : context.totals.settled);
  return charge;
}

/// One transaction inside the gate.
Result<ReapOutcome> reap_once(Store& store, Gate& gate, const ReapVerb& verb) {
  if (gate.enter(Gate::kReconciler, kGateWaitNs) == Gate::Entry::busy)
    return fail(Errc::unavailable);
  struct Leave {
    Gate& gate;
    ~Leave() { gate.leave(); }
  } leave{gate};
  const Result<Tables*> tables = store.begin();
  if (!tables) return std::unexpected(tables.error());
  Result<ReapOutcome> outcome = apply(**tables, verb);
  if (!outcome) {
    store.abort();
    return outcome;
  }
  crash_point();
  const Result<> committed = store.commit();
  crash_point();
  if (!committed) return std::unexpected(committed.error());
  return outcome;
}

}  // namespace

Result<PricesInForce> PricesInForce::load(Environment& environment) {
  const auto gone = [](Errc code) { return code == Errc::not_found || code == Errc::corrupt; };
  PricesInForce prices;
  const Result<CatalogPointer> pointer = environment.catalog_pointer();
  if (!pointer && !gone(pointer.error().code)) return std::unexpected(pointer.error());
  if (!pointer || pointer->catalog_generation == 0) return prices;
  const std::string_view name(pointer->catalog_file.data(), pointer->catalog_file.size());
  auto opened = Catalog::open(
      environment.epoch_directory() + "/" + std::string(name.substr(0, name.find('\0'))),
      pointer->catalog_hash);
  if (!opened && !gone(opened.error().code)) return std::unexpected(opened.error());
  if (opened) prices.catalog_ = std::move(*opened);
  return prices;
}

PriceLookup PricesInForce::lookup() const {
  return {.find = [](void* context, std::uint64_t version) -> const price::PriceRow* {
            const auto* catalog = static_cast<const Catalog*>(context);
            return catalog == nullptr ? nullptr : catalog->find_price(version);
          },
          .context = const_cast<Catalog*>(catalog_.get())};
}

Result<ReapTotals> reap_slot(Environment& environment, const SlotLock& lock, PriceLookup prices) {
  MeterBoard board = environment.boards().meter(lock.slot());
  const BoardIndex index(board);
  Context context{index, prices, {}};
  ReapVerb verb;
  verb.slot = lock.slot();
  verb.epoch = environment.epoch();
  verb.policy = {decide, &context};
  for (;;) {
    const Result<ReapOutcome> outcome =
        reap_once(environment.store(), environment.boards().gate(), verb);
    if (!outcome) return std::unexpected(outcome.error());
    context.totals.tombstones += outcome->tombstones;
    context.totals.charged += outcome->charged;
    if (!outcome->more) break;
    verb.first = false;
  }
  board.clear_all();
  ShardBlock& block = environment.boards().shard(lock.slot());
  block.state.store(static_cast<std::uint32_t>(ShardState::absent), std::memory_order_relaxed);
  block.client_connections.store(0, std::memory_order_relaxed);
  block.open_exchanges.store(0, std::memory_order_relaxed);
  return context.totals;
}

}  // namespace sluice::state
