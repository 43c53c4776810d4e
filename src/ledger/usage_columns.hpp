// The columns of `usage` in one order, for what writes and what reads them: integers first, then
// texts.
#pragma once

#include "sluice/ledger/usage_book.hpp"
#include "db.hpp"

namespace sluice::ledger {

#define USAGE_INTEGERS                                                                             \
  "node, epoch, slot, seq, id, hold_seq, kind, end_kind, phase, status, error, flags, format_in, " \
  "format_out, stream, wallet_id, key_id, model_id, channel_id, channel_key_id, price_version, "   \
  "multiplier, "                                                                                   \
  "attempts, client_retry, input, cache_read, cache_write_short, cache_write_long, output, "       \
  "reasoning, "                                                                                    \
  "input_estimate, counted_output, held, charged, excess, loss, started_ns, queue_ns, "            \
  "connect_ns, "                                                                                   \
  "first_byte_ns, first_token_ns, total_ns, own_ns, bytes_in, bytes_out, key_day, key_month, "     \
  "wallet_day, "                                                                                   \
  "wallet_month"
#define USAGE_TEXTS "calls, request_id, client_address, tags"
#define USAGE_PLACES                                                                           \
  ":p1, :p2, :p3, :p4, :p5, :p6, :p7, :p8, :p9, :p10, :p11, :p12, :p13, :p14, :p15, :p16, "    \
  ":p17, :p18, :p19, :p20, :p21, :p22, :p23, :p24, :p25, :p26, :p27, :p28, :p29, :p30, :p31, " \
  ":p32, :p33, :p34, :p35, :p36, :p37, :p38, :p39, :p40, :p41, :p42, :p43, :p44, :p45, :p46, " \
  ":p47, :p48, :p49, :p50, :p51, :p52, :p53"
inline constexpr std::size_t kUsageIntegers = 49;
inline constexpr std::size_t kUsageTexts = 4;
inline constexpr const char* kUsageTypes =
    "iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii"
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
}

/// A batch's rows have the numbers from batch × kIdsPerBatch on: all of a batch is one range of the
/// table.
inline constexpr std::int64_t kIdsPerBatch = 1'000;
static_assert(kDrainRowsMax <= static_cast<std::size_t>(kIdsPerBatch));

[[nodiscard]] Columns to_columns(const DrainBatch& batch, std::int64_t batch_id);
[[nodiscard]] StoredUsage to_usage(const Row& row);

}  // namespace sluice::ledger
