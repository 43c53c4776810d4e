#include "sluice/ledger/epoch_book.hpp"

#include "sluice/ledger/catalog_book.hpp"
#include "sluice/ledger/customer_book.hpp"
#include "sluice/ledger/key_book.hpp"
#include "sluice/ledger/usage_book.hpp"
#include "scope.hpp"

namespace sluice::ledger {
namespace {

Epoch to_epoch(const Row& row) {
  Epoch out;
  out.node = static_cast<std::uint32_t>(row.integer(0));
  out.epoch = static_cast<std::uint64_t>(row.integer(1));
  out.uuid = row.text(2);
  out.opened_ns = row.integer(3);
  out.closed_ns = row.integer(4);
  out.batch = row.integer(5);
  out.clean = row.integer(6) != 0;
  return out;
}

template <class T>
Result<> take(T& member, Result<T> result) {
  if (!result) return std::unexpected(result.error());
  member = std::move(*result);
  return {};
}

}  // namespace

Result<EpochSnapshot> EpochBook::open_next(std::uint32_t node, const std::vector<Gap>& gaps) {
  EpochSnapshot out;
  UsageBook usage(db_, clock_);
  CustomerBook customers(db_, clock_);
  KeyBook keys(db_, clock_);
  CatalogBook catalog(db_);
  LEDGER_TRY(in_write(db_, [&]() -> Result<> {
    const TimeNs now_ns = clock_.realtime_ns();
    const std::int64_t node_number = node;
    for (const Gap& gap : gaps) LEDGER_TRY(usage.add_gap(gap));
    LEDGER_TRY(db_.run("UPDATE node_epoch SET closed_ns = :t WHERE node = :n AND closed_ns = 0",
                       {now_ns, node_number}));
    auto epoch = db_.integer(
        "INSERT INTO node_epoch (node, epoch, uuid, opened_ns, closed_ns, batch, clean, "
        "limit_change) SELECT :n, COALESCE(MAX(epoch), 0) + 1, '', :t, 0, "
        "(SELECT COALESCE(MAX(id), 0) FROM drain_batch), 0, "
        "(SELECT COALESCE(MAX(id), 0) FROM limit_change) FROM node_epoch WHERE node = :m RETURNING "
        "epoch",
        {node_number, now_ns, node_number});
    if (!epoch) return std::unexpected(epoch.error());
    out.epoch = {node, static_cast<std::uint64_t>(*epoch), {}, now_ns, 0, false, 0};
    LEDGER_TRY(db_.run(
        "INSERT INTO epoch_base (node, epoch, wallet_id, base, wallet_no) SELECT :n, :e, w.id, "
        "a.credits - a.debits, w.last_no FROM wallet w JOIN account a ON a.id = 1000 + w.id",
        {node_number, *epoch}));
    LEDGER_TRY(db_.run("DELETE FROM publish_queue"));
    LEDGER_TRY(take(out.wallets, customers.wallets()));
    LEDGER_TRY(take(out.keys, keys.list(0)));
    LEDGER_TRY(take(out.former, keys.former_of(0)));
    auto key_sums = usage.window_sums(OwnerKind::key, 0);
    auto wallet_sums = usage.window_sums(OwnerKind::wallet, 0);
    if (!key_sums || !wallet_sums) return fail(Errc::io);
    out.windows = std::move(*key_sums);
    out.windows.insert(out.windows.end(), wallet_sums->begin(), wallet_sums->end());
    LEDGER_TRY(take(out.generation, catalog.newest()));
    return take(out.epoch.batch,
                db_.integer("SELECT batch FROM node_epoch WHERE node = :n AND epoch = :e",
                            {node_number, *epoch}));
  }));
  return out;
}

Result<> EpochBook::set_uuid(std::uint32_t node, std::uint64_t epoch, const std::string& uuid) {
  return in_write(db_, [&]() -> Result<> {
    LEDGER_TRY(db_.run("UPDATE node_epoch SET uuid = :u WHERE node = :n AND epoch = :e",
                       {uuid, std::int64_t{node}, static_cast<std::int64_t>(epoch)}));
    return {};
  });
}

Result<> EpochBook::set_clean(std::uint32_t node, std::uint64_t epoch, bool clean) {
  return in_write(db_, [&]() -> Result<> {
    LEDGER_TRY(
        db_.run("UPDATE node_epoch SET clean = :c WHERE node = :n AND epoch = :e",
                {std::int64_t{clean}, std::int64_t{node}, static_cast<std::int64_t>(epoch)}));
    return {};
  });
}

Result<Epoch> EpochBook::newest(std::uint32_t node) {
  return only<Epoch>(db_,
                     "SELECT node, epoch, uuid, opened_ns, closed_ns, batch, clean FROM node_epoch "
                     "WHERE node = :n "
                     "ORDER BY epoch DESC LIMIT 1",
                     "iitiiii", {std::int64_t{node}}, to_epoch);
}

Result<std::vector<EpochBase>> EpochBook::bases(std::uint32_t node, std::uint64_t epoch) {
  return collect<EpochBase>(
      db_,
      "SELECT wallet_id, base, wallet_no FROM epoch_base WHERE node = :n AND epoch = :e ORDER BY "
      "wallet_id",
      "iii", {std::int64_t{node}, static_cast<std::int64_t>(epoch)},
      [](const Row& row) { return EpochBase{row.integer(0), row.integer(1), row.integer(2)}; });
}

}  // namespace sluice::ledger
