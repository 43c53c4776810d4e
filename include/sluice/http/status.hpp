// Status codes: reason phrases, and which one answers a parser's error.
#pragma once

#include <string_view>

#include "sluice/base/error.hpp"

namespace sluice::http {

/// The standard reason phrase (RFC 9110 §15), or "Unknown".
[[nodiscard]] std::string_view reason_phrase(int status);

/// The status with which the edge answers what RequestParser or the request's BodyDecoder refused:
/// bad_syntax, bad_framing, bad_value 400; too_large 413; target_too_long 414; expectation_failed
/// 417; head_too_large 431; unsupported 501, or 505 when sys_errno is EPROTONOSUPPORT; timed_out
/// 408. Of an error with Source::upstream: 502, timed_out 504. Any other error: 500.
[[nodiscard]] int status_of(const Error& error);

}  // namespace sluice::http
