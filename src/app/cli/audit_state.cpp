#include "audit_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "sluice/base/text_units.hpp"

namespace sluice::cli {
namespace {

std::string hex(const state::Uuid& uuid) {
  std::string text;
  for (const unsigned byte : uuid) text += fmt::format("{:02x}", byte);
  return text;
}

/// What the open holds of one key or wallet have set aside.
struct Reserved {
  Nanos total = 0;
  std::int64_t in_flight = 0;
  std::map<std::uint32_t, Nanos> day;
  std::map<std::uint32_t, Nanos> month;
  void add(const state::WindowIds& windows, Nanos amount) {
    total += amount;
    ++in_flight;
    day[windows.day] += amount;
    month[windows.month] += amount;
  }
};

template <class Map, class Key>
auto value_of(const Map& map, const Key& key) {
  const auto found = map.find(key);
  return found == map.end() ? typename Map::mapped_type{} : found->second;
}

using Owner = std::pair<state::CounterKind, std::uint64_t>;

std::map<Owner, Reserved> reserved_by_owner(const state::StateCopy& copy) {
  std::map<Owner, Reserved> out;
  for (const auto& [id, hold] : copy.holds) {
    if (hold.state != state::HoldState::open) continue;
    out[{state::CounterKind::key, hold.key_id}].add(hold.key_windows, hold.amount);
    out[{state::CounterKind::wallet, hold.wallet_id}].add(hold.wallet_windows, hold.amount);
  }
  return out;
}

// I3: a hold that is open has no closing row, is of this epoch, and its number was given out.
void holds(const AuditedState& state, const RowSums& rows, Findings& findings) {
  std::map<std::uint32_t, std::uint64_t> given;
  for (const state::SlotRecord& slot : state.before.slots) given[slot.slot] = slot.hold_seq;
  Finding& finding = findings.add("I3", "an open hold is of this epoch and has no closing row");
  for (const auto& [id, hold] : state.before.holds) {
    const auto name = [&of = id] { return fmt::format("hold {} of slot {}", of.seq, of.slot); };
    finding.expect(id.epoch == state.before.meta.epoch,
                   [&] { return fmt::format("{} is of epoch {}", name(), id.epoch); });
    finding.expect(id.seq <= value_of(given, id.slot), [&] {
      return fmt::format("{} was never given out: the slot's last is {}", name(),
                         value_of(given, id.slot));
    });
    const std::uint64_t row = value_of(rows.closed, std::pair(id.slot, id.seq));
    finding.expect(row == 0, [&] { return fmt::format("{} was closed by row {}", name(), row); });
  }
}

// I3: what an Idempotency-Key is refused for while it runs does run; its end would have said so.
void first_uses(const AuditedState& state, Findings& findings) {
  Finding& finding = findings.add("I3", "an Idempotency-Key in use has its open hold");
  std::set<state::RequestId> held;
  for (const auto& [id, hold] : state.before.holds) held.insert(hold.request_id);
  for (const state::IdemRecord& row : state.before.idem) {
    if (row.state != state::IdemState::running) continue;
    finding.expect(held.contains(row.request_id), [&] {
      return fmt::format("request {} has no hold, but its key is in use", hex(row.request_id));
    });
  }
}

// I1 of each wallet.
void wallets(const AuditedState& state, const RowSums& rows, Findings& findings) {
  const auto reserved = reserved_by_owner(state.before);
  Finding& identity =
      findings.add("I1", "credits = available + held + charged + excess, each wallet");
  Finding& held = findings.add("I1", "held = Σ open holds, each wallet");
  Finding& charges =
      findings.add("I1", "charged and excess = Σ rows of ledger and outbox, each wallet");
  state::WalletRecord sum;
  for (const state::WalletRecord& w : state.before.wallets) {
    identity.expect(state::identity_holds(w), [&] {
      return fmt::format(
          "wallet {}: credits {} are not available {} + held {} + charged {} + excess {}",
          w.wallet_id, w.credits(), w.available, w.held, w.charged, w.excess);
    });
    const Nanos open = value_of(reserved, Owner{state::CounterKind::wallet, w.wallet_id}).total;
    held.expect(w.held == open, [&] {
      return fmt::format("wallet {}: held {}, its open holds are {}", w.wallet_id, w.held, open);
    });
    const WalletSums of_rows = value_of(rows.wallets, static_cast<ledger::Id>(w.wallet_id));
    charges.expect(of_rows.charged == w.charged && of_rows.excess == w.excess, [&] {
      return fmt::format("wallet {}: charged {} excess {}, its rows say {} and {}", w.wallet_id,
                         w.charged, w.excess, of_rows.charged, of_rows.excess);
    });
    sum.base += w.credits();
    sum.available += w.available;
    sum.held += w.held;
    sum.charged += w.charged;
    sum.excess += w.excess;
  }
  identity.sums = fmt::format("credits {} available {} held {} charged {} excess {}",
                              format_usd(sum.base), format_usd(sum.available), format_usd(sum.held),
                              format_usd(sum.charged), format_usd(sum.excess));
  held.sums = fmt::format("open holds {}", state.before.holds.size());
}

std::string counters_name(const state::CounterRecord& counters) {
  return fmt::format("counters of {} {}",
                     counters.kind == state::CounterKind::key ? "key" : "wallet", counters.id);
}

// Budgets: what is reserved and in flight is that of the open holds.
void reservations(const AuditedState& state, Findings& findings) {
  auto reserved = reserved_by_owner(state.before);
  Finding& finding = findings.add("I1", "reserved and in flight = the open holds, each counter");
  for (const state::CounterRecord& c : state.before.counters) {
    const auto node = reserved.extract({c.kind, c.id});
    const Reserved open = node ? node.mapped() : Reserved{};
    finding.expect(static_cast<std::int64_t>(c.in_flight) == open.in_flight, [&] {
      return fmt::format("{}: {} in flight, {} open holds", counters_name(c), c.in_flight,
                         open.in_flight);
    });
    const auto window = [&](const char* name, Nanos has, Nanos wants) {
      finding.expect(has == wants, [&] {
        return fmt::format("{}: reserved {} {}, open holds {}", counters_name(c), name, has, wants);
      });
    };
    window("in total", c.total.reserved, open.total);
    window("today", c.day.reserved, value_of(open.day, c.windows.day));
    window("this month", c.month.reserved, value_of(open.month, c.windows.month));
  }
  for (const auto& [owner, open] : reserved) {
    finding.expect(false, [&, id = owner.second, key = owner.first == state::CounterKind::key] {
      return fmt::format("{} {} has open holds but no counters", key ? "key" : "wallet", id);
    });
  }
}

// Budgets: what is spent is what the rows say, in all and in the windows that the counter is in.
void spending(const AuditedState& state, const RowSums& rows, Findings& findings) {
  Finding& finding = findings.add("I1", "spent = Σ rows, each counter and window");
  if (!rows.owners_complete) {
    finding.sums = "other nodes spend too: not compared";
    return;
  }
  for (const state::CounterRecord& c : state.before.counters) {
    const auto kind =
        c.kind == state::CounterKind::key ? ledger::OwnerKind::key : ledger::OwnerKind::wallet;
    const OwnerSums sums = value_of(rows.owners, std::pair(kind, static_cast<ledger::Id>(c.id)));
    const auto window = [&](const char* name, Nanos has, Nanos wants) {
      finding.expect(has == wants, [&] {
        return fmt::format("{}: spent {} {}, its rows say {}", counters_name(c), name, has, wants);
      });
    };
    window("in total", c.total.spent, sums.total);
    window("today", c.day.spent, value_of(sums.day, std::int64_t{c.windows.day}));
    window("this month", c.month.spent, value_of(sums.month, std::int64_t{c.windows.month}));
  }
}

/// What the ledger and the copied state say of each wallet's money.
struct Credits {
  std::map<ledger::Id, ledger::EpochBase> bases;
  std::map<ledger::Id, std::int64_t> last_no;
  std::map<ledger::Id, Nanos> earlier_limit;  ///< the highest that was in force before
  std::map<ledger::Id, const state::WalletRecord*> copied;
  /// Published in this epoch, each wallet: the sum, and of it what was taken back.
  std::map<ledger::Id, Nanos> applied;
  std::map<ledger::Id, Nanos> taken_back;
};

void apply(Credits& known, const std::vector<ledger::NumberedEntry>& entries) {
  for (const ledger::NumberedEntry& entry : entries) {
    const auto wallet = known.copied.find(entry.wallet_id);
    if (wallet == known.copied.end()) continue;
    const std::int64_t from = value_of(known.bases, entry.wallet_id).wallet_no;
    const auto until = static_cast<std::int64_t>(wallet->second->applied_no);
    if (entry.wallet_no <= from || entry.wallet_no > until) continue;
    known.applied[entry.wallet_id] += entry.amount;
    known.taken_back[entry.wallet_id] += std::max<Nanos>(-entry.amount, 0);
  }
}

// I2: when the last reserve or extend committed, a wallet was at or above the limit of that time,
// and without one it is at its base. From there it falls only by what neither of them did: debits,
// excess, and holds that were settled after they had expired.
void limits(const Credits& known, const RowSums& rows, Findings& findings) {
  Finding& finding = findings.add("I2", "no wallet is below its limit by its own doing");
  for (const auto& [name, wallet] : known.copied) {
    const ledger::Id id = name;
    const state::WalletRecord& w = *wallet;
    const Nanos limit = std::max(w.overdraft_limit, value_of(known.earlier_limit, id));
    const Nanos unasked =
        value_of(known.taken_back, id) + w.excess + value_of(rows.wallets, id).late;
    finding.expect(w.available >= std::min(-limit, w.base) - unasked, [&] {
      return fmt::format("wallet {}: available {}, limit {}, by debits, excess and late rows {}",
                         id, w.available, -limit, -unasked);
    });
  }
}

// I1: base and applied of each wallet are the ledger's, and both know the same wallets.
void credited(const Credits& known, const RowSums& rows, Findings& findings) {
  Finding& finding = findings.add("I1", "credits are those of the ledger's entries, each wallet");
  Nanos base_sum = 0, applied_sum = 0;
  for (const auto& [name, wallet] : known.copied) {
    const ledger::Id id = name;
    const state::WalletRecord& w = *wallet;
    const Nanos base = value_of(known.bases, id).base;
    const Nanos since = value_of(known.applied, id);
    finding.expect(base == w.base && since == w.applied, [&] {
      return fmt::format("wallet {}: base {} applied {}, the ledger's entries say {} and {}", id,
                         w.base, w.applied, base, since);
    });
    finding.expect(known.last_no.contains(id), [&] {
      return fmt::format("wallet {} of the shared state is not in the ledger", id);
    });
    base_sum += w.base;
    applied_sum += w.applied;
  }
  const auto expect_copied = [&](ledger::Id id, const char* why) {
    finding.expect(known.copied.contains(id), [&] {
      return fmt::format("wallet {} {}, but it is not in the shared state", id, why);
    });
  };
  for (const auto& [id, base] : known.bases) expect_copied(id, "is in the ledger");
  for (const auto& [id, sums] : rows.wallets) expect_copied(id, "was charged");
  finding.sums = fmt::format("base {} applied {}", format_usd(base_sum), format_usd(applied_sum));
}

// I6: what is not yet published has its place in the queue; what left the queue is applied.
void published(const Credits& known, const std::vector<ledger::NumberedEntry>& queue,
               const AuditedState& state, Findings& findings) {
  Finding& finding = findings.add("I6", "each numbered change is published or in the queue");
  const auto done = [&](ledger::Id id) {
    const auto after = state.applied_after.find(static_cast<state::WalletId>(id));
    return after == state.applied_after.end() ? value_of(known.bases, id).wallet_no
                                              : static_cast<std::int64_t>(after->second);
  };
  std::map<ledger::Id, std::int64_t> queued;
  for (const ledger::NumberedEntry& delta : queue) {
    const bool given = delta.wallet_no <= value_of(known.last_no, delta.wallet_id);
    if (given && delta.wallet_no > done(delta.wallet_id)) ++queued[delta.wallet_id];
  }
  for (const auto& [name, given] : known.last_no) {
    const ledger::Id id = name;
    const std::int64_t last = given;
    const state::WalletRecord* wallet = value_of(known.copied, id);
    const auto copied = static_cast<std::int64_t>(wallet == nullptr ? 0 : wallet->applied_no);
    finding.expect(copied <= last, [&] {
      return fmt::format("wallet {}: change {} is published, the ledger has given {}", id, copied,
                         last);
    });
    finding.expect(value_of(queued, id) == std::max<std::int64_t>(last - done(id), 0), [&] {
      return fmt::format("wallet {}: changes {} to {} are not published, {} of them are queued", id,
                         done(id) + 1, last, value_of(queued, id));
    });
  }
}

}  // namespace

Result<bool> is_newest_epoch(ledger::Ledger& ledger, std::uint32_t node,
                             const state::MetaRecord& meta) {
  const auto newest = ledger.epochs().newest(node);
  if (!newest) {
    if (newest.error().code == Errc::not_found) return false;
    return std::unexpected(newest.error());
  }
  return newest->epoch == meta.epoch && newest->uuid == hex(meta.uuid);
}

Result<> audit_records(ledger::Ledger& ledger, std::uint32_t node, const AuditedState& state,
                       Findings& findings) {
  const state::StateCopy& copy = state.before;
  Finding& records = findings.add("–", "every record of the shared state passes its check");
  for (const state::CorruptRow& row : copy.corrupt) {
    records.expect(false, [&] {
      return fmt::format("shared state, table {}: the record with key {} is damaged",
                         state::table_name(row.table), row.key);
    });
  }
  records.checked += static_cast<std::int64_t>(
      copy.wallets.size() + copy.counters.size() + copy.holds.size() + copy.outbox.size() +
      copy.slots.size() + copy.keys.size() + copy.idem.size());
  Finding& epoch = findings.add("–", "the shared state is the ledger's newest epoch");
  const auto newest = is_newest_epoch(ledger, node, copy.meta);
  if (!newest) return std::unexpected(newest.error());
  if (*newest) {
    ++epoch.checked;
    return {};
  }
  const auto known = ledger.epochs().newest(node);
  epoch.expect(false, [&] {
    return fmt::format("shared state: epoch {} of environment {}, the ledger's newest is {}",
                       copy.meta.epoch, hex(copy.meta.uuid),
                       known ? fmt::format("{} of {}", known->epoch, known->uuid) : "none");
  });
  return {};
}

void audit_balances(const AuditedState& state, const RowSums& rows, Findings& findings) {
  holds(state, rows, findings);
  wallets(state, rows, findings);
  reservations(state, findings);
  spending(state, rows, findings);
  first_uses(state, findings);
}

Result<> audit_credits(ledger::Ledger& ledger, std::uint32_t node, const AuditedState& state,
                       const RowSums& rows, Findings& findings) {
  const auto bases = ledger.epochs().bases(node, state.before.meta.epoch);
  const auto entries = ledger.sums().numbered_entries();
  const auto queue = ledger.sums().queue();
  const auto numbers = ledger.sums().wallet_numbers();
  const auto earlier = ledger.sums().earlier_limits(node, state.before.meta.epoch);
  if (!bases) return std::unexpected(bases.error());
  if (!entries) return std::unexpected(entries.error());
  if (!queue) return std::unexpected(queue.error());
  if (!numbers) return std::unexpected(numbers.error());
  if (!earlier) return std::unexpected(earlier.error());
  Credits credits;
  for (const ledger::EpochBase& base : *bases) credits.bases[base.wallet_id] = base;
  for (const ledger::WalletNumbers& wallet : *numbers)
    credits.last_no[wallet.wallet_id] = wallet.last_no;
  for (const state::WalletRecord& wallet : state.before.wallets)
    credits.copied[static_cast<ledger::Id>(wallet.wallet_id)] = &wallet;
  for (const ledger::EarlierLimit& limit : *earlier)
    credits.earlier_limit[limit.wallet_id] = limit.limit;
  apply(credits, *entries);
  credited(credits, rows, findings);
  limits(credits, rows, findings);
  published(credits, *queue, state, findings);
  return {};
}

}  // namespace sluice::cli
