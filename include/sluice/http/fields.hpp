// Header fields: the well-known names, and the table of fields of one parsed head.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sluice/http/limits.hpp"

namespace sluice::http {

/// Fields that are resolved while a head is parsed. `none` stands for every other name.
enum class Field : std::uint8_t {
  // framing and connection
  host,
  content_length,
  transfer_encoding,
  connection,
  expect,
  upgrade,
  te,
  trailer,
  keep_alive,
  proxy_connection,
  proxy_authorization,
  proxy_authenticate,
  // who asks
  authorization,
  x_api_key,
  x_goog_api_key,
  user_agent,
  // content
  content_type,
  content_encoding,
  accept,
  accept_encoding,
  // the providers' own
  anthropic_version,
  anthropic_beta,
  idempotency_key,
  x_request_id,
  request_id,
  x_client_request_id,
  retry_after,
  x_should_retry,
  openai_organization,
  openai_project,
  openai_beta,
  forwarded,
  x_forwarded_for,
  date,
  server,
  none,
};
inline constexpr std::size_t kFieldCount = static_cast<std::size_t>(Field::none);

/// The well-known field of a name, compared without case, or Field::none.
[[nodiscard]] Field find_field(std::string_view name);

/// The field's name in lower case. Empty for Field::none.
[[nodiscard]] std::string_view name_of(Field field);

/// Whether the field ends at this hop and is never forwarded (RFC 9110 §7.6.1), its `Connection`
/// list apart.
[[nodiscard]] bool is_hop_by_hop(Field field);
[[nodiscard]] bool is_hop_by_hop(std::string_view name);

/// Compares two ASCII texts without case.
[[nodiscard]] bool equal_ignoring_case(std::string_view left, std::string_view right);

/// One field of a head: views into the bytes that were parsed. The value has no white space at
/// either end.
struct FieldView {
  std::string_view name;
  std::string_view value;
  Field id = Field::none;
};

/// The fields of one head as offsets from the head's first byte, so that the bytes may move while a
/// head is still incomplete. Filled by a parser; trivially copyable; 1.2 KB.
class FieldTable {
 public:
  [[nodiscard]] std::size_t count() const { return count_; }

  /// Field number `index` (< count()) of the head that begins at `base`.
  [[nodiscard]] FieldView at(const char* base, std::size_t index) const {
    const Entry& entry = entries_[index];
    return {{base + entry.name_offset, entry.name_bytes},
            {base + entry.value_offset, entry.value_bytes},
            entry.id};
  }

  [[nodiscard]] bool has(Field field) const {
    return first_[static_cast<std::size_t>(field)] != kAbsent;
  }

  /// Value of the first field of that name, or an empty view with a null pointer.
  [[nodiscard]] std::string_view value(const char* base, Field field) const {
    const std::uint8_t index = first_[static_cast<std::size_t>(field)];
    return index == kAbsent ? std::string_view{} : at(base, index).value;
  }

  /// Whether a `Connection` field names `name`: such a field ends at this hop (RFC 9110 §7.6.1).
  [[nodiscard]] bool connection_names(const char* base, std::string_view name) const;

 private:
  friend class HeadParser;

  struct Entry {
    std::uint16_t name_offset;
    std::uint16_t value_offset;
    std::uint16_t value_bytes;
    std::uint8_t name_bytes;
    Field id;
  };
  static constexpr std::uint8_t kAbsent = 0xff;
  static_assert(kMaxFieldNameBytes <= 0xff && kMaxFields < kAbsent);

  void clear() {
    count_ = 0;
    first_.fill(kAbsent);
  }

  std::array<Entry, kMaxFields> entries_;
  std::array<std::uint8_t, kFieldCount> first_;
  std::uint8_t count_;
};

}  // namespace sluice::http
