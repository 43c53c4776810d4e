#include "text.hpp"

#include <fmt/format.h>

#include <iterator>

namespace sluice::mock {
namespace {

std::string_view reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 429:
      return "Too Many Requests";
    case 500:
      return "Internal Server Error";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 529:
      return "Overloaded";
    default:
      return "Status";
  }
}

struct ErrorNames {
  int status;
  std::string_view openai_type;
  std::string_view openai_code;  ///< empty = null
  std::string_view claude_type;
  std::string_view gemini_status;
};

ErrorNames error_names(int status) {
  static constexpr ErrorNames kTable[] = {
      {400, "invalid_request_error", "", "invalid_request_error", "INVALID_ARGUMENT"},
      {401, "authentication_error", "invalid_api_key", "authentication_error", "UNAUTHENTICATED"},
      {402, "insufficient_quota", "insufficient_quota", "billing_error", "FAILED_PRECONDITION"},
      {403, "permission_error", "", "permission_error", "PERMISSION_DENIED"},
      {404, "invalid_request_error", "model_not_found", "not_found_error", "NOT_FOUND"},
      {409, "conflict_error", "", "conflict_error", "ABORTED"},
      {413, "invalid_request_error", "", "request_too_large", "INVALID_ARGUMENT"},
      {429, "requests", "rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED"},
      {500, "server_error", "", "api_error", "INTERNAL"},
      {503, "server_error", "", "overloaded_error", "UNAVAILABLE"},
      {504, "server_error", "", "timeout_error", "DEADLINE_EXCEEDED"},
      {529, "server_error", "", "overloaded_error", "UNAVAILABLE"},
  };
  for (const ErrorNames& names : kTable) {
    if (names.status == status) return names;
  }
  if (status < 500)
    return {status, "invalid_request_error", "", "invalid_request_error", "INVALID_ARGUMENT"};
  return {status, "server_error", "", "api_error", "INTERNAL"};
}

}  // namespace

void append_framed(std::string& out, std::string_view payload) {
  fmt::format_to(std::back_inserter(out), "{:x}\r\n", payload.size());
  out += payload;
  out += "\r\n";
}

void append_event(std::string& out, std::string_view name, std::string_view data) {
  const std::size_t name_bytes = name.empty() ? 0 : name.size() + 8;
  fmt::format_to(std::back_inserter(out), "{:x}\r\n", name_bytes + data.size() + 8);
  if (!name.empty()) fmt::format_to(std::back_inserter(out), "event: {}\n", name);
  fmt::format_to(std::back_inserter(out), "data: {}\n\n\r\n", data);
}

std::string_view request_id_field(Family family) {
  return family == Family::claude ? "request-id" : "x-request-id";
}

void append_json(std::string& out, int status, Family family, std::uint64_t id,
                 std::string_view body, std::string_view more_fields) {
  fmt::format_to(
      std::back_inserter(out),
      "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\n{}: req_{:016x}\r\n{}Content-Length: "
      "{}\r\n\r\n",
      status, reason(status), request_id_field(family), id, more_fields, body.size());
  out += body;
}

std::string error_object(int status, Family family, std::uint64_t id, std::string_view message) {
  const ErrorNames names = error_names(status);
  switch (family) {
    case Family::claude:
      return fmt::format(
          R"({{"type":"error","error":{{"type":"{}","message":"{}"}},"request_id":"req_{:016x}"}})",
          names.claude_type, message, id);
    case Family::gemini:
      return fmt::format(R"({{"error":{{"code":{},"message":"{}","status":"{}"}}}})", status,
                         message, names.gemini_status);
    case Family::openai:
      break;
  }
  const std::string code =
      names.openai_code.empty() ? "null" : fmt::format("\"{}\"", names.openai_code);
  return fmt::format(R"({{"error":{{"message":"{}","type":"{}","param":null,"code":{}}}}})",
                     message, names.openai_type, code);
}

void append_error(std::string& out, int status, Family family, std::uint64_t id,
                  std::string_view message, int retry_after_s) {
  std::string more;
  if (retry_after_s >= 0) more = fmt::format("retry-after: {}\r\n", retry_after_s);
  append_json(out, status, family, id, error_object(status, family, id, message), more);
}

void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
}

}  // namespace sluice::mock
