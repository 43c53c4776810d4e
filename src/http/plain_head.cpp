// The quick way through a head that is whole and plain: one pass over its bytes, 32 at a time.
//
// It takes only what llhttp takes too, and leaves all else to it: heads in pieces, heads beyond a
// limit, wrong or unusual bytes. So it never refuses, and there is one judge of what is wrong. What
// llhttp would not check is checked behind both, by the same code (HeadParser::resolve_fields and
// the first line's checks).
#include <immintrin.h>

#include <array>
#include <bit>
#include <cstring>

#include "sluice/http/head_parser.hpp"
#include "sluice/http/request.hpp"
#include "text.hpp"

namespace sluice::http {
namespace {

/// A class of ASCII bytes as two lookups of 16: a bit for each high nibble, given for each low one.
struct NibbleTable {
  alignas(32) std::array<std::uint8_t, 32> low{};
  alignas(32) std::array<std::uint8_t, 32> high{};
};

consteval NibbleTable nibbles_of(ByteClass byte_class) {
  NibbleTable table;
  for (unsigned byte = 0; byte < 0x80; ++byte) {
    const unsigned bit = 1U << (byte >> 4U);
    if ((kByteClasses[byte] & byte_class) == 0) continue;
    for (unsigned lane = 0; lane < 32; lane += 16) {
      table.low[lane + (byte & 15U)] |= static_cast<std::uint8_t>(bit);
      table.high[lane + (byte >> 4U)] = static_cast<std::uint8_t>(bit);
    }
  }
  return table;
}

/// First byte from `p` on that is not of the class; none of 0x80 and above is.
template <ByteClass kClass>
const char* find_other(const char* p, const char* end) {
  static constexpr NibbleTable kTable = nibbles_of(kClass);
  const auto low = _mm256_load_si256(reinterpret_cast<const __m256i*>(kTable.low.data()));
  const auto high = _mm256_load_si256(reinterpret_cast<const __m256i*>(kTable.high.data()));
  const __m256i nibble = _mm256_set1_epi8(0x0f);
  for (; end - p >= 32; p += 32) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    const __m256i of_low = _mm256_shuffle_epi8(low, bytes);  // 0 for bytes of 0x80 and above
    const __m256i of_high =
        _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble));
    const __m256i other =
        _mm256_cmpeq_epi8(_mm256_and_si256(of_low, of_high), _mm256_setzero_si256());
    const auto mask = static_cast<unsigned>(_mm256_movemask_epi8(other));
    if (mask != 0) return p + std::countr_zero(mask);
  }
  while (p < end && is_in(kClass, *p)) ++p;
  return p;
}

/// First byte from `p` on that may not stand in a field's value: a control other than HTAB.
const char* find_control(const char* p, const char* end) {
  const __m256i last_control = _mm256_set1_epi8(0x1f);
  const __m256i tab = _mm256_set1_epi8('\t');
  const __m256i del = _mm256_set1_epi8(0x7f);
  for (; end - p >= 32; p += 32) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    const __m256i low = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, last_control), bytes);
    const __m256i wrong = _mm256_or_si256(_mm256_andnot_si256(_mm256_cmpeq_epi8(bytes, tab), low),
                                          _mm256_cmpeq_epi8(bytes, del));
    const auto mask = static_cast<unsigned>(_mm256_movemask_epi8(wrong));
    if (mask != 0) return p + std::countr_zero(mask);
  }
  while (p < end && is_in(kFieldByte, *p)) ++p;
  return p;
}

bool is_line_end(const char* p, const char* end) {
  return end - p >= 2 && p[0] == '\r' && p[1] == '\n';
}

/// Bytes of the method that stands at `p` with a space behind it; 0 = none of ours.
std::size_t method_bytes(const char* p, const char* end) {
  for (const Method method : {Method::post, Method::get, Method::head, Method::put, Method::patch,
                              Method::del, Method::options}) {
    const std::string_view name = to_string(method);
    if (static_cast<std::size_t>(end - p) > name.size() && p[name.size()] == ' ' &&
        std::memcmp(p, name.data(), name.size()) == 0) {
      return name.size();
    }
  }
  return 0;
}

bool is_version(const char* p, const char* end) {
  return end - p >= 8 && std::memcmp(p, "HTTP/1.", 7) == 0 && (p[7] == '0' || p[7] == '1');
}

}  // namespace

/// The request line; null if it is not plain, else where its line end is.
const char* HeadParser::plain_request_line(const char* p, const char* end) {
  const std::size_t method = method_bytes(p, end);
  if (method == 0) return nullptr;
  const char* const target = p + method + 1;
  p = find_other<kTargetByte>(p + method + 1, end);
  const auto bytes = static_cast<std::size_t>(p - target);
  if (bytes == 0 || *target != '/' || bytes > limit_target_ || p == end || *p != ' ' ||
      !is_version(p + 1, end)) {
    return nullptr;
  }
  target_offset_ = static_cast<std::uint16_t>(target - base_);
  target_bytes_ = static_cast<std::uint16_t>(bytes);
  return p + 9;
}

/// The status line, as plain_request_line().
const char* HeadParser::plain_status_line(const char* p, const char* end) {
  if (end - p < 13 || !is_version(p, end) || p[8] != ' ' || !is_digit(p[9]) || !is_digit(p[10]) ||
      !is_digit(p[11]) || p[12] != ' ') {
    return nullptr;
  }
  return find_control(p + 13, end);
}

/// Notes one field line; null if it is not plain, else the begin of the next line.
const char* HeadParser::plain_field(const char* p, const char* end) {
  const char* const name = p;
  p = find_other<kToken>(p, end);
  const auto name_bytes = static_cast<std::size_t>(p - name);
  if (name_bytes == 0 || name_bytes > kMaxFieldNameBytes || p == end || *p != ':') return nullptr;
  ++p;
  while (p < end && *p == ' ') ++p;
  const char* const value = p;
  p = find_control(p, end);
  if (!is_line_end(p, end) || fields_.count_ >= limit_fields_) return nullptr;
  // Of a length llhttp minds what blanks are around it.
  if (p != value && (is_blank(*value) || is_blank(p[-1]))) return nullptr;
  fields_.entries_[fields_.count_++] = {
      static_cast<std::uint16_t>(name - base_), static_cast<std::uint16_t>(value - base_),
      static_cast<std::uint16_t>(p - value), static_cast<std::uint8_t>(name_bytes), Field::none};
  return p + 2;
}

/// Reads the head from head_offset_ on, where nothing was read yet. False, and nothing noted: not
/// whole within `end`, or not plain.
bool HeadParser::read_plain(const char* end) {
  const char* p = base_ + head_offset_;
  p = kind_ == Kind::request ? plain_request_line(p, end) : plain_status_line(p, end);
  if (p != nullptr) p = is_line_end(p, end) ? p + 2 : nullptr;
  while (p != nullptr && !is_line_end(p, end)) p = plain_field(p, end);
  if (p == nullptr) {
    fields_.count_ = 0;
    target_bytes_ = 0;
    return false;
  }
  parsed_bytes_ = static_cast<std::uint32_t>(p + 2 - base_);
  done_ = true;
  return true;
}

}  // namespace sluice::http
