// The plain text members of a small JSON object that has been checked before.
#pragma once

#include <optional>
#include <string_view>

namespace sluice::dialect {

/// Walks over the members of one object, without memory. Names and values are as they stand between
/// their quotes; members whose name or value has an escape, or whose value is no string, are passed
/// over.
class FlatObject {
 public:
  struct Member {
    std::string_view name;
    std::string_view value;
  };
  /// `json`: valid JSON, an object from its brace on.
  explicit FlatObject(std::string_view json) : rest_(json) {}
  /// The next member; nothing at the end (and at once, where `json` is none).
  [[nodiscard]] std::optional<Member> next();

 private:
  bool skip_value();
  std::string_view take_string(bool& plain);
  void skip_blanks();
  std::string_view rest_;
};

}  // namespace sluice::dialect
