// Outbox records in the form that the books keep.
#pragma once

#include <array>
#include <span>
#include <string>

#include "sluice/ledger/usage.hpp"
#include "sluice/state/inspect.hpp"

namespace sluice::reconcile {

[[nodiscard]] std::string hex(std::span<const std::uint8_t> bytes);
/// Text of a client's address; empty for kind 0. `kind` 4: the first four bytes, 6: all sixteen.
[[nodiscard]] std::string address_text(std::uint32_t kind,
                                       const std::array<std::uint8_t, 16>& bytes);
/// A zero-padded field as text.
[[nodiscard]] std::string_view padded_text(std::span<const char> field);

/// Fills all of `row`, whose texts keep their memory.
void to_usage(const state::OutboxRow& source, ledger::UsageRow& row);

}  // namespace sluice::reconcile
