// Streams of a client: heads, bodies, and what follows them. No cut changes what is made of them; a
// head that is taken holds nothing that could break out of a line; its target is routed.
#include "../http/session.hpp"
#include "fuzz.hpp"
#include "sluice/dialect/route.hpp"
#include "sluice/http/request.hpp"

namespace sluice::http {
namespace {

std::string play(std::string_view text, const std::vector<std::size_t>& cuts,
                 const Limits& limits) {
  Session session(limits);
  fuzz::for_pieces(text, cuts,
                   [&](std::string_view piece) { session.receive(std::string(piece)); });
  // A refusal may come with the payload before it or instead of it.
  const std::string outcome = session.outcome();
  return outcome.find("refused") != std::string::npos ? outcome : outcome + "\n" + session.bodies();
}

bool is_clean(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

void look_at(std::string_view text) {
  RequestParser parser;
  const std::span<const char> bytes(text.data(), text.size());
  const auto status = parser.parse(bytes, Limits());
  if (!status || *status != HeadStatus::complete) return;
  const RequestHead head = parser.head(bytes);
  fuzz::check(is_clean(head.target()) && head.target().starts_with('/'), "a target is one line");
  fuzz::check(!head.value(Field::host).empty(), "there is a host");
  for (std::size_t i = 0; i < head.field_count(); ++i) {
    const FieldView field = head.field(i);
    fuzz::check(is_clean(field.name) && !field.name.empty(), "a name is one word", field.name);
    fuzz::check(is_clean(field.value), "a value is one line", field.name, field.value);
  }
  const bool chunked = head.framing() == Framing::chunked;
  fuzz::check(!chunked || (!head.has(Field::content_length) && head.version_minor() == 1),
              "chunked stands alone");
  fuzz::check(head.framing() != Framing::until_close, "a request does not end by closing");
  const dialect::AuthHeaders auth{.authorization = head.value(Field::authorization),
                                  .x_api_key = head.value(Field::x_api_key),
                                  .x_goog_api_key = head.value(Field::x_goog_api_key),
                                  .api_key = {},
                                  .anthropic_version = head.value(Field::anthropic_version)};
  const dialect::Route route =
      dialect::route(to_string(head.method()), head.path(), head.query(), auth);
  fuzz::check(is_clean(route.model), "a model's name is one line", route.model);
  static_cast<void>(dialect::find_api_key(auth, head.query()));
}

}  // namespace
}  // namespace sluice::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  const std::string_view text = fuzz::text_of(data, size);
  http::Limits limits;
  if (fuzz::draws_of(text)() % 2 == 0) {  // so that limits and wrong bytes meet
    limits.head_bytes = 200;
    limits.target_bytes = 24;
    limits.fields = 4;
    limits.body_bytes = 60;
  }
  http::look_at(text);
  const std::string whole = http::play(text, {}, limits);
  for (const auto& cuts : fuzz::ways_to_cut(text)) {
    fuzz::check_same(http::play(text, cuts, limits), whole, "no cut changes a verdict");
  }
  return 0;
}
