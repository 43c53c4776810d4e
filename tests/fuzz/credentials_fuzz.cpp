// The scanner for credentials against the plain reading of its forms: place by place, without the
// filter that skips 32 of them at a time. And what is masked: as many bytes, nothing but asterisks
// in place of what was found, and JSON stays JSON of the same shape.
#include <simdjson.h>

#include "credential_forms.hpp"
#include "fuzz.hpp"
#include "sluice/dialect/credentials.hpp"

namespace sluice::dialect {
namespace {

namespace dom = simdjson::dom;

/// Bytes in a block of exactly their size, so that AddressSanitizer sees a read beyond.
class Exact {
 public:
  explicit Exact(std::string_view text) : bytes_(new char[text.size()]), size_(text.size()) {
    text.copy(bytes_.get(), size_);
  }
  [[nodiscard]] std::span<char> bytes() { return {bytes_.get(), size_}; }
  [[nodiscard]] std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_;
};

bool begins(std::string_view text, std::size_t at) {
  if (at == 0 || !in_class(text[at - 1], Chars::word)) return true;
  const std::string_view before = text.substr(at >= 2 ? at - 2 : 0, 2);
  return before == "\\n" || before == "\\r" || before == "\\t";
}

std::optional<Credential> reference(std::string_view text, std::size_t from) {
  for (std::size_t at = from; at < text.size(); ++at) {
    if (!begins(text, at)) continue;
    for (const Form& form : kForms) {
      if (!text.substr(at).starts_with(form.prefix)) continue;
      const Match found = form.match(form, text.substr(at));
      if (found.size > 0) return Credential{at + found.offset, found.size, form.kind};
    }
  }
  return std::nullopt;
}

void check_found(const std::optional<Credential>& found, const std::optional<Credential>& expected,
                 std::string_view text) {
  fuzz::check(found.has_value() == expected.has_value(), "what is there is found", text);
  if (!found) return;
  fuzz::check(found->offset == expected->offset && found->size == expected->size &&
                  found->kind == expected->kind,
              "and nothing before it", text);
  fuzz::check(found->size > 0 && found->offset + found->size <= text.size(), "it lies in the text",
              text);
}

/// What is left of a document when its texts are: types, in their order.
std::string shape_of(dom::element element) {
  std::string out;
  if (element.is_object()) {
    out += "{";
    for (const auto field : dom::object(element)) out += shape_of(field.value);
    return out + "}";
  }
  if (element.is_array()) {
    out += "[";
    for (const auto item : dom::array(element)) out += shape_of(item);
    return out + "]";
  }
  return element.is_string() ? "s" : simdjson::minify(element) + " ";
}

std::optional<std::string> shape_of(std::string_view text) {
  dom::parser parser;
  dom::element root;
  if (parser.parse(simdjson::padded_string(text)).get(root) != simdjson::SUCCESS)
    return std::nullopt;
  return shape_of(root);
}

void look_at_mask(std::string_view text) {
  std::string expected(text);
  std::size_t count = 0;
  std::size_t at = 0;
  while (const auto found = reference(expected, at)) {
    expected.replace(found->offset, found->size, found->size, '*');
    at = found->offset + found->size;
    ++count;
  }
  Exact masked(text);
  fuzz::check(mask_credentials(masked.bytes()) == count, "each is counted", text, expected);
  fuzz::check_same(masked.view(), expected, "what is found is masked, and nothing else");
  if (count == 0) return;
  const auto before = shape_of(text);
  if (!before) return;
  const auto after = shape_of(masked.view());
  fuzz::check(after.has_value(), "JSON stays JSON", text, masked.view());
  fuzz::check_same(*after, *before, "of the same shape");
}

}  // namespace
}  // namespace sluice::dialect

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  using namespace sluice::dialect;
  const std::string_view text = fuzz::text_of(data, size);
  const Exact exact(text);
  check_found(find_credential(exact.view()), reference(text, 0), text);
  if (size == 0) return 0;
  // Wherever the search begins, and wherever in the 32 that are looked at together a place is.
  std::minstd_rand draw = fuzz::draws_of(text);
  const std::size_t from = draw() % size;
  check_found(find_credential(exact.view(), from), reference(text, from), text);
  const Exact shifted(std::string(1 + draw() % 33, '.').append(text));
  check_found(find_credential(shifted.view()), reference(shifted.view(), 0), shifted.view());
  look_at_mask(text);
  return 0;
}
