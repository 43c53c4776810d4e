// What the fuzz targets share. An input is the very bytes that are parsed, so that a seed can be
// read and a finding sent with netcat: where it is cut is drawn from its own hash.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::fuzz {

/// Ends the process where a rule is broken; libFuzzer then writes the input down.
inline void check(bool holds, const char* rule, std::string_view one = {},
                  std::string_view other = {}) {
  if (holds) return;
  std::fprintf(stderr, "BROKEN: %s\n--- one\n%.*s\n--- other\n%.*s\n---\n", rule,
               static_cast<int>(one.size()), one.data(), static_cast<int>(other.size()),
               other.data());
  std::abort();
}

inline void check_same(std::string_view one, std::string_view other, const char* rule) {
  check(one == other, rule, one, other);
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// The same numbers for the same input, other ones for every other.
inline std::minstd_rand draws_of(std::string_view text) {
  return std::minstd_rand(static_cast<unsigned>(std::hash<std::string_view>()(text) | 1U));
}

inline constexpr std::size_t kByteByByte = 1024;  ///< longer inputs are not cut at every byte

/// Ways to cut a text: one cut, many cuts, and at every byte where it is short. Ascending places.
inline std::vector<std::vector<std::size_t>> ways_to_cut(std::string_view text) {
  std::vector<std::vector<std::size_t>> ways;
  if (text.size() < 2) return ways;
  std::minstd_rand draw = draws_of(text);
  ways.push_back({1 + draw() % (text.size() - 1)});
  std::vector<std::size_t> many;
  for (std::size_t at = 1 + draw() % 9; at < text.size(); at += 1 + draw() % 60) many.push_back(at);
  ways.push_back(std::move(many));
  if (text.size() > kByteByByte) return ways;
  std::vector<std::size_t> each;
  for (std::size_t at = 1; at < text.size(); ++at) each.push_back(at);
  ways.push_back(std::move(each));
  return ways;
}

/// A text cut at these places, each piece in a block of exactly its size: AddressSanitizer sees a
/// read beyond.
template <class Take>
void for_pieces(std::string_view text, const std::vector<std::size_t>& cuts, Take take) {
  std::size_t from = 0;
  const auto give = [&](std::size_t to) {
    const std::unique_ptr<char[]> exact(new char[to - from]);
    text.copy(exact.get(), to - from, from);
    take(std::string_view(exact.get(), to - from));
    from = to;
  };
  for (const std::size_t cut : cuts) give(cut);
  give(text.size());
}

}  // namespace sluice::fuzz
