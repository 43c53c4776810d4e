#include "sluice/ledger/audit_book.hpp"

#include "scope.hpp"
#include "usage_columns.hpp"

namespace sluice::ledger {

Result<> AuditBook::each_usage(std::uint32_t node, std::uint64_t epoch,
                               const std::function<void(const StoredUsage&)>& visit) {
  return db_.query("SELECT " USAGE_INTEGERS ", " USAGE_TEXTS
                   " FROM usage WHERE node = :n AND epoch = :e "
                   "ORDER BY slot, seq",
                   kUsageTypes, {std::int64_t{node}, static_cast<std::int64_t>(epoch)},
                   [&](const Row& row) { visit(to_usage(row)); });
}

Result<RemovedRows> AuditBook::removed(std::uint32_t node, std::uint64_t epoch) {
  RemovedRows out;
  const std::int64_t node_number = node;
  const auto epoch_number = static_cast<std::int64_t>(epoch);
  auto rows = db_.integer(
      "SELECT COALESCE(SUM(row_count), 0) FROM drain_batch WHERE node = :n AND epoch = :e AND "
      "removed = 1",
      {node_number, epoch_number});
  if (!rows) return std::unexpected(rows.error());
  out.rows = *rows;
  auto sums = collect<RemovedSum>(
      db_,
      "SELECT e.wallet_id, SUM(CASE e.kind WHEN 3 THEN e.amount ELSE 0 END), "
      "SUM(CASE e.kind WHEN 4 THEN e.amount ELSE 0 END) FROM entry e JOIN drain_batch b ON b.id = "
      "e.batch "
      "WHERE b.node = :n AND b.epoch = :e AND b.removed = 1 GROUP BY e.wallet_id",
      "iii", {node_number, epoch_number},
      [](const Row& row) { return RemovedSum{row.integer(0), row.integer(1), row.integer(2)}; });
  if (!sums) return std::unexpected(sums.error());
  out.sums = std::move(*sums);
  return out;
}

Result<std::vector<AccountSums>> AuditBook::accounts() {
  return collect<AccountSums>(
      db_,
      "SELECT a.id, a.name, COALESCE(d.total, 0), COALESCE(c.total, 0), a.debits, a.credits FROM "
      "account a "
      "LEFT JOIN (SELECT debit_account AS id, SUM(amount) AS total FROM entry GROUP BY 1) d ON "
      "d.id = a.id "
      "LEFT JOIN (SELECT credit_account AS id, SUM(amount) AS total FROM entry GROUP BY 1) c ON "
      "c.id = a.id "
      "ORDER BY a.id",
      "itiiii", {}, [](const Row& row) {
        return AccountSums{row.integer(0), row.text(1),    row.integer(2),
                           row.integer(3), row.integer(4), row.integer(5)};
      });
}

Result<std::vector<NumberedEntry>> AuditBook::numbered_entries() {
  return collect<NumberedEntry>(
      db_,
      "SELECT wallet_id, wallet_no, CASE kind WHEN 1 THEN amount ELSE -amount END FROM entry WHERE "
      "wallet_no > 0 "
      "ORDER BY wallet_id, wallet_no",
      "iii", {},
      [](const Row& row) { return NumberedEntry{row.integer(0), row.integer(1), row.integer(2)}; });
}

Result<std::vector<BatchDifference>> AuditBook::batches_that_differ() {
  return collect<BatchDifference>(
      db_,
      "SELECT batch, wallet_id, price_version, charged, excess, loss FROM ("
      "SELECT batch, wallet_id, price_version, SUM(charged) AS charged, SUM(excess) AS excess, "
      "SUM(loss) AS loss FROM ("
      "SELECT id / 1000 AS batch, wallet_id, price_version, charged, excess, loss FROM usage "
      "UNION ALL "
      "SELECT e.batch, e.wallet_id, e.price_version, CASE e.kind WHEN 3 THEN -e.amount ELSE 0 END, "
      "CASE e.kind WHEN 4 THEN -e.amount ELSE 0 END, CASE e.kind WHEN 5 THEN -e.amount ELSE 0 END "
      "FROM entry e LEFT JOIN drain_batch b ON b.id = e.batch "
      "WHERE e.batch > 0 AND COALESCE(b.removed, 0) = 0"
      ") GROUP BY batch, wallet_id, price_version) WHERE charged <> 0 OR excess <> 0 OR loss <> 0 "
      "ORDER BY batch, wallet_id, price_version",
      "iiiiii", {}, [](const Row& row) {
        return BatchDifference{row.integer(0), row.integer(1), row.integer(2),
                               row.integer(3), row.integer(4), row.integer(5)};
      });
}

Result<std::vector<Id>> AuditBook::entries_without_account() {
  return collect<Id>(db_,
                     "SELECT id FROM entry WHERE debit_account NOT IN (SELECT id FROM account) "
                     "OR credit_account NOT IN (SELECT id FROM account) ORDER BY id",
                     "i", {}, [](const Row& row) { return row.integer(0); });
}

Result<std::vector<WalletNumbers>> AuditBook::wallet_numbers() {
  return collect<WalletNumbers>(
      db_,
      "SELECT w.id, w.last_no, COUNT(e.id), COUNT(DISTINCT e.wallet_no), "
      "COALESCE(MAX(e.wallet_no), 0) FROM wallet w "
      "LEFT JOIN entry e ON e.wallet_id = w.id AND e.wallet_no > 0 GROUP BY w.id ORDER BY w.id",
      "iiiii", {}, [](const Row& row) {
        return WalletNumbers{row.integer(0), row.integer(1), row.integer(2), row.integer(3),
                             row.integer(4)};
      });
}

Result<std::vector<SlotRows>> AuditBook::slot_rows() {
  return collect<SlotRows>(
      db_,
      "SELECT node, epoch, slot, SUM(seq), SUM(rows), SUM(low), SUM(high) FROM ("
      "SELECT node, epoch, slot, seq, 0 AS rows, 0 AS low, 0 AS high FROM cursor "
      "UNION ALL "
      "SELECT node, epoch, slot, 0, COUNT(*), MIN(seq), MAX(seq) FROM usage GROUP BY 1, 2, 3"
      ") GROUP BY node, epoch, slot ORDER BY node, epoch, slot",
      "iiiiiii", {}, [](const Row& row) {
        SlotRows out;
        out.node = static_cast<std::uint32_t>(row.integer(0));
        out.epoch = static_cast<std::uint64_t>(row.integer(1));
        out.slot = static_cast<std::uint32_t>(row.integer(2));
        out.cursor = static_cast<std::uint64_t>(row.integer(3));
        out.rows = row.integer(4);
        out.first = static_cast<std::uint64_t>(row.integer(5));
        out.last = static_cast<std::uint64_t>(row.integer(6));
        return out;
      });
}

Result<std::vector<EpochRows>> AuditBook::epoch_rows() {
  return collect<EpochRows>(
      db_,
      "SELECT node, epoch, SUM(cursors), SUM(stored), SUM(removed) FROM ("
      "SELECT node, epoch, seq AS cursors, 0 AS stored, 0 AS removed FROM cursor "
      "UNION ALL SELECT node, epoch, 0, COUNT(*), 0 FROM usage GROUP BY 1, 2 "
      "UNION ALL SELECT node, epoch, 0, 0, row_count FROM drain_batch WHERE removed = 1"
      ") GROUP BY node, epoch ORDER BY node, epoch",
      "iiiii", {}, [](const Row& row) {
        return EpochRows{static_cast<std::uint32_t>(row.integer(0)),
                         static_cast<std::uint64_t>(row.integer(1)), row.integer(2), row.integer(3),
                         row.integer(4)};
      });
}

Result<std::vector<EarlierLimit>> AuditBook::earlier_limits(std::uint32_t node,
                                                            std::uint64_t epoch) {
  return collect<EarlierLimit>(
      db_,
      "SELECT c.wallet_id, MAX(c.before) FROM limit_change c JOIN node_epoch e ON c.id > "
      "e.limit_change WHERE e.node = :n AND e.epoch = :e GROUP BY c.wallet_id",
      "ii", {std::int64_t{node}, static_cast<std::int64_t>(epoch)},
      [](const Row& row) { return EarlierLimit{row.integer(0), row.integer(1)}; });
}

Result<std::vector<NumberedEntry>> AuditBook::queue() {
  return collect<NumberedEntry>(
      db_, "SELECT wallet_id, wallet_no, amount FROM publish_queue ORDER BY wallet_id, wallet_no",
      "iii", {},
      [](const Row& row) { return NumberedEntry{row.integer(0), row.integer(1), row.integer(2)}; });
}

}  // namespace sluice::ledger
