// How one provider differs from the format that it speaks, as data: where usage stands and what its
// fields are called, what comes before an answer, and its own words for what is wrong.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "behaviour.hpp"
#include "request_facts.hpp"

namespace sluice::mock {

/// An error answer. Status 200 is a status like any other here.
struct Refusal {
  Trouble trouble = Trouble::none;
  Family family = Family::openai;
  int status = 400;
  std::string_view body;
  bool streamed_only = false;  ///< a request without stream is answered by the next row
};

/// Names of the fields of a usage in Chat.
enum class UsageNames : std::uint8_t { openai, deepseek, kimi, mistral, xai, qwen };
/// Where usage stands in a Chat stream.
enum class UsagePlace : std::uint8_t { own_chunk, finish_chunk, choice };

struct Personality {
  std::string_view name;
  UsageNames usage_names = UsageNames::openai;
  UsagePlace usage_place = UsagePlace::own_chunk;
  bool usage_unasked = false;    ///< without stream_options.include_usage
  bool array_content = false;    ///< content is an array of parts
  bool think_tags = false;       ///< reasoning stands in content, between tags
  bool reasoning_field = false;  ///< reasoning_content beside content
  bool strict = false;           ///< a member that it does not know is refused
  std::int32_t blank_lines = 0;  ///< before a whole answer
  std::int32_t pings = 0;        ///< comments before the first chunk
  std::span<const Refusal> refusals;
};

/// Null when there is none of that name.
[[nodiscard]] const Personality* find_personality(std::string_view name);
/// The provider's answer to `trouble`, or null: then it has no words of its own for it.
[[nodiscard]] const Refusal* find_refusal(const Personality* personality, Trouble trouble,
                                          Family family, bool streamed);

}  // namespace sluice::mock
