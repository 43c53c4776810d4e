#include "credential_forms.hpp"

#include <algorithm>
#include <bit>

namespace sluice::dialect {
namespace {

// A private key of 16,384 bits in PEM, its line breaks escaped, has less.
constexpr std::size_t kMostPemBytes = 16'384;
// Between the name of a secret and its value: an equals sign or a colon, blanks, quotes of one kind
// or the other, perhaps escaped.
constexpr std::size_t kMostBetween = 12;

std::size_t run_of(std::string_view text, Chars chars) {
  std::size_t size = 0;
  while (size < text.size() && in_class(text[size], chars)) ++size;
  return size;
}

/// Keys are random: of enough different characters, some of them digits. "sk_test_xxxxxxxx…" and
/// "ghp_your_token_here" are not.
bool looks_random(std::string_view run) {
  std::uint64_t seen[2] = {0, 0};
  bool digit = false;
  for (const char c : run) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 128) seen[byte / 64] |= std::uint64_t{1} << (byte % 64);
    digit |= c >= '0' && c <= '9';
  }
  constexpr int kLeastDifferent = 8;
  return digit && std::popcount(seen[0]) + std::popcount(seen[1]) >= kLeastDifferent;
}

}  // namespace

Match match_run(const Form& form, std::string_view text) {
  const std::size_t prefix = form.prefix.size();
  const std::size_t size = run_of(text.substr(prefix), form.chars);
  if (size < form.least || (form.most != 0 && size > form.most)) return {};
  // What is longer in other characters is another thing: a path, an identifier.
  const std::size_t end = prefix + size;
  if (form.most != 0 && end < text.size() && in_class(text[end], Chars::word)) return {};
  return looks_random(text.substr(prefix, size)) ? Match{0, end} : Match{};
}

Match match_jwt(const Form&, std::string_view text) {
  constexpr std::size_t kLeastPart = 12;
  const std::size_t header = run_of(text, Chars::url);
  if (header < kLeastPart || !text.substr(header).starts_with(".eyJ")) return {};
  const std::size_t payload = run_of(text.substr(header + 1), Chars::url);
  const std::size_t dot = header + 1 + payload;
  if (payload < kLeastPart || dot >= text.size() || text[dot] != '.') return {};
  const std::size_t signature = run_of(text.substr(dot + 1), Chars::url);
  return signature < 2 * kLeastPart ? Match{} : Match{0, dot + 1 + signature};
}

Match match_pem(const Form&, std::string_view text) {
  constexpr std::string_view kMark = "PRIVATE KEY";
  constexpr std::string_view kDashes = "-----";
  const std::string_view title = text.substr(kDashes.size(), 64);
  const std::size_t name = title.find(kDashes);
  if (name == std::string_view::npos || title.substr(0, name).find(kMark) == std::string_view::npos)
    return {};
  if (title.substr(0, name).find('"') != std::string_view::npos) return {};  // two strings of JSON
  const std::string_view whole = text;
  text = text.substr(0, kMostPemBytes);
  const std::size_t inside = 2 * kDashes.size() + name;
  const std::size_t end = text.find("-----END ", inside);
  const std::size_t last =
      end == std::string_view::npos ? end : text.find(kDashes, end + kDashes.size());
  const std::size_t quote = std::min(text.find('"', inside), text.size());
  if (last != std::string_view::npos && last < quote) return {0, last + kDashes.size()};
  // Cut off: as far as the text goes. A backslash belongs to what is behind it, and so does the
  // first part of a character of several bytes.
  std::size_t size = quote;
  while (size < whole.size() && (static_cast<unsigned char>(whole[size]) & 0xC0U) == 0x80) --size;
  while (text[size - 1] == '\\') --size;
  return {0, size};
}

Match match_named(const Form& form, std::string_view text) {
  std::size_t at = form.prefix.size();
  const std::size_t until = std::min(text.size(), at + kMostBetween);
  while (at < until && !in_class(text[at], Chars::base64)) ++at;
  // "=" is a character of base64, and stands between name and value as well.
  while (at < until && (text[at] == '=' || !in_class(text[at], Chars::base64))) ++at;
  const std::size_t size = run_of(text.substr(at), form.chars);
  if (size < form.least || size > form.most) return {};
  return looks_random(text.substr(at, size)) ? Match{at, size} : Match{};
}

Match match_sendgrid(const Form& form, std::string_view text) {
  constexpr std::size_t kId = 22, kSecret = 43;
  const std::size_t prefix = form.prefix.size();
  if (run_of(text.substr(prefix), Chars::url) != kId) return {};
  const std::size_t dot = prefix + kId;
  if (dot >= text.size() || text[dot] != '.') return {};
  const bool found = run_of(text.substr(dot + 1), Chars::url) == kSecret;
  return found ? Match{0, dot + 1 + kSecret} : Match{};
}

}  // namespace sluice::dialect
