// OpenAI Chat, Completions and Embeddings: chunks of a stream and whole answers, with what xAI,
// Kimi, DeepSeek, Mistral, Qwen, GLM and MiniMax do differently (facts/wire §§1, 2).
#include "meter_run.hpp"

namespace sluice::dialect {
namespace {

class OpenaiRules : public MeterRules {
 public:
  using MeterRules::MeterRules;

  std::uint8_t role_of_key(std::uint8_t container, Key key, const JsonString& name) {
    return number_of(key_role(static_cast<Role>(container), key, name));
  }

  std::uint8_t role_of_element(std::uint8_t container) {
    switch (static_cast<Role>(container)) {
      case Role::choices:
        m.event.has_choice = true;
        m.event.choices_empty = m.event.reasoning = false;
        return number_of(Role::choice);
      case Role::content:
        return number_of(Role::part);
      case Role::reasoning:
        return number_of(Role::reasoning_part);
      case Role::calls:
        return number_of(Role::call);
      default:
        return number_of(shared_element(static_cast<Role>(container)));
    }
  }

  void on_string(std::uint8_t role_number, const JsonString& string) {
    switch (static_cast<Role>(role_number)) {
      case Role::finish:
        m.finish_seen |= !string.empty;
        m.event.semantic |= !string.empty;
        return;
      case Role::object_name:
        m.event.error |= string.text == "error";
        return;  // Mistral: no wrapper
      case Role::flat_code:
        m.error_texts().code.assign(string.text);
        return;  // xAI, Mistral
      case Role::flat_type:
        m.error_texts().type.assign(string.text);
        return;
      default:
        return shared_string(static_cast<Role>(role_number), string);
    }
  }

  void on_open(std::uint8_t role_number, bool object, const char*) {
    const Role role = static_cast<Role>(role_number);
    if (role == Role::choices) m.event.choices_empty = true;
    if (role == Role::call) m.event.semantic = true;
    shared_open(role, object);
  }

  void on_close(std::uint8_t role, bool object, const char*) {
    shared_close(static_cast<Role>(role), object);
  }

 private:
  Role key_role(Role container, Key key, const JsonString& name) {
    switch (container) {
      case Role::root:
        return root_key(key);
      case Role::choice:
        switch (key) {
          case Key::delta:
          case Key::message:
            return Role::delta;
          case Key::text:
            return Role::text;
          case Key::finish_reason:
            return Role::finish;
          case Key::usage:
            return Role::usage;  // Kimi
          default:
            return Role::skip;
        }
      case Role::delta:
        return delta_key(key);
      case Role::content:
      case Role::part:  // Mistral: content is an array of text and thinking
        if (key == Key::text) return Role::text;
        return key == Key::thinking ? Role::content : Role::skip;
      case Role::reasoning:
      case Role::reasoning_part:
        return key == Key::text || key == Key::summary || key == Key::content ? Role::reasoning
                                                                              : Role::skip;
      case Role::call:
        switch (key) {
          case Key::function:
            return Role::call;
          case Key::name:
          case Key::input:
          case Key::arguments:
          case Key::transcript:
            return Role::text;
          default:
            return Role::skip;
        }
      default:
        return shared_key(container, key, name);
    }
  }

  static Role root_key(Key key) {
    switch (key) {
      case Key::choices:
        return Role::choices;
      case Key::usage:
        return Role::usage;
      case Key::error:
        return Role::error;
      case Key::object:
        return Role::object_name;
      case Key::message:
        return Role::flat_message;
      case Key::code:
        return Role::flat_code;
      case Key::type:
        return Role::flat_type;
      case Key::base_resp:
        return Role::base_resp;  // MiniMax, with status 200
      default:
        return Role::skip;
    }
  }

  Role delta_key(Key key) const {
    switch (key) {
      case Key::content:
        return Role::content;
      case Key::refusal:
        return Role::text;
      // Some send the same reasoning under two names: the first that has text counts.
      case Key::reasoning:
      case Key::reasoning_details:
        return m.event.reasoning ? Role::skip : Role::reasoning;
      case Key::tool_calls:
        return Role::calls;
      case Key::function_call:
      case Key::audio:
        return Role::call;
      default:
        return Role::skip;
    }
  }
};

}  // namespace

constinit const FormatMeter kOpenaiMeter = MeterRun<OpenaiRules>::kMeter;

}  // namespace sluice::dialect
