#include "shadow.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace sluice::sim {
namespace {

__extension__ using Wide = __int128;

std::string name_of(std::uint64_t epoch, std::uint32_t slot, std::uint64_t seq) {
  return std::to_string(epoch) + "/" + std::to_string(slot) + "/" + std::to_string(seq);
}
std::string name_of(const state::HoldId& id) { return name_of(id.epoch, id.slot, id.seq); }

/// What is billed: input and output tokens. The table of ends, written a second time on purpose.
struct Billed {
  Tokens input = 0;
  Tokens output = 0;
  bool nothing = false;
};

Billed billed(const Attempt& a, price::End end) {
  using price::End;
  using price::Phase;
  const bool early = a.phase == Phase::reserved || a.phase == Phase::sending;
  const bool no_output = early || a.phase == Phase::sent;
  bool nothing = false;
  switch (end) {
    case End::refused:
    case End::no_candidate:
    case End::expired:
      nothing = true;
      break;
    case End::client_left:
    case End::cut:
    case End::shard_died:
      nothing = early;
      break;
    case End::upstream_broke:
      nothing = no_output;
      break;
    case End::finished:
      break;
  }
  if (nothing) return {0, 0, true};
  Billed out;
  out.input = a.usage_state == price::UsageState::none ? a.input_estimate : a.usage.input;
  out.output = a.usage_state == price::UsageState::final ? a.usage.output : a.counted;
  if (a.usage_state == price::UsageState::partial) out.output = std::max(a.usage.output, a.counted);
  if (end == End::shard_died && a.phase == Phase::sent) out.output = 0;
  return out;
}

}  // namespace

const char* to_string(Fault fault) {
  constexpr const char* kNames[] = {"none",
                                    "hold_kept",
                                    "outbox_row_lost",
                                    "counters_forgotten",
                                    "charge_not_moved",
                                    "board_late",
                                    "lock_dropped",
                                    "extension_unheld",
                                    "cursor_not_moved",
                                    "row_not_stored",
                                    "entry_twice",
                                    "delta_not_queued",
                                    "gap_not_noted",
                                    "uncommitted_kept"};
  static_assert(std::size(kNames) == static_cast<std::size_t>(Fault::count));
  return kNames[static_cast<std::size_t>(fault)];
}

Attempt& Shadow::ask(const Op& op, std::uint32_t owner, std::uint64_t epoch) {
  Attempt& a = attempts_[op.serial];
  a.serial = op.serial;
  a.owner = owner;
  a.epoch = epoch;
  a.wallet = op.wallet;
  a.key = op.key;
  a.amount = op.amount;
  a.excess_max = op.excess_max;
  a.multiplier = op.multiplier;
  a.input_estimate = op.input_estimate;
  a.deadline_ns = op.deadline_ns;
  return a;
}

void Shadow::answered(Attempt& a, const Completion& completion, bool unread) {
  const bool failed = completion.error != Errc::none;
  const bool done = !failed && completion.outcome.verdict == state::Verdict::done;
  switch (completion.kind) {
    case OpKind::reserve:
      if (!done) {
        // Nobody goes on with one that is open all the same: its deadline or the reaper ends it.
        if (!failed || !unread) a.known = Attempt::Known::refused;
        return;
      }
      a.known = Attempt::Known::held;
      a.id = completion.outcome.hold;
      by_hold_[{a.id.epoch, a.id.slot, a.id.seq}] = a.serial;
      return;
    case OpKind::extend:
      if (done) extended(a, completion.outcome.held);
      if (failed) a.unsure.push_back(a.extension);
      a.extension = 0;
      return;
    case OpKind::settle:
      if (failed) wrong("hold " + name_of(a.id) + ": its end was answered with an error");
      return;
    default:
      return;
  }
}

/// By what was asked for, or by an earlier one instead whose outcome nobody was told.
void Shadow::extended(Attempt& a, Nanos held) {
  const Nanos added = held - a.amount;
  if (added != a.extension && std::ranges::find(a.unsure, added) == a.unsure.end()) {
    wrong("hold " + name_of(a.id) + ": " + std::to_string(added) + " more, asked for were " +
          std::to_string(a.extension));
  }
  a.unsure.clear();
  a.amount = held;
}

void Shadow::money_moved(std::uint64_t wallet, Nanos amount, bool certain) {
  (certain ? deltas_ : perhaps_)[wallet].push_back(amount);
}

Split Shadow::owed(const Attempt& attempt, price::End end) const {
  const Billed tokens = billed(attempt, end);
  if (tokens.nothing) return {};
  const auto price = prices_.find(attempt.price_version);
  if (price == prices_.end()) return {-1, -1, -1};
  const Wide unit = Wide{1'000'000} * 1'000;
  const Wide cost =
      (Wide{tokens.input} * price->second.input + Wide{tokens.output} * price->second.output) *
      attempt.multiplier;
  const Nanos nanos = static_cast<Nanos>((cost + unit - 1) / unit);
  Split split;
  split.charged = std::min(nanos, attempt.amount);
  split.excess = std::min(nanos - split.charged, attempt.excess_max);
  split.loss = nanos - split.charged - split.excess;
  return split;
}

Attempt* Shadow::find(std::uint64_t epoch, std::uint32_t slot, std::uint64_t seq) {
  const auto found = by_hold_.find({epoch, slot, seq});
  return found == by_hold_.end() ? nullptr : &attempts_.at(found->second);
}

// ---- holds

/// Whether a hold of `a` may have this amount: what is known, and what was asked and not answered.
bool Shadow::holds(Attempt& a, Nanos amount) {
  if (amount == a.amount) return true;
  if (a.extension != 0 && amount == a.amount + a.extension) {
    a.amount += std::exchange(a.extension, 0);
    return true;
  }
  return std::ranges::any_of(a.unsure,
                             [&](Nanos extension) { return amount == a.amount + extension; });
}

void Shadow::see_hold(const state::HoldRow& row, TimeNs monotonic_ns) {
  std::uint64_t serial = 0;
  for (std::size_t i = 8; i-- > 0;) serial = serial << 8 | row.record.request_id[i];
  const std::string name = "hold " + name_of(row.id);
  const auto known = attempts_.find(serial);
  if (known == attempts_.end()) return wrong(name + ": nobody asked for it");
  Attempt& a = known->second;
  if (!a.may_be_open()) return wrong(name + ": open although it was refused or is closed");
  if (a.id.seq != 0 && !(a.id == row.id)) return wrong(name + ": two holds of one reservation");
  a.id = row.id;
  a.known = Attempt::Known::held;
  if (a.price_version == 0) a.price_version = row.record.price_version;
  if (a.price_version != row.record.price_version || !prices_.contains(a.price_version))
    return wrong(name + ": its price changed or never was");
  by_hold_[{row.id.epoch, row.id.slot, row.id.seq}] = serial;
  if (!holds(a, row.record.amount))
    return wrong(name + ": holds " + std::to_string(row.record.amount) + ", asked was " +
                 std::to_string(a.amount));
  const bool tombstone = row.record.state == state::HoldState::tombstone;
  if (tombstone && !a.tombstone) {
    ++ends_.expired;
    a.tombstone = true;
    if (monotonic_ns <= a.deadline_ns) wrong(name + ": expired before its time");
    if (is_dead(a.owner)) wrong(name + ": expired although its owner is dead");
  }
  if (!tombstone && a.tombstone) wrong(name + ": came back after it expired");
}

// ---- rows

void Shadow::see_row(Row row) {
  const RowId id{row.epoch, row.slot, row.seq};
  const std::string name = "row " + name_of(row.epoch, row.slot, row.seq);
  if (const auto known = rows_.find(id); known != rows_.end()) {
    Row& before = known->second;
    if (before.hold_seq != row.hold_seq || !(before.split == row.split) ||
        before.wallet != row.wallet || before.kind != row.kind) {
      return wrong(name + ": changed on its way");
    }
    if (before.lost && row.in_ledger) return wrong(name + ": was lost and is there");
    before.in_ledger = before.in_ledger || row.in_ledger;
    return;
  }
  rows_[id] = row;
  Attempt* a = find(row.epoch, row.slot, row.hold_seq);
  if (a == nullptr) return wrong(name + ": closes a hold that nobody has");
  close(*a, row);
}

void Shadow::close(Attempt& a, const Row& row) {
  const std::string name =
      "row " + name_of(row.epoch, row.slot, row.seq) + " of hold " + std::to_string(row.hold_seq);
  if (!a.may_be_open()) return wrong(name + ": the hold was closed before");
  a.known = Attempt::Known::closed;
  if (!holds(a, row.held))
    return wrong(name + ": held " + std::to_string(row.held) + ", asked was " +
                 std::to_string(a.amount));
  if (row.end == price::End::shard_died) {
    if (!is_dead(a.owner)) return wrong(name + ": reaped although its owner lives");
    if (a.tombstone) return wrong(name + ": reaped although it had expired");
  } else if (!a.closing || row.end != a.end) {
    return wrong(name + ": ended in a way that nobody asked for");
  }
  a.amount = row.held;  // what is held decides, not what its owner knows of it
  const Split split = owed(a, row.end);
  if (!(split == row.split)) {
    return wrong(name + ": charged " + std::to_string(row.split.charged) + " + " +
                 std::to_string(row.split.excess) + " + " + std::to_string(row.split.loss) +
                 ", owed are " + std::to_string(split.charged) + " + " +
                 std::to_string(split.excess) + " + " + std::to_string(split.loss));
  }
  const bool late = row.kind == state::OutboxKind::late;
  if (late != a.tombstone) return wrong(name + ": late or not is not what it was");
  if ((row.flags & price::kChargePriceMissing) != 0) wrong(name + ": its price was missing");
  if (row.wallet != a.wallet || row.key != a.key || row.price_version != a.price_version)
    wrong(name + ": somebody else's");
  if (row.end == price::End::shard_died)
    ++ends_.crash;
  else if (late)
    ++ends_.late;
  else if (row.kind == state::OutboxKind::voided)
    ++ends_.voided;
  else
    ++ends_.settled;
  if (split.excess > 0) ++ends_.excess;
}

void Shadow::see_ledger_rows(const std::vector<ledger::StoredUsage>& rows) {
  for (auto stored = rows.rbegin(); stored != rows.rend(); ++stored) {
    const ledger::UsageRow& from = stored->row;
    Row row;
    row.epoch = stored->epoch;
    row.slot = from.slot;
    row.seq = from.seq;
    row.hold_seq = from.hold_seq;
    row.kind = static_cast<state::OutboxKind>(from.kind);
    row.end = static_cast<price::End>(from.end);
    row.flags = static_cast<std::uint32_t>(from.flags);
    row.wallet = static_cast<std::uint64_t>(from.wallet_id);
    row.key = static_cast<std::uint64_t>(from.key_id);
    row.price_version = static_cast<std::uint64_t>(from.price_version);
    row.held = from.held;
    row.split = {from.charged, from.excess, from.loss};
    row.key_windows = {static_cast<std::uint32_t>(from.key_day),
                       static_cast<std::uint32_t>(from.key_month)};
    row.wallet_windows = {static_cast<std::uint32_t>(from.wallet_day),
                          static_cast<std::uint32_t>(from.wallet_month)};
    row.in_ledger = true;
    see_row(row);
  }
}

// ---- the books

void Shadow::see_entries(const std::vector<ledger::NumberedEntry>& entries) {
  std::map<std::uint64_t, std::int64_t> last;
  for (const ledger::NumberedEntry& entry : entries) {
    const auto wallet = static_cast<std::uint64_t>(entry.wallet_id);
    const std::string name = "change " + std::to_string(entry.wallet_no) + " of wallet " +
                             std::to_string(entry.wallet_id);
    if (entry.wallet_no != ++last[wallet]) return wrong(name + ": out of order");
    std::vector<Nanos>& known = deltas_[wallet];
    if (entry.wallet_no > static_cast<std::int64_t>(known.size())) {
      std::vector<Nanos>& perhaps = perhaps_[wallet];
      const auto asked = std::ranges::find(perhaps, entry.amount);
      if (asked == perhaps.end()) return wrong(name + ": nobody asked for it");
      perhaps.erase(asked);
      known.push_back(entry.amount);
    }
    if (known[static_cast<std::size_t>(entry.wallet_no) - 1] != entry.amount)
      return wrong(name + ": another amount");
  }
  for (auto& [wallet, known] : deltas_) {
    if (last[wallet] != static_cast<std::int64_t>(known.size()))
      return wrong("wallet " + std::to_string(wallet) + ": a confirmed change is not in the books");
  }
  perhaps_.clear();  // what was not taken by now never will be
}

Nanos Shadow::balance(std::uint64_t wallet) const {
  Nanos sum = 0;
  if (const auto known = deltas_.find(wallet); known != deltas_.end()) {
    for (const Nanos delta : known->second) sum += delta;
  }
  for (const auto& [id, row] : rows_) {
    if (row.wallet == wallet && row.in_ledger) sum -= row.paid();
  }
  return sum;
}

void Shadow::see_balance(std::uint64_t wallet, Nanos seen) {
  const Nanos expected = balance(wallet);
  if (seen != expected) {
    wrong("wallet " + std::to_string(wallet) + ": the ledger's balance is " + std::to_string(seen) +
          ", should be " + std::to_string(expected));
  }
}

void Shadow::see_epoch(std::uint64_t epoch, const std::vector<ledger::Gap>& gaps) {
  for (auto& [id, row] : rows_) {
    if (row.epoch >= epoch || row.in_ledger || row.lost) continue;
    row.lost = true;
    ++ends_.lost;
    const std::string name = "row " + name_of(row.epoch, row.slot, row.seq);
    if (!may_lose_) wrong(name + ": lost without a reason");
    const bool noted = std::ranges::any_of(gaps, [&, &seen = row](const ledger::Gap& gap) {
      return gap.epoch == seen.epoch && gap.slot == seen.slot && gap.from_seq <= seen.seq &&
             (gap.until_seq == 0 || seen.seq < gap.until_seq);
    });
    if (!noted) wrong(name + ": lost, and no gap says so");
  }
  for (auto& [serial, a] : attempts_) {
    if (a.epoch < epoch && a.may_be_open()) a.known = Attempt::Known::lost;
  }
  may_lose_ = false;
}

// ---- the shared state as a whole

void Shadow::see_state(const state::StateCopy& copy, TimeNs monotonic_ns) {
  if (!copy.corrupt.empty()) return wrong("a record of the shared state fails its check");
  for (const state::HoldRow& hold : copy.holds) see_hold(hold, monotonic_ns);
  for (const state::OutboxRow& out : copy.outbox) {
    const state::OutboxRecord& from = out.record;
    if (from.hold.epoch != copy.meta.epoch || from.hold.slot != out.id.slot)
      return wrong("an outbox row is of another slot or epoch");
    Row row;
    row.epoch = copy.meta.epoch;
    row.slot = out.id.slot;
    row.seq = out.id.seq;
    row.hold_seq = from.hold.seq;
    row.kind = from.kind;
    row.end = from.end;
    row.flags = from.flags;
    row.wallet = from.wallet_id;
    row.key = from.key_id;
    row.price_version = from.price_version;
    row.held = from.held;
    row.split = {from.charged, from.excess, from.loss};
    row.key_windows = from.key_windows;
    row.wallet_windows = from.wallet_windows;
    see_row(row);
  }
  if (!problem_.empty()) return;
  see_slots(copy);
  see_absent(copy);
  for (const state::WalletRecord& wallet : copy.wallets) see_wallet(copy, wallet);
  for (const state::CounterRecord& counter : copy.counters) see_counter(copy, counter);
}

/// Rows of a slot are numbered without a gap, and each is in the outbox or in the ledger.
void Shadow::see_slots(const state::StateCopy& copy) {
  std::set<std::pair<std::uint32_t, std::uint64_t>> waiting;
  for (const state::OutboxRow& row : copy.outbox) waiting.insert({row.id.slot, row.id.seq});
  for (const state::SlotRecord& slot : copy.slots) {
    for (std::uint64_t seq = 1; seq <= slot.outbox_seq; ++seq) {
      const auto row = rows_.find({copy.meta.epoch, slot.slot, seq});
      const std::string name = "row " + name_of(copy.meta.epoch, slot.slot, seq);
      if (row == rows_.end()) return wrong(name + ": numbered and never seen");
      if (!row->second.in_ledger && !waiting.contains({slot.slot, seq}))
        return wrong(name + ": in neither outbox nor ledger");
    }
    if (rows_.contains({copy.meta.epoch, slot.slot, slot.outbox_seq + 1}))
      wrong("slot " + std::to_string(slot.slot) + ": a row beyond its last number");
  }
}

/// A hold that is not there any more was closed by a row, or by an end that leaves none.
void Shadow::see_absent(const state::StateCopy& copy) {
  std::set<std::pair<std::uint32_t, std::uint64_t>> open;
  for (const state::HoldRow& hold : copy.holds) open.insert({hold.id.slot, hold.id.seq});
  for (auto& [serial, a] : attempts_) {
    // Nobody can make it true any more: it was never committed.
    if (a.known == Attempt::Known::asked && is_dead(a.owner)) a.known = Attempt::Known::refused;
    if (a.known != Attempt::Known::held || a.epoch != copy.meta.epoch) continue;
    if (open.contains({a.id.slot, a.id.seq})) continue;
    const bool voided = a.closing && !a.with_record && owed(a, a.end) == Split{};
    const bool dropped = a.tombstone && is_dead(a.owner);
    if (!voided && !dropped) return wrong("hold " + name_of(a.id) + ": gone, and no row says how");
    a.known = Attempt::Known::closed;
    ++ends_.voided;
  }
}

void Shadow::see_wallet(const state::StateCopy& copy, const state::WalletRecord& wallet) {
  Nanos held = 0, charged = 0, excess = 0;
  for (const state::HoldRow& hold : copy.holds) {
    if (hold.record.wallet_id == wallet.wallet_id && hold.record.state == state::HoldState::open)
      held += hold.record.amount;
  }
  Nanos base = 0, applied = 0;
  for (const auto& [id, row] : rows_) {
    if (row.wallet != wallet.wallet_id) continue;
    if (row.epoch == copy.meta.epoch) {
      charged += row.split.charged;
      excess += row.split.excess;
    } else if (row.in_ledger) {
      base -= row.paid();
    }
  }
  const std::vector<Nanos>& deltas = deltas_[wallet.wallet_id];
  const std::string name = "wallet " + std::to_string(wallet.wallet_id);
  if (wallet.applied_no > deltas.size()) return wrong(name + ": a change before it was made");
  // Which of them the base has, the record does not say: base + applied is what counts.
  for (std::size_t i = 0; i < wallet.applied_no; ++i) applied += deltas[i];
  if (wallet.base + wallet.applied != base + applied)
    return wrong(name + ": credits are " + std::to_string(wallet.base + wallet.applied) +
                 ", should be " + std::to_string(base + applied));
  if (wallet.held != held) return wrong(name + ": held is not the sum of its open holds");
  if (wallet.charged != charged || wallet.excess != excess)
    return wrong(name + ": charged is not the sum of its rows");
  if (wallet.available != base + applied - held - charged - excess)
    wrong(name + ": available is " + std::to_string(wallet.available));
}

void Shadow::see_counter(const state::StateCopy& copy, const state::CounterRecord& counter) {
  const bool of_key = counter.kind == state::CounterKind::key;
  const auto mine = [&](std::uint64_t wallet, std::uint64_t key) {
    return of_key ? key == counter.id : wallet == counter.id;
  };
  std::uint32_t in_flight = 0;
  state::Window total, day, month;
  for (const state::HoldRow& hold : copy.holds) {
    if (hold.record.state != state::HoldState::open ||
        !mine(hold.record.wallet_id, hold.record.key_id))
      continue;
    ++in_flight;
    const state::WindowIds& windows = of_key ? hold.record.key_windows : hold.record.wallet_windows;
    total.reserved += hold.record.amount;
    if (windows.day == counter.windows.day) day.reserved += hold.record.amount;
    if (windows.month == counter.windows.month) month.reserved += hold.record.amount;
  }
  for (const auto& [id, row] : rows_) {
    if (!mine(row.wallet, row.key) || row.lost) continue;
    if (row.epoch != copy.meta.epoch && !row.in_ledger) continue;
    const state::WindowIds& windows = of_key ? row.key_windows : row.wallet_windows;
    total.spent += row.paid();
    if (windows.day == counter.windows.day) day.spent += row.paid();
    if (windows.month == counter.windows.month) month.spent += row.paid();
  }
  const std::string name =
      std::string(of_key ? "key " : "wallet ") + std::to_string(counter.id) + ": ";
  if (counter.in_flight != in_flight) return wrong(name + "in-flight is wrong");
  const auto compare = [&](const char* what, const state::Window& seen, const state::Window& must) {
    if (seen.spent == must.spent && seen.reserved == must.reserved) return;
    wrong(name + what + ": spent " + std::to_string(seen.spent) + " reserved " +
          std::to_string(seen.reserved) + ", should be " + std::to_string(must.spent) + " and " +
          std::to_string(must.reserved));
  };
  compare("total", counter.total, total);
  compare("day", counter.day, day);
  compare("month", counter.month, month);
}

void Shadow::see_rest(const state::StateCopy& copy) {
  for (const state::WalletRecord& wallet : copy.wallets) {
    const std::string name = "at rest, wallet " + std::to_string(wallet.wallet_id);
    if (wallet.held != 0) return wrong(name + ": money is held");
    if (wallet.available != balance(wallet.wallet_id))
      return wrong(name + ": available is not the ledger's balance");
    if (wallet.applied_no != deltas_[wallet.wallet_id].size())
      return wrong(name + ": a change of its balance was not published");
  }
  for (const state::CounterRecord& counter : copy.counters) {
    if (counter.in_flight != 0) return wrong("at rest, requests are in flight");
  }
  if (!copy.outbox.empty()) wrong("at rest, the outbox has rows");
  if (!copy.holds.empty()) wrong("at rest, there are holds");
}

}  // namespace sluice::sim
