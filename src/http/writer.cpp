#include "sluice/http/writer.hpp"

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

}  // namespace

bool is_field_value(std::string_view text) {
  // Written so that the compiler makes 32 comparisons at a time: refused are 0x00-0x1f but HTAB,
  // and 0x7f.
  std::uint8_t bad = 0;
  for (const char c : text) {
    const auto byte = static_cast<std::uint8_t>(c);
    bad |= static_cast<std::uint8_t>(((byte < 0x20) & (byte != '\t')) | (byte == 0x7f));
  }
  return bad == 0;
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

void HeadWriter::field(std::string_view name, std::string_view value) { field(name, value, {}); }

void HeadWriter::field(std::string_view name, std::string_view value, std::string_view value_tail) {
  if (!name_is_allowed(name)) return;
  if (!is_field_value(value) || !is_field_value(value_tail)) return fail_with(Errc::bad_value);
  raw(name);
  raw(": ");
  raw(value);
  raw(value_tail);
  raw("\r\n");
}

void HeadWriter::field(std::string_view name, std::uint64_t value) {
  field(name, Decimal(value).text());
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
