// Errors: in the shape of the client's format, and the class of those that a provider sends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "sluice/base/error.hpp"
#include "sluice/base/units.hpp"
#include "sluice/dialect/format.hpp"

namespace sluice::dialect {

/// Why the gateway answers instead of a provider.
enum class ErrorKind : std::uint8_t {
  bad_request,
  unauthenticated,
  forbidden,        ///< the key may not do this
  model_forbidden,  ///< the key may not use this model
  model_not_found,
  not_found,
  method_not_allowed,
  not_offered,  ///< a part of the protocol that is not served here
  too_large,
  conflict,          ///< an Idempotency-Key that was used before
  no_funds,          ///< the wallet is empty
  budget_exhausted,  ///< a budget of the key or customer is used up
  rate_limited,
  upstream_failed,  ///< every candidate failed, or a provider's answer made no sense
  unavailable,      ///< a part of the gateway is away
  overloaded,
  timed_out,
  internal,
};

struct ErrorText {
  std::string_view message;     ///< any bytes: escaped, cut at kMaxErrorMessage
  std::string_view request_id;  ///< Claude puts it into the body
  std::string_view param;       ///< OpenAI: the field at fault; empty = null
  /// Gemini says it in the body of a rate limit (RetryInfo); −1 = not known
  std::int64_t retry_after_s = -1;
};

inline constexpr std::size_t kMaxErrorMessage = 1024;  ///< bytes of the message that are used
inline constexpr std::size_t kErrorBodyBytes =
    8192;  ///< an output span of this size always suffices

/// The kind of refusal that an Error of a lower layer becomes.
[[nodiscard]] ErrorKind kind_of(const Error& error);

/// The HTTP status that a kind has in a format (facts/wire §5.9, design §12).
[[nodiscard]] int status_of(Format format, ErrorKind kind);

/// Writes the body (JSON) into `out` and returns its length; 0 if `out` is too small.
[[nodiscard]] std::size_t render_error(Format format, ErrorKind kind, const ErrorText& text,
                                       std::span<char> out);

/// Writes the additional header lines of an error, each ended by CRLF: x-should-retry where a retry
/// cannot or can help, retry-after in seconds (≥ 0; −1 = none). Returns the length; 64 bytes
/// suffice, 0 if too small or none.
[[nodiscard]] std::size_t render_error_headers(ErrorKind kind, std::int64_t retry_after_s,
                                               std::span<char> out);

/// Where in a stream an error event goes.
struct StreamErrorPlace {
  bool at_boundary = true;     ///< StreamMeter::at_boundary()
  bool json_array = false;     ///< Gemini's stream without SSE
  bool first_element = false;  ///< json_array: nothing was sent before
};

/// Writes the format's error event for a stream that is under way, blank line included, and returns
/// its length; 0 if `out` is too small. Away from an event boundary the broken event is closed by a
/// blank line first. In Gemini's stream without SSE the error object becomes the last element.
[[nodiscard]] std::size_t render_stream_error(Format format, ErrorKind kind, const ErrorText& text,
                                              const StreamErrorPlace& place, std::span<char> out);

/// The bytes that keep a silent stream alive: Claude's ping event, else a comment. Static text.
[[nodiscard]] std::string_view render_ping(Format format);

/// What an upstream error means for the key, the channel and the caller (facts/wire §1.10).
enum class ErrorClass : std::uint8_t {
  unknown,
  key_bad,     ///< disable the upstream key
  no_money,    ///< the upstream account is empty: disable, try another
  rate,        ///< cool down, try another
  overloaded,  ///< try another
  caller,      ///< the request's own fault: never retry, never blame the channel
};

[[nodiscard]] std::string_view to_string(ErrorClass error_class);

/// What a provider's own codes mean: "CODE CLASS\n" lines, class names as to_string() has them.
/// Providers give the same numbers different meanings, so that no list in this program can know
/// them.
class ErrorTable {
 public:
  constexpr ErrorTable() = default;
  /// `text` outlives it. A line that is not as above is passed over.
  constexpr explicit ErrorTable(std::string_view text) : text_(text) {}
  /// unknown where the table does not have the code.
  [[nodiscard]] ErrorClass find(std::string_view code) const;

 private:
  std::string_view text_;
};

/// Classifies an answer by status and body, never by status alone. `status` 200 is allowed: errors
/// come with it too. `body` is the start of the body (4 KiB is plenty). What `table` says of a
/// code, a type or a number in parentheses at the end of the message goes before all else. Does not
/// allocate.
[[nodiscard]] ErrorClass classify_upstream_error(Format format, int status, std::string_view body,
                                                 const ErrorTable& table = {});

/// How long the body asks to be left alone: Gemini says `"retryDelay": "13s"` there and sends no
/// header (google.rpc.RetryInfo). 0 = it does not.
[[nodiscard]] TimeNs retry_delay_ns(std::string_view body);

/// True where the text is one of the known ways to say that the prompt does not fit the context
/// window.
[[nodiscard]] bool is_context_overflow(std::string_view text);

}  // namespace sluice::dialect
