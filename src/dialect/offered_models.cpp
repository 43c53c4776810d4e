#include "sluice/dialect/offered_models.hpp"

#include <utility>

#include "json_reader.hpp"

namespace sluice::dialect {
namespace {

enum Role : std::uint8_t {
  kNothing,
  kRoot,
  kList,
  kModel,
  kName,
  kMore,  ///< true, or a text that is not empty: there is another page
};

constexpr std::string_view kGeminiPrefix = "models/";

}  // namespace

/// What the members of a list mean: {"data": [{"id": …}]} and Gemini's {"models": [{"name": …}]}.
/// Some providers answer with the array alone.
class OfferRules {
 public:
  explicit OfferRules(OfferedModels& models)
      : m_(models), gemini_(models.format_ == Format::gemini) {}

  [[nodiscard]] std::uint8_t role_of_key(std::uint8_t container, Key,
                                         const JsonString& name) const {
    if (container == kRoot) {
      if (name.text == (gemini_ ? "models" : "data")) return kList;
      return name.text == (gemini_ ? "nextPageToken" : "has_more") ? kMore : kNothing;
    }
    return container == kModel && name.text == (gemini_ ? "name" : "id") ? kName : kNothing;
  }
  [[nodiscard]] static std::uint8_t role_of_element(std::uint8_t container) {
    return container == kList || container == kRoot ? kModel : kNothing;
  }
  [[nodiscard]] static StringMode string_mode(std::uint8_t role) {
    return role == kName ? StringMode::collect : StringMode::skip;
  }
  TokenClasses& classes(std::uint8_t) { return unused_; }
  static void on_text_start(const char*) {}
  void collect(std::uint8_t, std::string_view piece) {
    const std::size_t room = OfferedModels::kNameBytes - m_.name_.size();
    if (piece.size() > room) m_.too_long_ = true;
    m_.name_.append(piece.substr(0, room));
  }
  void on_string(std::uint8_t role, const JsonString& text) {
    if (role == kName) m_.end_name();
    if (role == kMore && !text.empty) m_.complete_ = false;
  }
  static void on_number(std::uint8_t, const JsonNumber&) {}
  void on_literal(std::uint8_t role, JsonLiteral literal, std::string_view) {
    if (role == kMore && literal == JsonLiteral::true_) m_.complete_ = false;
  }
  void on_open(std::uint8_t role, bool object, const char*) {
    if (!object && (role == kList || role == kRoot)) m_.found_ = true;
  }
  static void on_close(std::uint8_t, bool, const char*) {}

 private:
  OfferedModels& m_;
  bool gemini_;
  TokenClasses unused_;
};

OfferedModels::OfferedModels(Format format) : format_(format) {
  reset_json(json_);
  json_.role = kRoot;
}

bool OfferedModels::feed(std::string_view piece) {
  OfferRules rules(*this);
  JsonReader<OfferRules>(json_, rules, piece.data()).feed(piece);
  return json_.step != JsonStep::invalid;
}

void OfferedModels::end_name() {
  std::string name = std::exchange(name_, {});
  const bool too_long = std::exchange(too_long_, false);
  if (format_ == Format::gemini && name.starts_with(kGeminiPrefix))
    name.erase(0, kGeminiPrefix.size());
  if (too_long || name.empty() || names_.size() == kMost) {
    complete_ = false;
    return;
  }
  names_.push_back(std::move(name));
}

std::string_view models_target(Format format) {
  switch (format) {
    case Format::claude:
      return "/v1/models?limit=1000";
    case Format::gemini:
      return "/models?pageSize=1000";
    case Format::openai:
    case Format::responses:
      break;
  }
  return "/models";
}

}  // namespace sluice::dialect
