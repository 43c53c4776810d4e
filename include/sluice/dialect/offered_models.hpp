// A provider's list of its models, read in pieces that are cut anywhere: untrusted bytes, bounded
// memory.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/dialect/format.hpp"
#include "sluice/dialect/json_state.hpp"

namespace sluice::dialect {

/// One answer's worth. Owner: who asked.
class OfferedModels {
 public:
  static constexpr std::size_t kMost = 2000;      ///< names that are kept
  static constexpr std::size_t kNameBytes = 128;  ///< a longer one is left out

  explicit OfferedModels(Format format);

  /// Reads the next piece. False once the document cannot be JSON any more.
  bool feed(std::string_view piece);
  /// All of the answer was read, and it is a list of models.
  [[nodiscard]] bool is_list() const { return found_ && json_.step == JsonStep::done; }
  /// Nothing was left out: the names were few and short enough, and there is no further page.
  [[nodiscard]] bool is_complete() const { return complete_; }
  /// In its order, without Gemini's "models/" in front; any bytes may be in them, none is empty.
  [[nodiscard]] std::span<const std::string> names() const { return names_; }

 private:
  friend class OfferRules;
  void end_name();

  Format format_;
  JsonState json_;
  bool found_ = false;  ///< the array of models
  bool complete_ = true;
  bool too_long_ = false;  ///< the name that is read
  std::string name_;
  std::vector<std::string> names_;
};

/// The target of the list behind the channel's base path, with all that fits on one page. Static
/// text.
[[nodiscard]] std::string_view models_target(Format format);

}  // namespace sluice::dialect
