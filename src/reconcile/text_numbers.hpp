// Numbers of the texts that records name: sets of models, sets of networks, time zones.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/ledger/catalog_book.hpp"

namespace sluice::reconcile {

class TextNumbers {
 public:
  TextNumbers() = default;
  explicit TextNumbers(const std::vector<ledger::NumberedText>& texts) {
    for (const ledger::NumberedText& text : texts) {
      numbers_.emplace(std::pair(text.kind, text.text), static_cast<std::uint32_t>(text.id));
    }
  }
  /// 0 for "every model", "every address" and "UTC". A text without number: kUnknown, which no
  /// catalog has, so that it lets nobody in rather than everybody.
  [[nodiscard]] std::uint32_t of(ledger::TextKind kind, const std::string& text) const {
    if (text.empty() || (kind == ledger::TextKind::zone && text == "UTC")) return 0;
    if (kind == ledger::TextKind::model_set && text == "*") return 0;
    const auto found = numbers_.find({kind, text});
    return found == numbers_.end() ? kUnknown : found->second;
  }
  static constexpr std::uint32_t kUnknown = 0xFFFF'FFFE;

 private:
  std::map<std::pair<ledger::TextKind, std::string>, std::uint32_t> numbers_;
};

}  // namespace sluice::reconcile
