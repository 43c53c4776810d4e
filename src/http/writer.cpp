#include "sluice/http/writer.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

#include "sluice/http/fields.hpp"
#include "sluice/http/status.hpp"
#include "text.hpp"

namespace sluice::http {
namespace {

/// Fields that only the writer's own methods may produce, or nobody.
bool is_reserved(Field field) {
  return is_hop_by_hop(field)
             ? field != Field::proxy_authorization && field != Field::proxy_authenticate
             : field == Field::content_length;
}

/// Decimal text of a number.
class Decimal {
 public:
  explicit Decimal(std::uint64_t value)
      : end_(std::to_chars(digits_, digits_ + sizeof digits_, value).ptr) {}
  [[nodiscard]] std::string_view text() const {
    return {digits_, static_cast<std::size_t>(end_ - digits_)};
  }

 private:
  char digits_[20];
  char* end_;
};

bool all_field_bytes(std::string_view text) { return text.empty() || all_in(kFieldByte, text); }

/// Whether one of eight bytes is below 0x20 or is 0x7f. Subtracting borrows into bit 7 of a byte
/// only where that byte, or one before it that is itself such a byte, is too small.
bool has_control(const char* eight_bytes) {
  constexpr std::uint64_t ones = 0x0101'0101'0101'0101;
  constexpr std::uint64_t high_bits = ones * 0x80;
  std::uint64_t word = 0;
  std::memcpy(&word, eight_bytes, sizeof word);
  const std::uint64_t del = word ^ (ones * 0x7f);
  const std::uint64_t too_small = (word - ones * 0x20) & ~word;
  const std::uint64_t is_del = (del - ones) & ~del;
  return ((too_small | is_del) & high_bits) != 0;
}

}  // namespace

bool is_field_value(std::string_view text) {
  if (text.size() < 8) return all_field_bytes(text);
  // Eight bytes at a time; the last eight overlap the ones before. A tab is seldom: then byte by
  // byte.
  bool clean = true;
  for (std::size_t at = 0; at + 8 < text.size(); at += 8) clean &= !has_control(text.data() + at);
  clean &= !has_control(text.data() + text.size() - 8);
  return clean || all_field_bytes(text);
}

bool is_token(std::string_view text) { return !text.empty() && all_in(kToken, text); }

void HeadWriter::raw(std::string_view text) {
  if (static_cast<std::size_t>(end_ - at_) < text.size()) {
    fail_with(Errc::full);
    return;
  }
  if (!text.empty()) std::memcpy(at_, text.data(), text.size());
  at_ += text.size();
}

void HeadWriter::fail_with(Errc code) {
  if (failure_ == Errc::none) failure_ = code;
  end_ = at_;
}

void HeadWriter::request_line(Method method, std::string_view path, std::string_view query) {
  if (has_first_line_) return fail_with(Errc::internal);
  has_first_line_ = true;
  if (!path.starts_with('/') || !all_in(kTargetByte, path) || path.contains('?') ||
      (!query.empty() && !all_in(kTargetByte, query))) {
    return fail_with(Errc::bad_value);
  }
  raw(to_string(method));
  raw(" ");
  raw(path);
  if (!query.empty()) {
    raw("?");
    raw(query);
  }
  raw(" HTTP/1.1\r\n");
}

void HeadWriter::status_line(int status) {
  if (has_first_line_) return fail_with(Errc::internal);
  has_first_line_ = true;
  if (status < 100 || status > 599) return fail_with(Errc::bad_value);
  raw("HTTP/1.1 ");
  raw(Decimal(static_cast<std::uint64_t>(status)).text());
  raw(" ");
  raw(reason_phrase(status));
  raw("\r\n");
}

bool HeadWriter::name_is_allowed(std::string_view name) {
  if (!has_first_line_) {
    fail_with(Errc::internal);
    return false;
  }
  if (!is_token(name) || is_reserved(find_field(name))) {
    fail_with(Errc::bad_value);
    return false;
  }
  return true;
}

void HeadWriter::field(std::string_view name, std::string_view value, std::string_view value_tail) {
  if (name_is_allowed(name)) write_field(name, value, value_tail);
}

void HeadWriter::field(std::string_view name, std::uint64_t value) {
  field(name, Decimal(value).text());
}

void HeadWriter::field(Field known, std::string_view value, std::string_view value_tail) {
  if (!has_first_line_) return fail_with(Errc::internal);
  if (known == Field::none || is_reserved(known)) return fail_with(Errc::bad_value);
  write_field(name_of(known), value, value_tail);
}

void HeadWriter::write_field(std::string_view name, std::string_view value,
                             std::string_view value_tail) {
  if (!is_field_value(value) || !is_field_value(value_tail)) return fail_with(Errc::bad_value);
  const std::size_t bytes = name.size() + value.size() + value_tail.size() + 4;
  if (static_cast<std::size_t>(end_ - at_) < bytes) return fail_with(Errc::full);
  at_ = std::copy(name.begin(), name.end(), at_);
  *at_++ = ':';
  *at_++ = ' ';
  at_ = std::copy(value.begin(), value.end(), at_);
  at_ = std::copy(value_tail.begin(), value_tail.end(), at_);
  *at_++ = '\r';
  *at_++ = '\n';
}

void HeadWriter::checked_lines(std::string_view lines) {
  if (!has_first_line_) return fail_with(Errc::internal);
  // A line that is not ended would take in the one behind it.
  if (!lines.empty() && !lines.ends_with("\r\n")) return fail_with(Errc::bad_value);
  raw(lines);
}

void HeadWriter::framing(std::string_view line) {
  if (has_framing_ || !has_first_line_) return fail_with(Errc::internal);
  has_framing_ = true;
  raw(line);
}

void HeadWriter::content_length(std::uint64_t bytes) {
  framing("content-length: ");
  raw(Decimal(bytes).text());
  raw("\r\n");
}

void HeadWriter::transfer_encoding_chunked() { framing("transfer-encoding: chunked\r\n"); }
void HeadWriter::connection_close() { raw("connection: close\r\n"); }
void HeadWriter::connection_keep_alive() { raw("connection: keep-alive\r\n"); }

Result<std::size_t> HeadWriter::finish() {
  if (!has_first_line_) fail_with(Errc::internal);
  raw("\r\n");
  if (failure_ != Errc::none) return fail(failure_, Source::self);
  return static_cast<std::size_t>(at_ - begin_);
}

std::size_t write_chunk_head(std::span<char, kChunkHeadBytes> out, std::uint64_t payload_bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  const std::size_t count =
      payload_bytes == 0 ? 1 : (static_cast<std::size_t>(std::bit_width(payload_bytes)) + 3) / 4;
  for (std::size_t i = count; i-- > 0; payload_bytes >>= 4) out[i] = digits[payload_bytes & 0xfU];
  out[count] = '\r';
  out[count + 1] = '\n';
  return count + 2;
}

}  // namespace sluice::http
