// Message bodies: finds the payload inside received bytes without copying it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "sluice/base/error.hpp"
#include "sluice/http/head_parser.hpp"

namespace sluice::http {

/// What one call of BodyDecoder::next found.
struct BodyStep {
  std::span<const char> payload;   ///< inside the given bytes; empty if only framing was seen
  std::size_t consumed_bytes = 0;  ///< from the front of the given bytes, payload included
  bool done = false;               ///< complete: what follows is not part of the message
};

/// Decodes one body. 40 bytes, trivially copyable, never allocates; each byte of framing is looked
/// at once and payload is not looked at. Chunk extensions and trailers are checked and dropped.
///
/// Caps of the chunked coding: chunk size 16 hex digits and 4 GiB - 1; one extension list 1 KiB; a
/// leaky sum of framing above 16 bytes + twice the payload a chunk, 16 KiB (CVE-2023-39326);
/// trailers 8 KiB and 64 lines.
class BodyDecoder {
 public:
  /// A decoder for nothing: done at once.
  BodyDecoder() = default;
  /// `length` counts for Framing::length only. `limit_bytes` caps the decoded body: above it
  /// too_large. `source` is who sends it and goes into every error.
  BodyDecoder(Framing framing, std::uint64_t length, std::uint64_t limit_bytes, Source source);

  /// Takes the next run of framing and at most one run of payload from `bytes`. Call in a loop
  /// until consumed_bytes stops moving, done, or an error: bad_framing (chunked coding broken) or
  /// too_large. The verdict does not depend on how the bytes were cut.
  Result<BodyStep> next(std::span<const char> bytes);

  /// The peer's stream ended. Success if the body was complete or ends with the stream, else
  /// truncated.
  Result<> end_of_stream();

  [[nodiscard]] bool done() const { return state_ == State::done; }
  /// Payload bytes so far.
  [[nodiscard]] std::uint64_t decoded_bytes() const { return decoded_bytes_; }
  /// Payload bytes that are still to come by Content-Length; 0 for other framings.
  [[nodiscard]] std::uint64_t remaining_bytes() const {
    return state_ == State::fixed ? remaining_bytes_ : 0;
  }

 private:
  enum class State : std::uint8_t {
    done,
    fixed,
    until_close,
    size_first,
    size,
    size_lf,
    extension_name_first,
    extension_name,
    extension_value_first,
    extension_token,
    extension_quoted,
    extension_escape,
    extension_quoted_end,
    data,
    data_cr,
    data_lf,
    trailer_first,
    trailer_name,
    trailer_value,
    trailer_lf,
    last_lf,
    broken,
  };

  Result<std::span<const char>> take_payload(std::span<const char> bytes);
  Result<std::size_t> whole_size_line(std::span<const char> bytes);
  Result<> framing_byte(char byte);
  Result<> size_byte(char byte);
  Result<> extension_byte(char byte);
  Result<> trailer_byte(char byte);
  Result<> size_line_end();
  [[nodiscard]] std::unexpected<Error> refuse(Errc code);

  std::uint64_t remaining_bytes_ = 0;
  std::uint64_t decoded_bytes_ = 0;
  std::uint64_t limit_bytes_ = 0;
  std::uint32_t excess_bytes_ = 0;  ///< leaky sum of framing
  std::uint16_t line_bytes_ = 0;    ///< of the size line, or of all trailers
  std::uint8_t digits_ = 0;
  std::uint8_t trailer_lines_ = 0;
  State state_ = State::done;
  Errc failure_ = Errc::none;  ///< when broken
  Source source_ = Source::self;
};

}  // namespace sluice::http
