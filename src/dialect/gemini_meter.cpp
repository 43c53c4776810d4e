// Gemini generateContent and its stream (SSE or JSON array), countTokens, embedContent (facts/wire
// §4).
#include "meter_run.hpp"

namespace sluice::dialect {
namespace {

class GeminiRules : public MeterRules {
 public:
  using MeterRules::MeterRules;

  std::uint8_t role_of_key(std::uint8_t container, Key key, const JsonString& name) {
    return number_of(key_role(static_cast<Role>(container), key, name));
  }

  static std::uint8_t role_of_element(std::uint8_t container) {
    switch (const Role role = static_cast<Role>(container)) {
      case Role::candidates:
        return number_of(Role::candidate);
      case Role::gemini_content:
        return number_of(Role::part);
      default:
        return number_of(shared_element(role));
    }
  }

  void on_string(std::uint8_t role_number, const JsonString& string) {
    const Role role = static_cast<Role>(role_number);
    if (role != Role::finish) return shared_string(role, string);
    if (string.empty || string.text == "FINISH_REASON_UNSPECIFIED") return;
    m.finish_seen = m.event.ends = m.event.semantic = true;
  }

  void on_open(std::uint8_t role_number, bool object, const char*) {
    const Role role = static_cast<Role>(role_number);
    if (role == Role::call || role == Role::media) m.event.semantic = true;
    shared_open(role, object);
  }
  void on_close(std::uint8_t role, bool object, const char*) {
    shared_close(static_cast<Role>(role), object);
  }

 private:
  Role key_role(Role container, Key key, const JsonString& name) {
    switch (container) {
      case Role::root:
        switch (key) {
          case Key::candidates:
            return Role::candidates;
          case Key::usage:
            return Role::usage;
          case Key::error:
            return Role::error;
          case Key::prompt_feedback:
            return Role::feedback;
          case Key::usage_prompt:
            return field(UsageField::prompt);  // countTokens
          default:
            return Role::skip;
        }
      case Role::candidate:
        if (key == Key::content) return Role::gemini_content;
        return key == Key::finish_reason ? Role::finish : Role::skip;
      case Role::gemini_content:
        return key == Key::parts ? Role::gemini_content : Role::skip;
      case Role::part:
        switch (key) {
          case Key::text:
            return Role::text;
          case Key::function_call:
          case Key::executable_code:
          case Key::code_result:
            return Role::call;
          case Key::inline_data:
            return Role::media;
          default:
            return Role::skip;
        }
      case Role::call:
        if (key == Key::id) return Role::skip;
        return key == Key::args ? Role::free : Role::text;
      case Role::feedback:
        return key == Key::block_reason ? Role::finish : Role::skip;
      default:
        return shared_key(container, key, name);
    }
  }
};

}  // namespace

constinit const FormatMeter kGeminiMeter = MeterRun<GeminiRules>::kMeter;

}  // namespace sluice::dialect
