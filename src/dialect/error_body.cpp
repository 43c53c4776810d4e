#include "sluice/dialect/error_body.hpp"

#include <array>

#include "json_writer.hpp"

namespace sluice::dialect {
namespace {

/// One kind of refusal in each format (facts/wire §5.9, design §12).
struct ErrorShape {
  int openai_status;
  std::string_view openai_type;
  std::string_view openai_code;  ///< empty = null
  int claude_status;
  std::string_view claude_type;
  int gemini_status;
  std::string_view gemini_name;
};

// In the order of ErrorKind.
constexpr ErrorShape kShapes[] = {
    {/* bad_request */ 400, "invalid_request_error", "", 400, "invalid_request_error", 400,
     "INVALID_ARGUMENT"},
    {/* unauthenticated */ 401, "authentication_error", "invalid_api_key", 401,
     "authentication_error", 401, "UNAUTHENTICATED"},
    {/* forbidden */ 403, "permission_error", "permission_denied", 403, "permission_error", 403,
     "PERMISSION_DENIED"},
    {/* model_forbidden */ 403, "permission_error", "model_not_allowed", 403, "permission_error",
     403, "PERMISSION_DENIED"},
    {/* model_not_found */ 404, "invalid_request_error", "model_not_found", 404, "not_found_error",
     404, "NOT_FOUND"},
    {/* not_found */ 404, "invalid_request_error", "not_found", 404, "not_found_error", 404,
     "NOT_FOUND"},
    {/* method_not_allowed */ 405, "invalid_request_error", "method_not_allowed", 405,
     "invalid_request_error", 405, "INVALID_ARGUMENT"},
    {/* not_offered */ 404, "invalid_request_error", "not_supported", 404, "not_found_error", 404,
     "UNIMPLEMENTED"},
    {/* too_large */ 413, "invalid_request_error", "request_too_large", 413, "request_too_large",
     400, "INVALID_ARGUMENT"},
    {/* conflict */ 409, "invalid_request_error", "idempotency_conflict", 409, "conflict_error",
     409, "ABORTED"},
    {/* no_funds */ 429, "insufficient_quota", "insufficient_quota", 402, "billing_error", 429,
     "RESOURCE_EXHAUSTED"},
    {/* budget_exhausted */ 429, "insufficient_quota", "insufficient_quota", 402, "billing_error",
     429, "RESOURCE_EXHAUSTED"},
    {/* rate_limited */ 429, "rate_limit_error", "rate_limit_exceeded", 429, "rate_limit_error",
     429, "RESOURCE_EXHAUSTED"},
    {/* upstream_failed */ 502, "server_error", "upstream_error", 502, "api_error", 502,
     "UNAVAILABLE"},
    {/* unavailable */ 503, "server_error", "unavailable", 503, "api_error", 503, "UNAVAILABLE"},
    {/* overloaded */ 503, "server_error", "overloaded", 529, "overloaded_error", 503,
     "UNAVAILABLE"},
    {/* timed_out */ 504, "server_error", "timeout", 504, "timeout_error", 504,
     "DEADLINE_EXCEEDED"},
    {/* internal */ 500, "server_error", "internal_error", 500, "api_error", 500, "INTERNAL"},
};
static_assert(std::size(kShapes) == static_cast<std::size_t>(ErrorKind::internal) + 1);

const ErrorShape& shape_of(ErrorKind kind) { return kShapes[static_cast<std::size_t>(kind)]; }

/// The message, cut between two characters.
std::string_view cut(std::string_view message) {
  if (message.size() <= kMaxErrorMessage) return message;
  std::size_t size = kMaxErrorMessage;
  while (size > kMaxErrorMessage - 4 && (static_cast<unsigned char>(message[size]) & 0xc0) == 0x80)
    --size;
  return message.substr(0, size);
}

void string_or_null(JsonWriter& out, std::string_view text) {
  text.empty() ? out.raw("null") : out.string(text);
}

void openai_object(JsonWriter& out, ErrorKind kind, const ErrorText& text) {
  const ErrorShape& shape = shape_of(kind);
  out.raw("{\"error\":{\"message\":").string(cut(text.message));
  out.raw(",\"type\":").string(shape.openai_type).raw(",\"param\":");
  string_or_null(out, text.param.substr(0, 64));
  out.raw(",\"code\":");
  string_or_null(out, shape.openai_code);
  out.raw("}}");
}

void claude_object(JsonWriter& out, ErrorKind kind, const ErrorText& text) {
  out.raw("{\"type\":\"error\",\"error\":{\"type\":").string(shape_of(kind).claude_type);
  out.raw(",\"message\":").string(cut(text.message)).raw("},\"request_id\":");
  string_or_null(out, text.request_id.substr(0, 128));
  out.raw("}");
}

void gemini_object(JsonWriter& out, ErrorKind kind, const ErrorText& text) {
  const ErrorShape& shape = shape_of(kind);
  out.raw("{\"error\":{\"code\":")
      .number(shape.gemini_status)
      .raw(",\"message\":")
      .string(cut(text.message));
  out.raw(",\"status\":").string(shape.gemini_name);
  if (kind == ErrorKind::unauthenticated) {
    // Google's own SDKs look for the reason.
    out.raw(
        ",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\","
        "\"reason\":\"API_KEY_INVALID\",\"domain\":\"googleapis.com\"}]");
  }
  if (kind == ErrorKind::rate_limited && text.retry_after_s >= 0) {
    out.raw(
           ",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\","
           "\"retryDelay\":\"")
        .number(text.retry_after_s)
        .raw("s\"}]");
  }
  out.raw("}}");
}

/// The top-level event of the Responses API, facts/wire §2.6.
void responses_event(JsonWriter& out, ErrorKind kind, const ErrorText& text) {
  const ErrorShape& shape = shape_of(kind);
  out.raw("{\"type\":\"error\",\"code\":")
      .string(shape.openai_code.empty() ? shape.openai_type : shape.openai_code);
  out.raw(",\"message\":").string(cut(text.message)).raw(",\"param\":");
  string_or_null(out, text.param.substr(0, 64));
  // The gateway does not count the provider's numbers; clients only order by them.
  out.raw(",\"sequence_number\":0}");
}

void error_object(JsonWriter& out, Format format, ErrorKind kind, const ErrorText& text) {
  switch (format) {
    case Format::openai:
    case Format::responses:
      return openai_object(out, kind, text);
    case Format::claude:
      return claude_object(out, kind, text);
    case Format::gemini:
      return gemini_object(out, kind, text);
  }
}

std::size_t written(const JsonWriter& out) { return out.overflow() ? 0 : out.size(); }

}  // namespace

ErrorKind kind_of(const Error& error) {
  switch (error.code) {
    case Errc::bad_syntax:
    case Errc::bad_framing:
    case Errc::bad_value:
    case Errc::head_too_large:
    case Errc::target_too_long:
    case Errc::expectation_failed:
      return error.source == Source::upstream ? ErrorKind::upstream_failed : ErrorKind::bad_request;
    case Errc::too_large:
      return error.source == Source::upstream ? ErrorKind::upstream_failed : ErrorKind::too_large;
    case Errc::unsupported:
      return ErrorKind::not_offered;
    case Errc::closed:
    case Errc::reset:
    case Errc::refused:
    case Errc::unreachable:
    case Errc::truncated:
    case Errc::tls_failed:
    case Errc::proxy_failed:
      return ErrorKind::upstream_failed;
    case Errc::timed_out:
      return ErrorKind::timed_out;
    case Errc::unauthenticated:
      return ErrorKind::unauthenticated;
    case Errc::forbidden:
      return ErrorKind::forbidden;
    case Errc::not_found:
      return ErrorKind::not_found;
    case Errc::insufficient_funds:
      return ErrorKind::no_funds;
    case Errc::budget_exhausted:
      return ErrorKind::budget_exhausted;
    case Errc::rate_limited:
      return ErrorKind::rate_limited;
    case Errc::conflict:
      return ErrorKind::conflict;
    case Errc::full:
    case Errc::unavailable:
    case Errc::stale_epoch:
      return ErrorKind::unavailable;
    case Errc::none:
    case Errc::cancelled:
    case Errc::io:
    case Errc::corrupt:
    case Errc::internal:
      return ErrorKind::internal;
  }
  return ErrorKind::internal;
}

int status_of(Format format, ErrorKind kind) {
  const ErrorShape& shape = shape_of(kind);
  switch (format) {
    case Format::claude:
      return shape.claude_status;
    case Format::gemini:
      return shape.gemini_status;
    case Format::openai:
    case Format::responses:
      return shape.openai_status;
  }
  return shape.openai_status;
}

std::size_t render_error(Format format, ErrorKind kind, const ErrorText& text,
                         std::span<char> out) {
  JsonWriter writer(out);
  error_object(writer, format, kind, text);
  return written(writer);
}

std::size_t render_error_headers(ErrorKind kind, std::int64_t retry_after_s, std::span<char> out) {
  JsonWriter writer(out);
  switch (kind) {
    // SDKs retry 409, 429 and 5xx by themselves: say where that cannot help.
    case ErrorKind::no_funds:
    case ErrorKind::budget_exhausted:
    case ErrorKind::conflict:
    case ErrorKind::not_offered:
      writer.raw("x-should-retry: false\r\n");
      break;
    case ErrorKind::rate_limited:
    case ErrorKind::unavailable:
    case ErrorKind::overloaded:
      writer.raw("x-should-retry: true\r\n");
      break;
    default:
      break;
  }
  if (retry_after_s >= 0) writer.raw("retry-after: ").number(retry_after_s).raw("\r\n");
  return written(writer);
}

std::size_t render_stream_error(Format format, ErrorKind kind, const ErrorText& text,
                                const StreamErrorPlace& place, std::span<char> out) {
  JsonWriter writer(out);
  if (place.json_array) {
    writer.raw(place.first_element ? "[" : ",\r\n");
    error_object(writer, format, kind, text);
    writer.raw("\n]");
    return written(writer);
  }
  if (!place.at_boundary) writer.raw("\n\n");
  switch (format) {
    case Format::openai:
    case Format::gemini:
      writer.raw("data: ");
      error_object(writer, format, kind, text);
      break;
    case Format::responses:
      writer.raw("event: error\ndata: ");
      responses_event(writer, kind, text);
      break;
    case Format::claude:
      writer.raw("event: error\ndata: ");
      error_object(writer, format, kind, text);
      break;
  }
  writer.raw("\n\n");
  return written(writer);
}

std::string_view render_ping(Format format) {
  if (format == Format::claude) return "event: ping\ndata: {\"type\":\"ping\"}\n\n";
  return ": keep-alive\n\n";
}

}  // namespace sluice::dialect
