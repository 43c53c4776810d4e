#include "sluice/http/response.hpp"

#include <cstring>

#include "sluice/base/assert.hpp"
#include "text.hpp"

namespace sluice::http {
namespace {

/// A provider that announces more than this many interim responses is refused.
constexpr int kMaxInterim = 8;

}  // namespace

void ResponseParser::reset(Method request_method) {
  start(Kind::response, 0);
  request_method_ = request_method;
  framing_ = Framing::none;
  status_ = 0;
  interim_count_ = 0;
  saw_continue_ = false;
}

Result<HeadStatus> ResponseParser::parse(std::span<const char> bytes, const Limits& limits) {
  if (is_broken()) return std::unexpected(failure_);
  auto status = read(bytes, limits);
  if (!status && begin_again()) status = read(bytes, limits);
  return status;
}

Result<HeadStatus> ResponseParser::read(std::span<const char> bytes, const Limits& limits) {
  const char* const base = bytes.data();
  while (bytes.size() > head_bytes()) {
    // llhttp would pass over line ends in front of a response.
    if (head_bytes() == head_offset_ &&
        (base[head_offset_] == '\r' || base[head_offset_] == '\n')) {
      return refuse(Errc::bad_syntax);
    }
    const auto status = advance(bytes, limits);
    if (!status || *status == HeadStatus::need_more) return status;
    auto checked = check_status_line(base);
    if (checked) checked = read_framing(base);
    if (!checked) return std::unexpected(checked.error());
    if (status_ >= 200) {
      decide_framing();
      return HeadStatus::complete;
    }
    // 101 would hand the connection to another protocol that nobody asked for.
    if (status_ == 101 || has_length_ || chunked_) return refuse(Errc::bad_framing);
    if (interim_count_ == kMaxInterim) return refuse(Errc::head_too_large);
    ++interim_count_;
    saw_continue_ |= status_ == 100;
    start(Kind::response, head_bytes());
  }
  return HeadStatus::need_more;
}

Result<> ResponseParser::check_status_line(const char* base) {
  // HTTP/1.m SP 3DIGIT [SP reason] CR LF (RFC 9112 §4); many servers leave the second space out.
  const char* const line = base + head_offset_;
  const char* const head_end = base + head_bytes();
  const auto* const line_feed =
      static_cast<const char*>(std::memchr(line, '\n', static_cast<std::size_t>(head_end - line)));
  if (line_feed == nullptr || line_feed - line < 13) return refuse(Errc::bad_syntax);
  const std::string_view text(line, static_cast<std::size_t>(line_feed - line));
  if (!text.starts_with("HTTP/1.") || (text[7] != '0' && text[7] != '1') || text[8] != ' ' ||
      !text.ends_with('\r')) {
    return refuse(Errc::bad_syntax);
  }
  version_minor_ = static_cast<std::uint8_t>(text[7] - '0');
  unsigned status = 0;
  for (const char c : text.substr(9, 3)) {
    if (!is_digit(c)) return refuse(Errc::bad_syntax);
    status = status * 10 + static_cast<unsigned>(c - '0');
  }
  if (status < 100 || status > 599) return refuse(Errc::bad_syntax);
  status_ = static_cast<std::uint16_t>(status);
  const std::string_view reason = text.substr(12, text.size() - 13);
  if (!reason.empty() && (reason[0] != ' ' || !all_in(kFieldByte, reason)))
    return refuse(Errc::bad_syntax);
  return {};
}

void ResponseParser::decide_framing() {
  const bool never_has_body = status_ == 204 || status_ == 304 || request_method_ == Method::head;
  if (never_has_body) {
    framing_ = Framing::none;
    // A 204 that announces a body may yet send it: its connection is not used again.
    if (status_ == 204 && (chunked_ || length_ > 0)) says_close_ = true;
  } else if (chunked_) {
    framing_ = Framing::chunked;
  } else if (has_length_) {
    framing_ = length_ > 0 ? Framing::length : Framing::none;
  } else {
    framing_ = Framing::until_close;
  }
}

ResponseHead ResponseParser::head(std::span<const char> bytes) const {
  SLUICE_ASSERT(bytes.size() >= head_bytes() && status_ >= 200);
  return {*this, fields_, bytes.data()};
}

int ResponseHead::status() const { return parser_->status_; }
int ResponseHead::version_minor() const { return parser_->version_minor_; }
Framing ResponseHead::framing() const { return parser_->framing_; }
std::uint64_t ResponseHead::content_length() const { return parser_->length_; }

bool ResponseHead::keep_alive() const {
  if (parser_->says_close_ || parser_->framing_ == Framing::until_close) return false;
  return parser_->version_minor_ == 1 || parser_->says_keep_alive_;
}

}  // namespace sluice::http
