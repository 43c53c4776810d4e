// Heads of upstreams: no cut changes what is made of them, and nothing that is taken can break out
// of a line (response splitting).
#include "fuzz.hpp"
#include "sluice/http/response.hpp"

namespace sluice::http {
namespace {

bool is_clean(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

std::string describe(const ResponseParser& parser, std::span<const char> bytes) {
  const ResponseHead head = parser.head(bytes);
  std::string out = std::to_string(head.status()) + " " + std::to_string(head.version_minor()) +
                    " framing " + std::to_string(static_cast<int>(head.framing())) + " " +
                    std::to_string(head.content_length()) + (head.keep_alive() ? " keep" : "") +
                    " interim " + std::to_string(parser.interim_count()) + " head " +
                    std::to_string(parser.head_bytes()) + "\n";
  fuzz::check(head.status() >= 200 && head.status() <= 599, "a final status", out);
  fuzz::check(parser.interim_count() <= 8, "few interim heads", out);
  fuzz::check(head.framing() != Framing::chunked || !head.has(Field::content_length),
              "chunked stands alone", out);
  fuzz::check(head.framing() != Framing::until_close || !head.keep_alive(),
              "what ends by closing is not kept", out);
  for (std::size_t i = 0; i < head.field_count(); ++i) {
    const FieldView field = head.field(i);
    fuzz::check(is_clean(field.name) && is_clean(field.value), "a field is one line", field.name,
                field.value);
    out.append(field.name).append(": ").append(field.value).append("\n");
  }
  return out;
}

/// All that came is given each time, as the relay does, in a block of exactly its size.
std::string parse(std::string_view text, const std::vector<std::size_t>& cuts, Method method) {
  ResponseParser parser;
  parser.reset(method);
  std::string all;
  std::string outcome;
  fuzz::for_pieces(text, cuts, [&](std::string_view piece) {
    if (!outcome.empty()) return;
    all += piece;
    const std::unique_ptr<char[]> exact(new char[all.size()]);
    all.copy(exact.get(), all.size());
    const std::span<const char> bytes(exact.get(), all.size());
    const auto status = parser.parse(bytes, Limits::upstream());
    if (!status) {
      fuzz::check(status.error().source == Source::upstream, "the upstream is to blame");
      outcome = "refused " + std::string(to_string(status.error().code));
    } else if (*status == HeadStatus::complete) {
      outcome = describe(parser, bytes);
    }
  });
  return outcome.empty() ? "waits" : outcome;
}

}  // namespace
}  // namespace sluice::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  const std::string_view text = fuzz::text_of(data, size);
  const http::Method method =
      fuzz::draws_of(text)() % 8 == 0 ? http::Method::head : http::Method::post;
  const std::string whole = http::parse(text, {}, method);
  for (const auto& cuts : fuzz::ways_to_cut(text)) {
    fuzz::check_same(http::parse(text, cuts, method), whole, "no cut changes a verdict");
  }
  return 0;
}
