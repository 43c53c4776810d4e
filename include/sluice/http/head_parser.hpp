// What the request parser and the response parser share: llhttp driven over one head, and the table
// it fills.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "sluice/base/error.hpp"
#include "sluice/http/fields.hpp"
#include "sluice/http/limits.hpp"

namespace sluice::http {

enum class HeadStatus : std::uint8_t {
  need_more,  ///< the head goes on: call again with more bytes behind the same ones
  complete,
};

/// How a message says where its body ends (RFC 9112 §6).
enum class Framing : std::uint8_t { none, length, chunked, until_close };

/// Internal base of RequestParser and ResponseParser. Trivially copyable, no allocation, no pointer
/// that outlives a call: a caller may start in a shared scratch object and move it to a
/// connection's own only when a head arrives in pieces.
class HeadParser {
 public:
  /// Bytes of the head, once complete: the body or the next message begins there. For a response
  /// this counts the interim (1xx) heads in front of it too.
  [[nodiscard]] std::size_t head_bytes() const { return parsed_bytes_; }

 protected:
  struct Callbacks;
  enum class Kind : std::uint8_t { request, response };

  void start(Kind kind, std::size_t at);
  /// After an error: whether the head was read the quick way; it is then begun again, for llhttp.
  [[nodiscard]] bool begin_again();
  /// Reads what is new in `bytes`, by llhttp if it is not a plain head that is whole; when the head
  /// is complete, checks the shape of its field lines and resolves the well-known ones. The first
  /// line is the derived class's.
  Result<HeadStatus> advance(std::span<const char> bytes, const Limits& limits);
  /// One empty line in front of a request is passed over (RFC 9112 §2.2).
  Result<HeadStatus> skip_empty_line(std::span<const char> bytes);

  /// Makes the error and keeps it: parse() gives it again, whatever it is called with.
  [[nodiscard]] std::unexpected<Error> refuse(Errc code, int sys_errno = 0);
  [[nodiscard]] bool is_broken() const { return failure_.code != Errc::none; }
  /// Reads Content-Length, Transfer-Encoding and Connection.
  Result<> read_framing(const char* base);

  FieldTable fields_;
  Error failure_;
  std::uint64_t length_;
  std::uint32_t head_offset_;    ///< begin of this head: behind an empty line or interim heads
  std::uint16_t target_offset_;  ///< of a request
  std::uint16_t target_bytes_;
  std::uint8_t version_minor_;
  bool has_length_;
  bool chunked_;
  bool says_close_;
  bool says_keep_alive_;

 private:
  enum class Stop : std::uint8_t { none, target, fields, name, shape };
  enum class Phase : std::uint8_t { line, name, value };

  Errc passed_limit(std::string_view seen, const Limits& limits) const;
  Errc errc_of(int llhttp_code, std::size_t error_offset, const char* base,
               const Limits& limits) const;
  // plain_head.cpp: the quick way, tried first.
  bool read_plain(const char* end);
  const char* plain_request_line(const char* p, const char* end);
  const char* plain_status_line(const char* p, const char* end);
  const char* plain_field(const char* p, const char* end);

  Result<HeadStatus> resolve_head();
  Result<> resolve_fields(const char* base);
  Result<> resolve_field(const char* base, std::size_t index, std::size_t line_end);
  Result<> read_transfer_encoding(std::string_view value);
  Result<> read_connection(std::string_view value);

  Kind kind_;
  Phase phase_;
  Stop stop_;
  bool done_;
  bool may_be_plain_;  ///< the quick way was not given up
  bool was_plain_;
  std::uint32_t parsed_bytes_;
  std::uint32_t limit_fields_;
  std::uint32_t limit_target_;
  const char* base_;  ///< valid inside one call only
  alignas(8) std::array<std::byte, 96> llhttp_;
};

}  // namespace sluice::http
