// Rows of one slot that were read from the outbox and that the ledger has not got yet, in order.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "sluice/base/assert.hpp"
#include "sluice/base/units.hpp"
#include "sluice/state/inspect.hpp"

namespace sluice::reconcile {

/// A queue whose rows lie side by side, so that they are read into it and handed on without a copy.
class WaitingRows {
 public:
  [[nodiscard]] bool empty() const { return first_ == rows_.size(); }
  [[nodiscard]] std::size_t size() const { return rows_.size() - first_; }
  /// The first `count` that wait. Valid until the queue changes.
  [[nodiscard]] std::span<const state::OutboxRow> front(std::size_t count) const {
    return std::span(rows_).subspan(first_, count);
  }
  /// Since when the first one waits; there is one.
  [[nodiscard]] TimeNs oldest_ns() const { return seen_ns_[first_]; }

  /// Where rows are appended that do not wait yet; accept() must follow for each, or refuse().
  [[nodiscard]] std::vector<state::OutboxRow>& incoming() { return rows_; }
  /// The first row that is not accepted yet, null when all are.
  [[nodiscard]] const state::OutboxRow* next_incoming() const {
    return seen_ns_.size() < rows_.size() ? &rows_[seen_ns_.size()] : nullptr;
  }
  void accept(TimeNs seen_ns) { seen_ns_.push_back(seen_ns); }
  /// Forgets the rows that were not accepted.
  void refuse() { rows_.resize(seen_ns_.size()); }

  void pop(std::size_t count) {
    SLUICE_ASSERT(count <= size());
    first_ += count;
    if (first_ == rows_.size()) {
      rows_.clear(), seen_ns_.clear();
      first_ = 0;
    } else if (first_ >= kWasted && first_ >= rows_.size() / 2) {
      // Each row is moved at most once for each that went.
      const auto gone = static_cast<std::ptrdiff_t>(first_);
      rows_.erase(rows_.begin(), rows_.begin() + gone);
      seen_ns_.erase(seen_ns_.begin(), seen_ns_.begin() + gone);
      first_ = 0;
    }
  }

 private:
  static constexpr std::size_t kWasted = 256;
  std::vector<state::OutboxRow> rows_;
  std::vector<TimeNs> seen_ns_;  ///< of each row but those that are not accepted
  std::size_t first_ = 0;
};

}  // namespace sluice::reconcile
