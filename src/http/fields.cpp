#include "sluice/http/fields.hpp"

#include <span>

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
static_assert(kByLength.begin[kLongestName + 1] == kFieldCount, "a name is longer than kLongestName");

// Lower case, and "_" as "-": the twins that CGI-like upstreams cannot tell apart.
constexpr std::array<char, 256> make_fold() {
  std::array<char, 256> table{};
  for (std::size_t i = 0; i < table.size(); ++i) {
    const bool upper = i >= 'A' && i <= 'Z';
    table[i] = i == '_' ? '-' : static_cast<char>(upper ? i + ('a' - 'A') : i);
  }
  return table;
}
constexpr std::array<char, 256> kFold = make_fold();

char fold(char c) { return kFold[static_cast<unsigned char>(c)]; }

}  // namespace

FoldedField find_folded(std::string_view name) {
  if (name.empty() || name.size() > kLongestName) return {};
  const char first = fold(name.front());
  for (std::size_t i = kByLength.begin[name.size()]; i < kByLength.begin[name.size() + 1]; ++i) {
    const Field field = kByLength.fields[i];
    const std::string_view known = kNames[static_cast<std::size_t>(field)];
    if (known.front() != first) continue;
    bool same = true;
    bool underscore = false;
    for (std::size_t at = 0; at < known.size(); ++at) {
      same &= fold(name[at]) == known[at];
      underscore |= name[at] == '_';
    }
    if (same) return {field, underscore};
  }
  return {};
}

Field find_field(std::string_view name) {
  const FoldedField found = find_folded(name);
  return found.underscore ? Field::none : found.field;
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
    case Field::proxy_authenticate: return true;
    default: return false;
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
