// Lists of integers as text, for the columns that hold a few of them: "1 2 -3".
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::ledger {

template <class Numbers>
std::string write_list(const Numbers& numbers) {
  std::string out;
  for (const auto number : numbers) {
    if (!out.empty()) out += ' ';
    out += std::to_string(static_cast<std::int64_t>(number));
  }
  return out;
}

/// What can be read; a damaged text gives a shorter list.
inline std::vector<std::int64_t> read_list(std::string_view text) {
  std::vector<std::int64_t> out;
  while (!text.empty()) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc()) break;
    out.push_back(value);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.starts_with(' ')) text.remove_prefix(1);
  }
  return out;
}

}  // namespace sluice::ledger
