// The columns of `usage` in one order, that of the table, for what writes and what reads them:
// integers first, then texts.
#pragma once

#include <deque>
#include <string>

#include "sluice/ledger/usage_book.hpp"
#include "db.hpp"

namespace sluice::ledger {

#define USAGE_INTEGERS                                                                             \
  "id, node, epoch, slot, seq, hold_seq, kind, end_kind, phase, status, error, flags, format_in, " \
  "format_out, stream, wallet_id, key_id, model_id, channel_id, channel_key_id, price_version, "   \
  "multiplier, "                                                                                   \
  "attempts, client_retry, input, cache_read, cache_write_short, cache_write_long, output, "       \
  "reasoning, "                                                                                    \
  "input_estimate, counted_output, held, charged, excess, loss, started_ns, queue_ns, "            \
  "connect_ns, "                                                                                   \
  "first_byte_ns, first_token_ns, total_ns, own_ns, bytes_in, bytes_out, key_day, key_month, "     \
  "wallet_day, "                                                                                   \
  "wallet_month, route_reason, route_group_id, upstream_cost"
#define USAGE_TEXTS "calls, request_id, client_address, tags"
inline constexpr std::size_t kUsageIntegers = 52;
inline constexpr std::size_t kUsageTexts = 4;
static_assert(kUsageIntegers == kGivenIntegers && kUsageTexts == kGivenTexts);
inline constexpr const char* kUsageTypes =
    "iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii"
    "tttt";

/// Calls `visit` with each integer of a row but node, epoch and id, in the order of USAGE_INTEGERS.
template <class Usage, class Visit>
void visit_integers(Usage& row, Visit&& visit) {
  visit(row.slot), visit(row.seq);
  visit(row.hold_seq), visit(row.kind), visit(row.end), visit(row.phase), visit(row.status),
      visit(row.error);
  visit(row.flags), visit(row.format_in), visit(row.format_out), visit(row.stream),
      visit(row.wallet_id);
  visit(row.key_id), visit(row.model_id), visit(row.channel_id), visit(row.channel_key_id);
  visit(row.price_version), visit(row.multiplier), visit(row.attempts), visit(row.client_retry);
  visit(row.input), visit(row.cache_read), visit(row.cache_write_short),
      visit(row.cache_write_long);
  visit(row.output), visit(row.reasoning), visit(row.input_estimate), visit(row.counted_output);
  visit(row.held), visit(row.charged), visit(row.excess), visit(row.loss), visit(row.started_ns);
  visit(row.queue_ns), visit(row.connect_ns), visit(row.first_byte_ns), visit(row.first_token_ns);
  visit(row.total_ns), visit(row.own_ns), visit(row.bytes_in), visit(row.bytes_out),
      visit(row.key_day);
  visit(row.key_month), visit(row.wallet_day), visit(row.wallet_month);
  visit(row.route_reason), visit(row.route_group_id), visit(row.upstream_cost);
}

/// A batch's rows have the numbers from batch × kIdsPerBatch on: all of a batch is one range of the
/// table.
inline constexpr std::int64_t kIdsPerBatch = 1'000;
static_assert(kDrainRowsMax <= static_cast<std::size_t>(kIdsPerBatch));

/// The rows of a batch, for `INSERT … SELECT * FROM given`.
class UsageColumns {
 public:
  /// `batch` must outlive it.
  UsageColumns(const DrainBatch& batch, std::int64_t batch_id);
  UsageColumns(const UsageColumns&) = delete;
  UsageColumns& operator=(const UsageColumns&) = delete;
  [[nodiscard]] const GivenRows& rows() const { return rows_; }

 private:
  GivenRows rows_;
  std::deque<std::string> calls_;  ///< of the rows that have any
};

/// The failed attempts of a batch, for `INSERT … SELECT … FROM given`; often none.
[[nodiscard]] GivenRows attempt_rows(const DrainBatch& batch, std::int64_t batch_id);

[[nodiscard]] StoredUsage to_usage(const Row& row);

}  // namespace sluice::ledger
