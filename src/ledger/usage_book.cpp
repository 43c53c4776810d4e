#include "sluice/ledger/usage_book.hpp"

#include <algorithm>

#include "sluice/ledger/money_book.hpp"
#include "sluice/price/charge.hpp"
#include "drain_sums.hpp"
#include "scope.hpp"
#include "usage_columns.hpp"

namespace sluice::ledger {
namespace {

/// Moves a slot's cursor from the number before its first row to its last one.
Result<> move_cursor(Db& db, const DrainBatch& batch, std::uint32_t slot, const SlotRun& run) {
  const std::int64_t node = batch.node;
  const auto epoch = static_cast<std::int64_t>(batch.epoch);
  const std::int64_t slot_number = slot;
  const auto before = static_cast<std::int64_t>(run.first - 1);
  const auto last = static_cast<std::int64_t>(run.last);
  if (before == 0) {
    // A conflict with the primary key: the slot has a cursor already.
    LEDGER_TRY(db.run("INSERT INTO cursor (node, epoch, slot, seq) VALUES (:n, :e, :s, :q)",
                      {node, epoch, slot_number, last}));
    return {};
  }
  auto moved =
      db.run("UPDATE cursor SET seq = :q WHERE node = :n AND epoch = :e AND slot = :s AND seq = :b",
             {last, node, epoch, slot_number, before});
  if (!moved) return std::unexpected(moved.error());
  if (*moved != 1) return fail(Errc::conflict);
  return {};
}

struct Posting {
  EntryKind kind;
  Id debit_account;
  Id credit_account;
  Nanos amount;
};

/// Totals to add to accounts, in both columns' own map.
struct AccountTotals {
  std::map<Id, Nanos> debits, credits;

  /// Sums of one batch: each part was checked for overflow, and int64 holds 9.2 × 10^9 USD.
  [[nodiscard]] bool add(const Posting& posting) {
    Nanos& debit = debits[posting.debit_account];
    Nanos& credit = credits[posting.credit_account];
    return !__builtin_add_overflow(debit, posting.amount, &debit) &&
           !__builtin_add_overflow(credit, posting.amount, &credit);
  }
};

GivenRows rows_of(const std::map<Id, Nanos>& totals) {
  GivenRows rows{.integers_a_row = 2};
  for (const auto& [account, amount] : totals) rows.add({account, amount});
  return rows;
}

Result<> post_all(Db& db, const DrainSums& sums, std::int64_t batch, TimeNs now_ns) {
  AccountTotals totals;
  GivenRows entries{.integers_a_row = 8};
  const Id revenue = static_cast<Id>(House::revenue);
  for (const auto& [key, money] : sums.money) {
    const Posting postings[] = {
        {EntryKind::charge, wallet_account(key.wallet_id), revenue, money.charged},
        {EntryKind::excess, wallet_account(key.wallet_id), revenue, money.excess},
        {EntryKind::loss, static_cast<Id>(House::loss_excess), revenue, money.loss},
    };
    for (const Posting& posting : postings) {
      if (posting.amount == 0) continue;
      entries.add({now_ns, static_cast<std::int64_t>(posting.kind), posting.debit_account,
                   posting.credit_account, posting.amount, key.wallet_id, key.price_version,
                   batch});
      if (!totals.add(posting)) return fail(Errc::bad_value);
    }
  }
  if (entries.rows() == 0) return {};
  LEDGER_TRY(db.run_given(
      "INSERT INTO entry (at_ns, kind, debit_account, credit_account, amount, wallet_id, "
      "price_version, batch, wallet_no, note) "
      "SELECT i0, i1, i2, i3, i4, i5, i6, i7, 0, '' FROM given",
      entries));
  LEDGER_TRY(db.run_given(
      "UPDATE account SET debits = debits + given.i1 FROM given WHERE account.id = given.i0",
      rows_of(totals.debits)));
  return db.run_given(
      "UPDATE account SET credits = credits + given.i1 FROM given WHERE account.id = given.i0",
      rows_of(totals.credits));
}

// "WHERE true" tells the parser that ON CONFLICT belongs to the INSERT
// (https://www.sqlite.org/lang_upsert.html §2.2).
Result<> add_sums(Db& db, const DrainSums& sums) {
  GivenRows windows{.integers_a_row = 5};
  for (const auto& [key, spent] : sums.windows)
    windows.add({static_cast<std::int64_t>(key.kind), key.owner_id, key.day, key.month, spent});
  LEDGER_TRY(db.run_given(
      "INSERT INTO window_sum (owner_kind, owner_id, day, month, spent) "
      "SELECT i0, i1, i2, i3, i4 FROM given WHERE true "
      "ON CONFLICT (owner_kind, owner_id, day, month) DO UPDATE SET spent = spent + excluded.spent",
      windows));
  GivenRows days{.integers_a_row = 10};
  for (const auto& [key, day] : sums.days) {
    days.add({key.day, key.key_id, key.model_id, key.channel_id, key.wallet_id, day.requests,
              day.input, day.output, day.charged, day.upstream_cost});
  }
  return db.run_given(
      "INSERT INTO usage_day (day, key_id, model_id, channel_id, wallet_id, requests, input, "
      "output, charged, upstream_cost) "
      "SELECT i0, i1, i2, i3, i4, i5, i6, i7, i8, i9 FROM given WHERE true "
      "ON CONFLICT (day, key_id, model_id, channel_id) DO UPDATE SET "
      "requests = requests + excluded.requests, input = input + excluded.input, "
      "output = output + excluded.output, charged = charged + excluded.charged, "
      "upstream_cost = upstream_cost + excluded.upstream_cost",
      days);
}

}  // namespace

Result<> UsageBook::drain(const DrainBatch& batch) {
  if (batch.rows.empty()) return {};
  auto sums = sum_up(batch.rows);
  if (!sums) return std::unexpected(sums.error());
  const TimeNs now_ns = clock_.realtime_ns();
  return in_write(db_, [&]() -> Result<> {
    for (const auto& [slot, run] : sums->slots) LEDGER_TRY(move_cursor(db_, batch, slot, run));
    auto id = db_.integer(
        "INSERT INTO drain_batch (node, epoch, at_ns, row_count) VALUES (:n, :e, :t, :r) RETURNING "
        "id",
        {std::int64_t{batch.node}, static_cast<std::int64_t>(batch.epoch), now_ns,
         static_cast<std::int64_t>(batch.rows.size())});
    if (!id) return std::unexpected(id.error());
    const UsageColumns columns(batch, *id);
    LEDGER_TRY(db_.run_given("INSERT INTO usage (" USAGE_INTEGERS ", " USAGE_TEXTS
                             ") SELECT * FROM given",
                             columns.rows()));
    if (const GivenRows attempts = attempt_rows(batch, *id); attempts.rows() > 0) {
      LEDGER_TRY(db_.run_given(
          "INSERT INTO usage_attempt (usage_id, number, channel_id, channel_key_id, status, fault, "
          "sent, lasted_ms, cost) SELECT i0, i1, i2, i3, i4, i5, i6, i7, i8 FROM given",
          attempts));
    }
    LEDGER_TRY(post_all(db_, *sums, *id, now_ns));
    return add_sums(db_, *sums);
  });
}

Result<std::vector<Cursor>> UsageBook::cursors(std::uint32_t node, std::uint64_t epoch) {
  return collect<Cursor>(
      db_, "SELECT slot, seq FROM cursor WHERE node = :n AND epoch = :e ORDER BY slot", "ii",
      {std::int64_t{node}, static_cast<std::int64_t>(epoch)}, [&](const Row& row) {
        return Cursor{node, epoch, static_cast<std::uint32_t>(row.integer(0)),
                      static_cast<std::uint64_t>(row.integer(1))};
      });
}

Result<> UsageBook::add_gap(const Gap& gap) {
  return in_write(db_, [&]() -> Result<> {
    LEDGER_TRY(
        db_.run("INSERT INTO gap (node, epoch, slot, from_seq, until_seq, reason, at_ns) "
                "VALUES (:n, :e, :s, :f, :u, :r, :t)",
                {std::int64_t{gap.node}, static_cast<std::int64_t>(gap.epoch),
                 std::int64_t{gap.slot}, static_cast<std::int64_t>(gap.from_seq),
                 static_cast<std::int64_t>(gap.until_seq), gap.reason, clock_.realtime_ns()}));
    return {};
  });
}

Result<std::vector<Gap>> UsageBook::gaps() {
  return collect<Gap>(
      db_, "SELECT node, epoch, slot, from_seq, until_seq, reason, at_ns FROM gap ORDER BY id",
      "iiiiiti", {}, [](const Row& row) {
        Gap out;
        out.node = static_cast<std::uint32_t>(row.integer(0));
        out.epoch = static_cast<std::uint64_t>(row.integer(1));
        out.slot = static_cast<std::uint32_t>(row.integer(2));
        out.from_seq = static_cast<std::uint64_t>(row.integer(3));
        out.until_seq = static_cast<std::uint64_t>(row.integer(4));
        out.reason = row.text(5);
        out.at_ns = row.integer(6);
        return out;
      });
}

Result<std::vector<StoredUsage>> UsageBook::list(const UsageFilter& f) {
  const TimeNs until_ns = f.until_ns == 0 ? INT64_MAX : f.until_ns;
  std::string tag;
  if (!f.tag.empty()) tag = "," + f.tag + (f.tag.find('=') == std::string::npos ? "=" : ",");
#define LIST_QUERY(request)                                                                        \
  "SELECT " USAGE_INTEGERS ", " USAGE_TEXTS                                                        \
  " FROM usage WHERE started_ns >= :s AND started_ns < :u AND :w IN (0, wallet_id) AND :k IN (0, " \
  "key_id) AND :m IN (0, model_id) AND :c IN (0, channel_id) AND " request                         \
  " AND instr(',' || tags || ',', :t) > 0 ORDER BY id DESC LIMIT :l"
  // By its id a request is found by the index.
  const std::string_view sql =
      f.request_id.empty() ? LIST_QUERY(":r = ''") : LIST_QUERY("request_id = :r");
  return collect<StoredUsage>(db_, sql, kUsageTypes,
                              {f.since_ns, until_ns, f.wallet_id, f.key_id, f.model_id,
                               f.channel_id, f.request_id, tag, f.limit},
                              to_usage);
}

Result<std::vector<EstimateSums>> UsageBook::estimates(const UsageFilter& f) {
  const TimeNs until_ns = f.until_ns == 0 ? INT64_MAX : f.until_ns;
  constexpr auto kEstimated = static_cast<std::int64_t>(price::kChargeEstimated);
  constexpr auto kFinished = static_cast<std::int64_t>(price::End::finished);
  // A sum of no rows would be NULL: there is at least one in each group, and 0 for what is left
  // out.
  return collect<EstimateSums>(
      db_,
      "SELECT COALESCE(m.name, '#' || u.model_id), SUM(u.told), SUM(1 - u.told), "
      "SUM(u.told * u.input_estimate), "
      "SUM(u.told * (u.input + u.cache_read + u.cache_write_short + u.cache_write_long)), "
      "SUM(u.told * u.counted_output), SUM(u.told * u.output) "
      "FROM (SELECT *, (flags & :e) = 0 AS told FROM usage WHERE end_kind = :f "
      "AND started_ns >= :s AND started_ns < :u AND :w IN (0, wallet_id) AND :k IN (0, key_id) "
      "AND :m IN (0, model_id) AND :c IN (0, channel_id)) u "
      "LEFT JOIN model m ON m.id = u.model_id GROUP BY 1 ORDER BY 1",
      "tiiiiii",
      {kEstimated, kFinished, f.since_ns, until_ns, f.wallet_id, f.key_id, f.model_id,
       f.channel_id},
      [](const Row& row) {
        return EstimateSums{row.text(0),    row.integer(1), row.integer(2), row.integer(3),
                            row.integer(4), row.integer(5), row.integer(6)};
      });
}

Result<std::vector<std::pair<Id, UsageAttempt>>> UsageBook::attempts(Id first_id, Id last_id) {
  return collect<std::pair<Id, UsageAttempt>>(
      db_,
      "SELECT usage_id, channel_id, channel_key_id, status, fault, sent, lasted_ms, cost "
      "FROM usage_attempt WHERE usage_id >= :a AND usage_id <= :b ORDER BY usage_id, number",
      "iiiiiiii", {first_id, last_id}, [](const Row& row) {
        return std::pair(
            row.integer(0),
            UsageAttempt{row.integer(1), row.integer(2), row.integer(3), row.integer(4),
                         row.integer(5) != 0, row.integer(6), row.integer(7)});
      });
}

Result<std::vector<UsageStats>> UsageBook::stats(StatsBy by, const UsageFilter& f) {
  constexpr TimeNs kDayNs = 86'400 * kSecond;
  const std::int64_t since = f.since_ns / kDayNs;
  const std::int64_t until = f.until_ns == 0 ? INT64_MAX : (f.until_ns + kDayNs - 1) / kDayNs;
#define STATS_QUERY(name, join)                                                           \
  "SELECT " name                                                                          \
  ", SUM(u.requests), SUM(u.input), SUM(u.output), SUM(u.charged), SUM(u.upstream_cost) " \
  "FROM usage_day u " join                                                                \
  " WHERE u.day >= :s AND u.day < :u AND :w IN (0, u.wallet_id) AND :k IN (0, u.key_id) " \
  "AND :m IN (0, u.model_id) AND :c IN (0, u.channel_id) GROUP BY 1 ORDER BY 1"
  std::string_view sql = STATS_QUERY("date(u.day * 86400, 'unixepoch')", "");
  if (by == StatsBy::model) {
    sql = STATS_QUERY("COALESCE(m.name, '#' || u.model_id)",
                      "LEFT JOIN model m ON m.id = u.model_id");
  } else if (by == StatsBy::channel) {
    sql = STATS_QUERY("COALESCE(h.name, '')", "LEFT JOIN channel h ON h.id = u.channel_id");
  } else if (by == StatsBy::key) {
    sql = STATS_QUERY(
        "COALESCE(o.name || '/' || a.name, '#' || u.key_id)",
        "LEFT JOIN api_key a ON a.id = u.key_id LEFT JOIN wallet x ON x.id = a.wallet_id "
        "LEFT JOIN customer o ON o.id = x.customer_id");
  }
  return collect<UsageStats>(db_, sql, "tiiiii",
                             {since, until, f.wallet_id, f.key_id, f.model_id, f.channel_id},
                             [](const Row& row) {
                               return UsageStats{row.text(0), row.integer(1), row.integer(2),
                                                 row.integer(3), row.integer(4), row.integer(5)};
                             });
}

Result<std::vector<WindowSum>> UsageBook::window_sums(OwnerKind kind, Id owner_id) {
  return collect<WindowSum>(
      db_,
      "SELECT owner_id, day, month, spent FROM window_sum WHERE owner_kind = :k "
      "AND :o IN (0, owner_id) ORDER BY owner_id, day",
      "iiii", {static_cast<std::int64_t>(kind), owner_id}, [&](const Row& row) {
        return WindowSum{kind, row.integer(0), row.integer(1), row.integer(2), row.integer(3)};
      });
}

/// Whole batches, so that what is left of one can always be compared with its entries; in the order
/// in which they came, so that no row goes before an older one: the clock may have been wrong.
Result<std::vector<std::int64_t>> UsageBook::oldest_batches(TimeNs before_ns, std::int64_t most) {
  // Near the last one that is gone; exactly there, if the clock was never wrong.
  auto from = db_.integer(
      "SELECT COALESCE((SELECT id FROM drain_batch WHERE removed = 1 ORDER BY at_ns DESC LIMIT 1), "
      "0)",
      {});
  if (!from) return std::unexpected(from.error());
  struct Batch {
    std::int64_t id = 0;
    TimeNs at_ns = 0;
  };
  auto next = collect<Batch>(
      db_, "SELECT id, at_ns FROM drain_batch WHERE id > :f AND removed = 0 ORDER BY id LIMIT :l",
      "ii", {std::max(*from, gone_until_), most},
      [](const Row& row) { return Batch{row.integer(0), row.integer(1)}; });
  if (!next) return std::unexpected(next.error());
  // One that was dated too late is as old as an old one that came after it.
  auto last_old = db_.integer(
      "SELECT COALESCE(MAX(id), 0) FROM (SELECT id FROM drain_batch WHERE removed = 0 AND at_ns < "
      ":b ORDER BY at_ns DESC LIMIT 1)",
      {before_ns});
  if (!last_old) return std::unexpected(last_old.error());
  std::vector<std::int64_t> old;
  for (const Batch& batch : *next) {
    if (batch.at_ns >= before_ns && (batch.at_ns <= clock_.realtime_ns() || batch.id > *last_old))
      break;
    old.push_back(batch.id);
  }
  return old;
}

Result<std::int64_t> UsageBook::remove_before(TimeNs before_ns, std::int64_t batches) {
  std::int64_t removed = 0;
  std::int64_t last = 0;
  LEDGER_TRY(in_write(db_, [&]() -> Result<> {
    auto old = oldest_batches(before_ns, batches);
    if (!old) return std::unexpected(old.error());
    for (const std::int64_t batch : *old) {
      auto gone = db_.run("DELETE FROM usage WHERE id >= :a AND id < :b",
                          {batch * kIdsPerBatch, (batch + 1) * kIdsPerBatch});
      if (!gone) return std::unexpected(gone.error());
      removed += *gone;
      LEDGER_TRY(db_.run("DELETE FROM usage_attempt WHERE usage_id >= :a AND usage_id < :b",
                         {batch * kIdsPerBatch, (batch + 1) * kIdsPerBatch}));
      LEDGER_TRY(db_.run("UPDATE drain_batch SET removed = 1 WHERE id = :i", {batch}));
    }
    if (!old->empty()) last = old->back();
    return {};
  }));
  gone_until_ = std::max(gone_until_, last);
  return removed;
}

}  // namespace sluice::ledger
