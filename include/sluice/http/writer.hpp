// Writes heads and chunk framing into space that the caller gives. Framing is always our own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "sluice/base/error.hpp"
#include "sluice/http/request.hpp"

namespace sluice::http {

/// Serialises one head into a fixed span; never allocates. The first failure sticks and finish()
/// reports it, so that call sites need one check. Nothing may be sent when finish() fails.
///
/// Values may hold HTAB, SP, visible ASCII and bytes above 0x7f; CR, LF, NUL and other control
/// bytes are refused, and so are names that are not tokens and the framing fields (Content-Length,
/// Transfer-Encoding, Connection, Upgrade, Trailer, TE, Keep-Alive, Proxy-Connection), which have
/// methods of their own or none.
class HeadWriter {
 public:
  explicit HeadWriter(std::span<char> out)
      : begin_(out.data()), at_(out.data()), end_(out.data() + out.size()) {}

  /// First line to an upstream, always HTTP/1.1. `path` begins with "/"; `query` goes behind a "?"
  /// unless empty.
  void request_line(Method method, std::string_view path, std::string_view query = {});
  /// First line to a client: HTTP/1.1 with the standard reason phrase. `status`: 100 to 599.
  void status_line(int status);

  /// One field. The value may be put together from two parts, e.g. "Bearer " and a key.
  void field(std::string_view name, std::string_view value, std::string_view value_tail = {});
  void field(std::string_view name, std::uint64_t value);
  /// A well-known name, which needs no check: the cheapest.
  void field(Field known, std::string_view value, std::string_view value_tail = {});

  /// Whole lines, "name: value" CR LF each, that need no check any more: fields of a head that this
  /// module's parsers took, framing and hop-by-hop fields left out, or constants of the program.
  void checked_lines(std::string_view lines);

  void content_length(std::uint64_t bytes);
  void transfer_encoding_chunked();
  void connection_close();
  void connection_keep_alive();  ///< only an HTTP/1.0 client needs it

  /// Ends the head. The bytes written, or: bad_value (a byte that may not be sent), full (no room),
  /// internal (framing given twice, no first line). All with Source::self.
  [[nodiscard]] Result<std::size_t> finish();

 private:
  void raw(std::string_view text);
  void fail_with(Errc code);
  bool name_is_allowed(std::string_view name);
  void write_field(std::string_view name, std::string_view value, std::string_view value_tail);
  void framing(std::string_view line);

  char* begin_;
  char* at_;
  char* end_;
  Errc failure_ = Errc::none;
  bool has_first_line_ = false;
  bool has_framing_ = false;
};

/// Whether the bytes may stand in a field value that we send.
[[nodiscard]] bool is_field_value(std::string_view text);
/// Whether the text is a token (RFC 9110 §5.6.2): a field name.
[[nodiscard]] bool is_token(std::string_view text);

inline constexpr std::size_t kChunkHeadBytes = 18;  ///< 16 hex digits and CR LF
inline constexpr std::string_view kChunkTail = "\r\n";
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

/// Writes "<hex>\r\n" for a chunk of `payload_bytes` (> 0: a chunk of 0 ends the body) and returns
/// its length.
std::size_t write_chunk_head(std::span<char, kChunkHeadBytes> out, std::uint64_t payload_bytes);

}  // namespace sluice::http
