#include "sluice/ledger/money_book.hpp"

#include "scope.hpp"

namespace sluice::ledger {

const char* to_string(EntryKind kind) {
  switch (kind) {
    case EntryKind::credit:
      return "credit";
    case EntryKind::debit:
      return "debit";
    case EntryKind::charge:
      return "charge";
    case EntryKind::excess:
      return "excess";
    case EntryKind::loss:
      return "loss";
  }
  return "unknown";
}

Result<Entry> MoneyBook::move(Id wallet_id, Nanos amount, House house, bool into_wallet,
                              std::string_view note) {
  if (amount <= 0) return fail(Errc::bad_value);
  Entry entry;
  entry.at_ns = clock_.realtime_ns();
  entry.kind = into_wallet ? EntryKind::credit : EntryKind::debit;
  entry.amount = amount;
  entry.wallet_id = wallet_id;
  entry.note = note;
  const Id house_account = static_cast<Id>(house);
  entry.debit_account = into_wallet ? house_account : wallet_account(wallet_id);
  entry.credit_account = into_wallet ? wallet_account(wallet_id) : house_account;
  auto done = in_write(db_, [&]() -> Result<> {
    auto no = db_.integer("UPDATE wallet SET last_no = last_no + 1 WHERE id = :w RETURNING last_no",
                          {wallet_id});
    if (!no) return std::unexpected(no.error());
    entry.wallet_no = *no;
    auto id = db_.integer(
        "INSERT INTO entry (at_ns, kind, debit_account, credit_account, amount, wallet_id, "
        "price_version, batch, "
        "wallet_no, note) VALUES (:t, :k, :d, :c, :a, :w, 0, 0, :n, :o) RETURNING id",
        {entry.at_ns, static_cast<std::int64_t>(entry.kind), entry.debit_account,
         entry.credit_account, amount, wallet_id, entry.wallet_no, note});
    if (!id) return std::unexpected(id.error());
    entry.id = *id;
    LEDGER_TRY(db_.run("UPDATE account SET debits = debits + :a WHERE id = :i",
                       {amount, entry.debit_account}));
    LEDGER_TRY(db_.run("UPDATE account SET credits = credits + :a WHERE id = :i",
                       {amount, entry.credit_account}));
    LEDGER_TRY(
        db_.run("INSERT INTO publish_queue (wallet_id, wallet_no, amount) VALUES (:w, :n, :a)",
                {wallet_id, entry.wallet_no, into_wallet ? amount : -amount}));
    return {};
  });
  if (!done) return std::unexpected(done.error());
  return entry;
}

Result<Entry> MoneyBook::credit(Id wallet_id, Nanos amount, House source, std::string_view note) {
  return move(wallet_id, amount, source, true, note);
}

Result<Entry> MoneyBook::debit(Id wallet_id, Nanos amount, House target, std::string_view note) {
  return move(wallet_id, amount, target, false, note);
}

Result<std::vector<Delta>> MoneyBook::queued(std::int64_t limit) {
  return collect<Delta>(db_,
                        "SELECT wallet_id, wallet_no, amount FROM publish_queue ORDER BY "
                        "wallet_id, wallet_no LIMIT :l",
                        "iii", {limit}, [](const Row& row) {
                          return Delta{row.integer(0), row.integer(1), row.integer(2)};
                        });
}

Result<> MoneyBook::published(Id wallet_id, std::int64_t wallet_no) {
  return in_write(db_, [&]() -> Result<> {
    LEDGER_TRY(db_.run("DELETE FROM publish_queue WHERE wallet_id = :w AND wallet_no <= :n",
                       {wallet_id, wallet_no}));
    return {};
  });
}

Result<bool> MoneyBook::is_published(Id wallet_id, std::int64_t wallet_no) {
  auto queued =
      db_.integer("SELECT COUNT(*) FROM publish_queue WHERE wallet_id = :w AND wallet_no = :n",
                  {wallet_id, wallet_no});
  if (!queued) return std::unexpected(queued.error());
  return *queued == 0;
}

Result<std::vector<Entry>> MoneyBook::history(Id wallet_id, std::int64_t limit) {
  return collect<Entry>(db_,
                        "SELECT id, at_ns, kind, debit_account, credit_account, amount, wallet_id, "
                        "price_version, batch, wallet_no, "
                        "note FROM entry WHERE wallet_id = :w ORDER BY id DESC LIMIT :l",
                        "iiiiiiiiiit", {wallet_id, limit}, [](const Row& row) {
                          Entry out;
                          out.id = row.integer(0);
                          out.at_ns = row.integer(1);
                          out.kind = static_cast<EntryKind>(row.integer(2));
                          out.debit_account = row.integer(3);
                          out.credit_account = row.integer(4);
                          out.amount = row.integer(5);
                          out.wallet_id = row.integer(6);
                          out.price_version = row.integer(7);
                          out.batch = row.integer(8);
                          out.wallet_no = row.integer(9);
                          out.note = row.text(10);
                          return out;
                        });
}

Result<std::vector<Account>> MoneyBook::accounts() {
  return collect<Account>(db_, "SELECT id, name, debits, credits FROM account ORDER BY id", "itii",
                          {}, [](const Row& row) {
                            return Account{row.integer(0), row.text(1), row.integer(2),
                                           row.integer(3)};
                          });
}

}  // namespace sluice::ledger
