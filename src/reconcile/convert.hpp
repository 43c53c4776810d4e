// Rows of the ledger as records of the shared state, and back.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "sluice/ledger/ledger.hpp"
#include "sluice/state/inspect.hpp"
#include "sluice/state/verbs.hpp"

namespace sluice::reconcile {

/// Numbers of texts that records name (see ledger::NumberedText).
class TextNumbers {
 public:
  TextNumbers() = default;
  explicit TextNumbers(const std::vector<ledger::NumberedText>& texts);
  /// 0 for the empty text, "UTC" and "*"; an unknown text is Errc::not_found: its catalog was never built.
  [[nodiscard]] Result<std::uint32_t> of(ledger::TextKind kind, const std::string& text) const;

 private:
  std::map<std::pair<ledger::TextKind, std::string>, std::uint32_t> numbers_;
};

[[nodiscard]] Result<state::WalletPublish> to_publish(const ledger::Wallet& wallet, const TextNumbers& numbers);
[[nodiscard]] Result<state::KeyPublish> to_publish(const ledger::ApiKey& key, const ledger::Wallet& wallet,
                                                   const TextNumbers& numbers);
[[nodiscard]] ledger::UsageRow to_usage(const state::OutboxRow& row);

[[nodiscard]] std::string to_hex(const std::array<std::uint8_t, 16>& bytes);
/// Address of a client as text; kind 0 = none, 4, 6.
[[nodiscard]] std::string address_text(std::uint32_t kind, const std::array<std::uint8_t, 16>& bytes);
/// Zero-padded text of a record, without control bytes.
[[nodiscard]] std::string text_of(std::span<const char> bytes);

}  // namespace sluice::reconcile
