#include "usage_columns.hpp"

#include <algorithm>

#include "number_list.hpp"

namespace sluice::ledger {
namespace {

constexpr std::size_t kIdColumn = 4;  // between seq and hold_seq

bool any_call(const UsageRow& row) {
  return std::any_of(row.calls.begin(), row.calls.end(),
                     [](std::int64_t count) { return count != 0; });
}

}  // namespace

Columns to_columns(const DrainBatch& batch, std::int64_t batch_id) {
  Columns out;
  out.integers.resize(kUsageIntegers);
  out.texts.resize(kUsageTexts);
  for (auto& column : out.integers) column.reserve(batch.rows.size());
  for (auto& column : out.texts) column.reserve(batch.rows.size());
  std::int64_t id = batch_id * kIdsPerBatch;
  for (const UsageRow& row : batch.rows) {
    std::size_t at = 0;
    const auto put = [&](auto value) {
      if (at == kIdColumn) out.integers[at++].push_back(id++);
      out.integers[at++].push_back(static_cast<long long>(value));
    };
    put(batch.node), put(batch.epoch);
    visit_integers(row, put);
    out.texts[0].push_back(any_call(row) ? write_list(row.calls) : std::string());
    out.texts[1].push_back(row.request_id);
    out.texts[2].push_back(row.client_address);
    out.texts[3].push_back(row.tags);
  }
  return out;
}

StoredUsage to_usage(const Row& row) {
  StoredUsage out;
  out.node = static_cast<std::uint32_t>(row.integer(0));
  out.epoch = static_cast<std::uint64_t>(row.integer(1));
  std::size_t at = 2;
  visit_integers(out.row, [&](auto& value) {
    if (at == kIdColumn) out.batch = row.integer(at++) / kIdsPerBatch;
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
