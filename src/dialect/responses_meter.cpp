// OpenAI Responses: named events with a `type`, and whole answers (facts/wire §2.6).
#include "meter_run.hpp"

namespace sluice::dialect {
namespace {

class ResponsesRules : public MeterRules {
 public:
  using MeterRules::MeterRules;

  std::uint8_t role_of_key(std::uint8_t container, Key key, const JsonString& name) {
    return number_of(key_role(static_cast<Role>(container), key, name));
  }

  static std::uint8_t role_of_element(std::uint8_t container) {
    const Role role = static_cast<Role>(container);
    return number_of(role == Role::nodes ? Role::node : shared_element(role));
  }

  void on_string(std::uint8_t role_number, const JsonString& string) {
    const Role role = static_cast<Role>(role_number);
    switch (role) {
      case Role::type:
        return event_type(string.text);
      case Role::item_type:
        // A call starts here; messages and reasoning have deltas of their own.
        m.event.semantic |= string.text != "message" && string.text != "reasoning";
        return;
      case Role::flat_code:
        m.error_texts().code.assign(string.text);
        return;
      default:
        return shared_string(role, string);
    }
  }

  void on_open(std::uint8_t role, bool object, const char*) {
    shared_open(static_cast<Role>(role), object);
  }
  void on_close(std::uint8_t role, bool object, const char*) {
    shared_close(static_cast<Role>(role), object);
  }

 private:
  void event_type(std::string_view type) {
    if (type == "response.completed" || type == "response.incomplete") {
      m.event.ends = m.event.semantic = m.finish_seen = true;
    } else if (type == "response.failed" || type == "error") {
      m.event.error = true;
    }
  }

  Role key_role(Role container, Key key, const JsonString& name) {
    switch (container) {
      case Role::root:
        switch (key) {
          case Key::type:
            return Role::type;
          case Key::delta:
            return Role::text;
          // Repeated in full by .done events; some backends send nothing else.
          case Key::text:
          case Key::arguments:
          case Key::refusal:
          case Key::input:
            return Role::done_text;
          case Key::response:
            return Role::response;
          case Key::item:
            return Role::item;
          case Key::usage:
            return Role::usage;
          case Key::error:
            return Role::error;
          case Key::code:
            return Role::flat_code;
          case Key::message:
            return Role::flat_message;
          case Key::output:
            return Role::nodes;
          default:
            return Role::skip;
        }
      case Role::response:
        if (key == Key::usage) return Role::usage;
        return key == Key::error ? Role::error : Role::skip;
      case Role::item:
        return key == Key::type ? Role::item_type : Role::skip;
      case Role::node:
        switch (key) {
          case Key::content:
          case Key::summary:
            return Role::nodes;
          case Key::text:
          case Key::refusal:
          case Key::name:
          case Key::input:
          case Key::arguments:
            return Role::text;
          default:
            return Role::skip;
        }
      case Role::done_text:
        return Role::skip;  // a whole answer repeats the request's `text` object
      default:
        return shared_key(container, key, name);
    }
  }
};

}  // namespace

constinit const FormatMeter kResponsesMeter = MeterRun<ResponsesRules>::kMeter;

}  // namespace sluice::dialect
