#include "sluice/http/request.hpp"

#include <cerrno>
#include <cstring>

#include "sluice/base/assert.hpp"
#include "text.hpp"

namespace sluice::http {
namespace {

constexpr std::string_view kMethodNames[] = {"GET",   "HEAD",   "POST",   "PUT",
                                             "PATCH", "DELETE", "OPTIONS"};

bool is_port(std::string_view text) {
  if (text.empty() || text.size() > 5) return false;
  unsigned port = 0;
  for (const char c : text) {
    if (!is_digit(c)) return false;
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  return port <= 65535;
}

/// uri-host [ ":" port ] (RFC 9110 §7.2), with names of letters, digits, "-", "." and "_" only.
bool is_host(std::string_view text) {
  std::size_t name_end = 0;
  if (text.starts_with('[')) {
    name_end = text.find(']');
    if (name_end == std::string_view::npos || name_end < 3) return false;
    for (const char c : text.substr(1, name_end - 1)) {
      if (!is_in(kHexDigit, c) && c != ':' && c != '.') return false;
    }
    ++name_end;
  } else {
    while (name_end < text.size() && text[name_end] != ':') {
      const char c = to_lower(text[name_end]);
      if (!is_digit(c) && (c < 'a' || c > 'z') && c != '-' && c != '.' && c != '_') return false;
      ++name_end;
    }
    if (name_end == 0) return false;
  }
  if (name_end == text.size()) return true;
  return text[name_end] == ':' && is_port(text.substr(name_end + 1));
}

}  // namespace

std::string_view to_string(Method method) { return kMethodNames[static_cast<std::size_t>(method)]; }

void RequestParser::reset() {
  start(Kind::request, 0);
  method_ = Method::get;
  path_bytes_ = 0;
  expects_continue_ = false;
}

Result<HeadStatus> RequestParser::parse(std::span<const char> bytes, const Limits& limits) {
  if (is_broken()) return std::unexpected(failure_);
  auto status = read(bytes, limits);
  if (!status && begin_again()) status = read(bytes, limits);
  return status;
}

Result<HeadStatus> RequestParser::read(std::span<const char> bytes, const Limits& limits) {
  auto status = skip_empty_line(bytes);
  if (!status || *status == HeadStatus::need_more) return status;
  status = advance(bytes, limits);
  if (!status || *status == HeadStatus::need_more) return status;
  const char* const base = bytes.data();
  auto checked = check_request_line(base);
  if (checked) checked = read_framing(base);
  if (checked) checked = check_body(base, limits);
  if (!checked) return std::unexpected(checked.error());
  return HeadStatus::complete;
}

Result<> RequestParser::check_request_line(const char* base) {
  constexpr std::string_view before_minor = " HTTP/1.";
  const std::size_t target_end = static_cast<std::size_t>(target_offset_) + target_bytes_;
  // llhttp has matched "HTTP/d.d" and CR LF behind the target, but allows more than one space on
  // either side.
  const char* const version = base + target_end;
  if (version[0] != ' ' || version[1] != 'H' || std::memcmp(version + 9, "\r\n", 2) != 0) {
    return refuse(Errc::bad_syntax);
  }
  if (std::memcmp(version, before_minor.data(), before_minor.size()) != 0 ||
      (version[8] != '0' && version[8] != '1')) {
    return refuse(Errc::unsupported, EPROTONOSUPPORT);
  }
  version_minor_ = static_cast<std::uint8_t>(version[8] - '0');

  const std::string_view before_target(base + head_offset_, target_offset_ - head_offset_);
  if (before_target.empty() || before_target.find(' ') != before_target.size() - 1) {
    return refuse(Errc::bad_syntax);
  }
  if (const auto checked = check_target(base); !checked) return checked;
  const std::string_view name = before_target.substr(0, before_target.size() - 1);
  for (std::size_t i = 0; i < std::size(kMethodNames); ++i) {
    if (name == kMethodNames[i]) {
      method_ = static_cast<Method>(i);
      return {};
    }
  }
  return refuse(
      Errc::unsupported);  // CONNECT, TRACE, WebDAV and the like: known to llhttp, not offered here
}

Result<> RequestParser::check_target(const char* base) {
  const std::string_view target(base + target_offset_, target_bytes_);
  if (!target.starts_with('/') || !all_in(kTargetByte, target)) return refuse(Errc::bad_syntax);
  const std::size_t mark = target.find('?');
  path_bytes_ = static_cast<std::uint16_t>(mark == std::string_view::npos ? target.size() : mark);
  return {};
}

Result<> RequestParser::check_body(const char* base, const Limits& limits) {
  if (!fields_.has(Field::host)) return refuse(Errc::bad_value);
  if (!is_host(fields_.value(base, Field::host))) return refuse(Errc::bad_value);
  if (fields_.has(Field::expect)) {
    if (!equal_ignoring_case(fields_.value(base, Field::expect), "100-continue")) {
      return refuse(Errc::expectation_failed);
    }
    expects_continue_ = version_minor_ == 1;
  }
  const bool has_body = chunked_ || length_ > 0;
  if (has_body && (method_ == Method::get || method_ == Method::head))
    return refuse(Errc::bad_framing);
  if (length_ > limits.body_bytes) return refuse(Errc::too_large);
  return {};
}

RequestHead RequestParser::head(std::span<const char> bytes) const {
  SLUICE_ASSERT(bytes.size() >= head_bytes());
  return {*this, fields_, bytes.data()};
}

Method RequestHead::method() const { return parser_->method_; }

std::string_view RequestHead::target() const {
  return {base_ + parser_->target_offset_, parser_->target_bytes_};
}

std::string_view RequestHead::path() const { return target().substr(0, parser_->path_bytes_); }

std::string_view RequestHead::query() const {
  const std::string_view rest = target().substr(parser_->path_bytes_);
  return rest.empty() ? rest : rest.substr(1);
}

int RequestHead::version_minor() const { return parser_->version_minor_; }

Framing RequestHead::framing() const {
  if (parser_->chunked_) return Framing::chunked;
  return parser_->length_ > 0 ? Framing::length : Framing::none;
}

std::uint64_t RequestHead::content_length() const { return parser_->length_; }
bool RequestHead::expects_continue() const { return parser_->expects_continue_; }

bool RequestHead::keep_alive() const {
  if (parser_->says_close_) return false;
  return parser_->version_minor_ == 1 || parser_->says_keep_alive_;
}

}  // namespace sluice::http
