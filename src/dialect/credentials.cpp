#include "sluice/dialect/credentials.hpp"

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "credential_forms.hpp"

namespace sluice::dialect {
namespace {

// The first three bytes of every form, as bits of eight groups by low and by high half of each
// byte: two table look-ups a byte and their common bits leave the few places where one may begin.
struct Fingerprints {
  std::array<std::array<std::uint8_t, 16>, 3> low{};
  std::array<std::array<std::uint8_t, 16>, 3> high{};
};

constexpr Fingerprints make_fingerprints() {
  Fingerprints out;
  for (std::size_t i = 0; i < std::size(kForms); ++i) {
    for (std::size_t at = 0; at < 3; ++at) {
      const auto byte = static_cast<unsigned char>(kForms[i].prefix[at]);
      const auto group = static_cast<std::uint8_t>(1U << (i % 8));
      out.low[at][byte & 15U] |= group;
      out.high[at][byte >> 4U] |= group;
    }
  }
  return out;
}
constexpr Fingerprints kFingerprints = make_fingerprints();

__m256i table(const std::array<std::uint8_t, 16>& bytes) {
  return _mm256_broadcastsi128_si256(
      _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes.data())));
}

/// Looks for places where a form may begin, 32 at a time.
class Filter {
 public:
  Filter() {
    for (std::size_t i = 0; i < 3; ++i) {
      low_[i] = table(kFingerprints.low[i]);
      high_[i] = table(kFingerprints.high[i]);
    }
  }
  /// Bits of the 32 places from `p` on; reads 34 bytes.
  [[nodiscard]] std::uint32_t candidates(const char* p) const {
    const __m256i all =
        _mm256_and_si256(_mm256_and_si256(groups(p, 0), groups(p + 1, 1)), groups(p + 2, 2));
    const __m256i none = _mm256_cmpeq_epi8(all, _mm256_setzero_si256());
    return ~static_cast<std::uint32_t>(_mm256_movemask_epi8(none));
  }

 private:
  [[nodiscard]] __m256i groups(const char* p, std::size_t which) const {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    const __m256i half = _mm256_set1_epi8(15);
    const __m256i lower = _mm256_and_si256(bytes, half);
    const __m256i upper = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), half);
    return _mm256_and_si256(_mm256_shuffle_epi8(low_[which], lower),
                            _mm256_shuffle_epi8(high_[which], upper));
  }
  std::array<__m256i, 3> low_;
  std::array<__m256i, 3> high_;
};

bool is_word(char c) { return in_class(c, Chars::word); }

/// A token begins here and not within a word. What JSON writes for a line break ends in a letter.
bool begins_token(std::string_view body, std::size_t at) {
  if (at == 0 || !is_word(body[at - 1])) return true;
  const char before = body[at - 1];
  return at >= 2 && body[at - 2] == '\\' && (before == 'n' || before == 'r' || before == 't');
}

std::optional<Credential> credential_at(std::string_view body, std::size_t at) {
  if (!begins_token(body, at)) return std::nullopt;
  const std::string_view rest = body.substr(at);
  for (const Form& form : kForms) {
    if (!rest.starts_with(form.prefix)) continue;
    if (const Match found = form.match(form, rest); found.size > 0) {
      return Credential{at + found.offset, found.size, form.kind};
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<Credential> find_credential(std::string_view body, std::size_t from) {
  const Filter filter;
  std::size_t at = from;
  for (; at + 34 <= body.size(); at += 32) {
    for (std::uint32_t bits = filter.candidates(body.data() + at); bits != 0; bits &= bits - 1) {
      const std::size_t place = at + static_cast<std::size_t>(std::countr_zero(bits));
      if (const auto found = credential_at(body, place)) return found;
    }
  }
  for (; at < body.size(); ++at) {
    if (const auto found = credential_at(body, at)) return found;
  }
  return std::nullopt;
}

std::size_t mask_credentials(std::span<char> body) {
  std::size_t count = 0;
  std::size_t at = 0;
  const std::string_view text{body.data(), body.size()};
  while (const auto found = find_credential(text, at)) {
    std::fill_n(body.begin() + static_cast<std::ptrdiff_t>(found->offset), found->size, '*');
    at = found->offset + found->size;
    ++count;
  }
  return count;
}

}  // namespace sluice::dialect
