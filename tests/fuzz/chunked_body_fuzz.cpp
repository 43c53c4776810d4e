// Chunked bodies against a decoder that is written from RFC 9112 §7.1 and the house rules, over the
// whole text at once: what is taken has the same payload and the same end; what is refused breaks a
// rule or a cap.
#include <charconv>
#include <optional>

#include "fuzz.hpp"
#include "sluice/http/body.hpp"

namespace sluice::http {
namespace {

constexpr std::uint64_t kLimit = 1 << 20;

struct Decoded {
  enum class Verdict : std::uint8_t { waits, done, refused } verdict = Verdict::waits;
  std::string payload;
  std::size_t used = 0;  ///< bytes of the message, where it is done
  Errc code = Errc::none;
  [[nodiscard]] std::string text() const {
    return std::to_string(static_cast<int>(verdict)) + " " + std::to_string(used) + " " +
           std::string(to_string(code)) + "\n" + payload;
  }
};

Decoded decode(std::string_view text, const std::vector<std::size_t>& cuts) {
  BodyDecoder decoder(Framing::chunked, 0, kLimit, Source::client);
  Decoded out;
  fuzz::for_pieces(text, cuts, [&](std::string_view piece) {
    while (!piece.empty() && out.verdict == Decoded::Verdict::waits) {
      const auto step = decoder.next({piece.data(), piece.size()});
      if (!step) {
        out.verdict = Decoded::Verdict::refused;
        out.code = step.error().code;
        return;
      }
      fuzz::check(step->consumed_bytes > 0, "a step takes something");
      out.payload.append(step->payload.data(), step->payload.size());
      out.used += step->consumed_bytes;
      piece.remove_prefix(step->consumed_bytes);
      if (step->done) out.verdict = Decoded::Verdict::done;
    }
  });
  if (out.verdict != Decoded::Verdict::done) out.used = 0;
  // A refusal may come with the payload before it or instead of it.
  if (out.verdict == Decoded::Verdict::refused) out.payload.clear();
  return out;
}

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

/// Whether quoted text ends at its end: '"' *( qdtext / quoted-pair ) '"'.
bool is_quoted(std::string_view text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return false;
  for (std::size_t i = 1; i + 1 < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '"') return false;
    if (c == '\\' && ++i + 1 >= text.size()) return false;
    const auto inner = static_cast<unsigned char>(text[i]);
    if ((inner < 0x20 && inner != '\t') || inner == 0x7f) return false;
  }
  return true;
}

/// ";name" or ";name=value", any number of them, without white space.
bool are_extensions(std::string_view text) {
  while (!text.empty()) {
    if (text.front() != ';') return false;
    text.remove_prefix(1);
    const std::size_t name = text.find_first_of(";=");
    if (!is_token(text.substr(0, name))) return false;
    if (name == std::string_view::npos) return true;
    text.remove_prefix(name);
    if (text.front() == ';') continue;
    text.remove_prefix(1);
    std::size_t end = text.find(';');
    if (text.starts_with('"')) {  // a semicolon may stand between the quotes
      end = 1;
      while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2U : 1U;
      if (end >= text.size()) return false;
      ++end;
      if (!is_quoted(text.substr(0, end))) return false;
    } else if (!is_token(text.substr(0, end))) {
      return false;
    }
    text.remove_prefix(std::min(end, text.size()));
  }
  return true;
}

bool is_trailer(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return false;
  return std::ranges::all_of(line.substr(colon + 1), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
  });
}

/// The whole message if it is one, without any cap but the size of a chunk.
std::optional<Decoded> reference(std::string_view text) {
  Decoded out;
  std::size_t at = 0;
  const auto line = [&]() -> std::optional<std::string_view> {
    const std::size_t end = text.find("\r\n", at);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view found = text.substr(at, end - at);
    if (found.find_first_of("\r\n") != std::string_view::npos) return std::nullopt;
    at = end + 2;
    return found;
  };
  for (;;) {
    const auto head = line();
    if (!head) return std::nullopt;
    const std::size_t digits = std::min(head->find(';'), head->size());
    std::uint64_t size = 0;
    const auto [end, error] = std::from_chars(head->data(), head->data() + digits, size, 16);
    if (error != std::errc() || end != head->data() + digits || digits > 16) return std::nullopt;
    if (!are_extensions(head->substr(digits)) || size > UINT32_MAX) return std::nullopt;
    if (size == 0) break;
    if (text.size() - at < size + 2 || text.substr(at + size, 2) != "\r\n") return std::nullopt;
    out.payload += text.substr(at, size);
    at += size + 2;
  }
  for (;;) {
    const auto trailer = line();
    if (!trailer) return std::nullopt;
    if (trailer->empty()) break;
    if (!is_trailer(*trailer)) return std::nullopt;
  }
  out.verdict = Decoded::Verdict::done;
  out.used = at;
  return out;
}

}  // namespace
}  // namespace sluice::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  using Verdict = http::Decoded::Verdict;
  const std::string_view text = fuzz::text_of(data, size);
  const http::Decoded whole = http::decode(text, {});
  for (const auto& cuts : fuzz::ways_to_cut(text)) {
    fuzz::check_same(http::decode(text, cuts).text(), whole.text(), "no cut changes a body");
  }
  const auto expected = http::reference(text);
  if (whole.verdict == Verdict::done) {
    fuzz::check(expected.has_value(), "what is taken keeps the rules");
    fuzz::check_same(whole.text(), expected->text(), "one length and one payload");
  } else if (expected) {
    // A cap, and none can be reached within so few bytes.
    fuzz::check(whole.verdict == Verdict::refused && text.size() > 64,
                "what keeps the rules is taken");
  }
  return 0;
}
