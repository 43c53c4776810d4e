#include "sluice/http/fields.hpp"

#include <algorithm>
#include <cstring>

#include "field_lookup.hpp"
#include "text.hpp"

namespace sluice::http {
namespace {

using namespace std::string_view_literals;

// In the order of enum Field.
constexpr std::array<std::string_view, kFieldCount> kNames{
    "host"sv,
    "content-length"sv,
    "transfer-encoding"sv,
    "connection"sv,
    "expect"sv,
    "upgrade"sv,
    "te"sv,
    "trailer"sv,
    "keep-alive"sv,
    "proxy-connection"sv,
    "proxy-authorization"sv,
    "proxy-authenticate"sv,
    "authorization"sv,
    "x-api-key"sv,
    "x-goog-api-key"sv,
    "user-agent"sv,
    "content-type"sv,
    "content-encoding"sv,
    "accept"sv,
    "accept-encoding"sv,
    "anthropic-version"sv,
    "anthropic-beta"sv,
    "idempotency-key"sv,
    "x-request-id"sv,
    "request-id"sv,
    "x-client-request-id"sv,
    "retry-after"sv,
    "x-should-retry"sv,
    "openai-organization"sv,
    "openai-project"sv,
    "openai-beta"sv,
    "forwarded"sv,
    "x-forwarded-for"sv,
    "date"sv,
    "server"sv,
};

constexpr std::size_t kLongestName = 19;

/// The fields sorted by the length of their names: those of length n are [begin[n], begin[n + 1]).
struct ByLength {
  std::array<Field, kFieldCount> fields{};
  std::array<std::uint8_t, kLongestName + 2> begin{};
};

constexpr ByLength sort_by_length() {
  ByLength result;
  std::uint8_t filled = 0;
  for (std::size_t length = 0; length <= kLongestName; ++length) {
    result.begin[length] = filled;
    for (std::size_t i = 0; i < kFieldCount; ++i) {
      if (kNames[i].size() == length) result.fields[filled++] = static_cast<Field>(i);
    }
  }
  result.begin[kLongestName + 1] = filled;
  return result;
}

constexpr ByLength kByLength = sort_by_length();
static_assert(kByLength.begin[kLongestName + 1] == kFieldCount,
              "a name is longer than kLongestName");

template <class Word>
Word load(const char* at) {
  Word word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

constexpr std::uint64_t kLowerBits = 0x2020'2020'2020'2020;

/// Compares a token with a well-known name of the same length. Setting bit 5 makes letters lower
/// case and, of the bytes that a token may hold, maps none but "-" itself to "-".
bool same_token(std::string_view token, std::string_view known) {
  const char* const left = token.data();
  const char* const right = known.data();
  const std::size_t bytes = token.size();
  const auto same8 = [&](std::size_t at) {
    return (load<std::uint64_t>(left + at) | kLowerBits) == load<std::uint64_t>(right + at);
  };
  // Two loads that overlap cover any length from 8 to 16.
  if (bytes >= 8) return same8(0) && same8(bytes - 8) && (bytes <= 16 || same8(8));
  if (bytes >= 4) {
    const auto same4 = [&](std::size_t at) {
      return (load<std::uint32_t>(left + at) | static_cast<std::uint32_t>(kLowerBits)) ==
             load<std::uint32_t>(right + at);
    };
    return same4(0) && same4(bytes - 4);
  }
  for (std::size_t i = 0; i < bytes; ++i) {
    if ((left[i] | 0x20) != right[i]) return false;
  }
  return true;
}
static_assert(kLongestName <= 24, "same_token looks at 24 bytes");

Field find_token(std::string_view token) {
  if (token.empty() || token.size() > kLongestName) return Field::none;
  for (std::size_t i = kByLength.begin[token.size()]; i < kByLength.begin[token.size() + 1]; ++i) {
    const Field field = kByLength.fields[i];
    if (same_token(token, kNames[static_cast<std::size_t>(field)])) return field;
  }
  return Field::none;
}

}  // namespace

FoldedField find_folded(std::string_view name) {
  const Field field = find_token(name);
  if (field != Field::none || name.size() > kLongestName || !name.contains('_'))
    return {field, false};
  char dashed[kLongestName];
  std::replace_copy(name.begin(), name.end(), dashed, '_', '-');
  return {find_token({dashed, name.size()}), true};
}

Field find_field(std::string_view name) {
  const Field field = find_token(name);
  // Setting bit 5 makes one byte that is no letter look right: CR, which becomes "-".
  return field != Field::none && !name.contains('\r') ? field : Field::none;
}

std::string_view name_of(Field field) {
  return field == Field::none ? std::string_view{} : kNames[static_cast<std::size_t>(field)];
}

bool is_hop_by_hop(Field field) {
  switch (field) {
    case Field::connection:
    case Field::transfer_encoding:
    case Field::upgrade:
    case Field::te:
    case Field::trailer:
    case Field::keep_alive:
    case Field::proxy_connection:
    case Field::proxy_authorization:
    case Field::proxy_authenticate:
      return true;
    default:
      return false;
  }
}

bool is_hop_by_hop(std::string_view name) { return is_hop_by_hop(find_field(name)); }

bool equal_ignoring_case(std::string_view left, std::string_view right) {
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (to_lower(left[i]) != to_lower(right[i])) return false;
  }
  return true;
}

bool FieldTable::connection_names(const char* base, std::string_view name) const {
  if (!has(Field::connection)) return false;
  for (std::size_t i = 0; i < count(); ++i) {
    if (entries_[i].id != Field::connection) continue;
    ListItems items(at(base, i).value);
    for (std::string_view item; items.next(item);) {
      if (equal_ignoring_case(item, name)) return true;
    }
  }
  return false;
}

}  // namespace sluice::http
