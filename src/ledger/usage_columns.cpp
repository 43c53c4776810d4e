#include "usage_columns.hpp"

#include <algorithm>

#include "sluice/base/assert.hpp"
#include "number_list.hpp"

namespace sluice::ledger {
namespace {

bool any_call(const UsageRow& row) {
  return std::any_of(row.calls.begin(), row.calls.end(),
                     [](std::int64_t count) { return count != 0; });
}

}  // namespace

UsageColumns::UsageColumns(const DrainBatch& batch, std::int64_t batch_id) {
  rows_.integers_a_row = kUsageIntegers;
  rows_.texts_a_row = kUsageTexts;
  rows_.integers.resize(batch.rows.size() * kUsageIntegers);
  rows_.texts.reserve(batch.rows.size() * kUsageTexts);
  std::int64_t id = batch_id * kIdsPerBatch;
  std::int64_t* cell = rows_.integers.data();
  for (const UsageRow& row : batch.rows) {
    const auto put = [&](auto value) { *cell++ = static_cast<std::int64_t>(value); };
    put(id++), put(batch.node), put(batch.epoch);
    visit_integers(row, put);
    const bool calls = any_call(row);
    if (calls) calls_.push_back(write_list(row.calls));
    rows_.texts.push_back(calls ? std::string_view(calls_.back()) : std::string_view());
    rows_.texts.push_back(row.request_id);
    rows_.texts.push_back(row.client_address);
    rows_.texts.push_back(row.tags);
  }
  SLUICE_ASSERT(cell == rows_.integers.data() + rows_.integers.size());
}

GivenRows attempt_rows(const DrainBatch& batch, std::int64_t batch_id) {
  GivenRows rows{.integers_a_row = 9};
  std::int64_t id = batch_id * kIdsPerBatch;
  for (const UsageRow& row : batch.rows) {
    std::int64_t number = 0;
    for (const UsageAttempt& attempt : row.failed) {
      if (attempt.channel_id == 0) continue;
      rows.add({id, number++, attempt.channel_id, attempt.channel_key_id, attempt.status,
                attempt.fault, attempt.sent ? 1 : 0, attempt.lasted_ms, attempt.cost});
    }
    ++id;
  }
  return rows;
}

StoredUsage to_usage(const Row& row) {
  StoredUsage out;
  out.id = row.integer(0);
  out.batch = out.id / kIdsPerBatch;
  out.node = static_cast<std::uint32_t>(row.integer(1));
  out.epoch = static_cast<std::uint64_t>(row.integer(2));
  std::size_t at = 3;
  visit_integers(out.row, [&](auto& value) {
    value = static_cast<std::remove_reference_t<decltype(value)>>(row.integer(at++));
  });
  const auto calls = read_list(row.text(kUsageIntegers));
  for (std::size_t i = 0; i < std::min(calls.size(), out.row.calls.size()); ++i)
    out.row.calls[i] = calls[i];
  out.row.request_id = row.text(kUsageIntegers + 1);
  out.row.client_address = row.text(kUsageIntegers + 2);
  out.row.tags = row.text(kUsageIntegers + 3);
  return out;
}

}  // namespace sluice::ledger
