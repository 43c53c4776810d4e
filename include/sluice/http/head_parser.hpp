// What the request parser and the response parser share: llhttp driven over one head, and the table it fills.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

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

/// Internal base of RequestParser and ResponseParser. Trivially copyable, no allocation, no pointer that
/// outlives a call: a caller may start in a shared scratch object and move it to a connection's own only when
/// a head arrives in pieces.
class HeadParser {
 public:
  /// Bytes of the head, once complete: the body or the next message begins there. For a response this counts
  /// the interim (1xx) heads in front of it too.
  [[nodiscard]] std::size_t head_bytes() const { return parsed_bytes_; }

 protected:
  struct Callbacks;
  enum class Kind : std::uint8_t { request, response };
  /// A run of bytes inside the head.
  struct Range {
    std::uint16_t offset;
    std::uint16_t bytes;
  };

  void start(Kind kind, std::size_t at);
  /// Feeds what is new in `bytes` to llhttp and checks the shape of every line.
  Result<HeadStatus> advance(std::span<const char> bytes, const Limits& limits);

  [[nodiscard]] std::unexpected<Error> refuse(Errc code, int sys_errno = 0) const;
  Result<> check_line_shapes(const char* base) const;
  Result<> resolve_fields(const char* base);
  Result<> check_framing_fields(const char* base);
  Result<> check_connection(const char* base);

  FieldTable fields_;
  Range start_text_;            ///< request target, or reason phrase
  std::uint16_t version_offset_;
  std::uint8_t version_minor_;
  std::uint8_t llhttp_method_;
  std::uint16_t status_;
  Kind kind_;
  Source source_;
  bool connection_close_;
  bool connection_keep_alive_;
  bool chunked_;
  bool has_length_;
  std::uint64_t length_;

 private:
  enum class Stop : std::uint8_t { none, target, fields, name, version, shape };

  bool in_value_;
  bool done_;
  Stop stop_;
  std::uint32_t head_offset_;   ///< where the head in hand begins: behind an empty line or interim heads
  std::uint32_t parsed_bytes_;
  std::uint32_t limit_fields_;
  std::uint32_t limit_target_;
  const char* base_;            ///< valid inside one call only
  alignas(8) std::array<std::byte, 96> llhttp_;
};

}  // namespace sluice::http
