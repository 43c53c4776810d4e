#include "behaviour.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace sluice::mock {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::int64_t kNsPerUs = 1'000;
constexpr std::int64_t kLargestNumber = 1'000'000'000'000;

struct NumberOption {
  std::string_view name;
  std::int64_t smallest;
  std::int64_t largest;
  void (*set)(Behaviour&, std::int64_t);
};

template <std::int32_t Behaviour::* Field>
void set_i32(Behaviour& b, std::int64_t value) {
  b.*Field = static_cast<std::int32_t>(value);
}

template <std::int64_t Behaviour::* Field, std::int64_t Unit = 1>
void set_i64(Behaviour& b, std::int64_t value) {
  b.*Field = value * Unit;
}

void set_reset(Behaviour& b, std::int64_t value) {
  b.cut_after = static_cast<std::int32_t>(value);
  b.reset = true;
}

constexpr std::array kNumberOptions = {
    NumberOption{"l", 0, 3'600'000, set_i64<&Behaviour::latency_ns, kNsPerMs>},
    NumberOption{"lu", 0, 1'000'000'000, set_i64<&Behaviour::latency_ns, kNsPerUs>},
    NumberOption{"f", 0, 3'600'000, set_i64<&Behaviour::first_ns, kNsPerMs>},
    NumberOption{"g", 0, 3'600'000, set_i64<&Behaviour::gap_ns, kNsPerMs>},
    NumberOption{"gu", 0, 1'000'000'000, set_i64<&Behaviour::gap_ns, kNsPerUs>},
    NumberOption{"c", 0, 100'000'000, set_i32<&Behaviour::chunks>},
    NumberOption{"s", 1, 1 << 20, set_i32<&Behaviour::chunk_bytes>},
    NumberOption{"w", 1, 1 << 16, set_i32<&Behaviour::words_per_chunk>},
    NumberOption{"t", 1, 1 << 20, set_i32<&Behaviour::tokens_per_chunk>},
    NumberOption{"ping", 1, 10'000, set_i32<&Behaviour::pings>},
    NumberOption{"split", 1, 1 << 20, set_i32<&Behaviour::split_bytes>},
    NumberOption{"bulk", 1, 1 << 26, set_i32<&Behaviour::bulk_bytes>},
    NumberOption{"e", 300, 599, set_i32<&Behaviour::status>},
    NumberOption{"ra", 0, 1'000'000, set_i32<&Behaviour::retry_after_s>},
    NumberOption{"cut", 0, 100'000'000, set_i32<&Behaviour::cut_after>},
    NumberOption{"rst", 0, 100'000'000, set_reset},
    NumberOption{"stall", 0, 100'000'000, set_i32<&Behaviour::stall_after>},
    NumberOption{"err", 0, 100'000'000, set_i32<&Behaviour::error_after>},
    NumberOption{"in", 0, kLargestNumber, set_i64<&Behaviour::input>},
    NumberOption{"out", 0, kLargestNumber, set_i64<&Behaviour::output>},
    NumberOption{"cache", 0, kLargestNumber, set_i64<&Behaviour::cache_read>},
    NumberOption{"cwrite", 0, kLargestNumber, set_i64<&Behaviour::cache_write>},
    NumberOption{"think", 0, kLargestNumber, set_i64<&Behaviour::reasoning>},
    NumberOption{"hold", 1, 1'000'000, set_i32<&Behaviour::hold>},
};

struct WordOption {
  std::string_view name;
  void (*set)(Behaviour&);
};

template <UsageMode Mode>
void set_usage(Behaviour& b) {
  b.usage = Mode;
}

template <Trouble Kind>
void set_trouble(Behaviour& b) {
  b.trouble = Kind;
}

template <bool Behaviour::* Field>
void set_flag(Behaviour& b) {
  b.*Field = true;
}

constexpr std::array kWordOptions = {
    WordOption{"nousage", set_usage<UsageMode::none>},
    WordOption{"wrongusage", set_usage<UsageMode::wrong>},
    WordOption{"negusage", set_usage<UsageMode::negative>},
    WordOption{"hugeusage", set_usage<UsageMode::huge>},
    WordOption{"twiceusage", set_usage<UsageMode::twice>},
    WordOption{"shrinkusage", set_usage<UsageMode::shrinking>},
    WordOption{"badkey", set_trouble<Trouble::key>},
    WordOption{"nomoney", set_trouble<Trouble::money>},
    WordOption{"limited", set_trouble<Trouble::rate>},
    WordOption{"busy", set_trouble<Trouble::busy>},
    WordOption{"badrequest", set_trouble<Trouble::caller>},
    WordOption{"hold", [](Behaviour& b) { b.hold = -1; }},
    WordOption{"tool", set_flag<&Behaviour::tool>},
    WordOption{"ts", set_flag<&Behaviour::stamps>},
    WordOption{"chunked", set_flag<&Behaviour::chunked>},
    WordOption{"close", set_flag<&Behaviour::close>},
    WordOption{"eof", set_flag<&Behaviour::until_eof>},
};

}  // namespace

std::int64_t Behaviour::output_tokens(std::int64_t sent) const {
  return sent * tokens_per_chunk + (tool ? kToolCallTokens : 0) + reasoning;
}

bool apply_option(std::string_view word, Behaviour& behaviour) {
  for (const WordOption& option : kWordOptions) {
    if (word == option.name) {
      option.set(behaviour);
      return true;
    }
  }
  const std::size_t digits_at = word.find_first_of("0123456789");
  if (digits_at == std::string_view::npos || digits_at == 0) return false;
  std::int64_t value = 0;
  const char* const end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data() + digits_at, end, value);
  if (error != std::errc{} || stop != end) return false;
  const std::string_view name = word.substr(0, digits_at);
  for (const NumberOption& option : kNumberOptions) {
    if (name != option.name) continue;
    if (value < option.smallest || value > option.largest) return false;
    option.set(behaviour, value);
    return true;
  }
  return false;
}

Behaviour behaviour_of(std::string_view model, const Behaviour& defaults) {
  Behaviour behaviour = defaults;
  bool after_mock = false;
  while (!model.empty()) {
    const std::size_t dash = std::min(model.find('-'), model.size());
    const std::string_view word = model.substr(0, dash);
    if (after_mock) apply_option(word, behaviour);
    after_mock = after_mock || word == "mock";
    model.remove_prefix(std::min(dash + 1, model.size()));
  }
  return behaviour;
}

}  // namespace sluice::mock
