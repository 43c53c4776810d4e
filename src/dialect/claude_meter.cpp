// Anthropic Messages: events with a `type`, whole answers, count_tokens (facts/wire §3).
#include "meter_run.hpp"

namespace sluice::dialect {
namespace {

class ClaudeRules : public MeterRules {
 public:
  using MeterRules::MeterRules;

  std::uint8_t role_of_key(std::uint8_t container, Key key, const JsonString& name) {
    return number_of(key_role(static_cast<Role>(container), key, name));
  }

  static std::uint8_t role_of_element(std::uint8_t container) {
    const Role role = static_cast<Role>(container);
    return number_of(role == Role::blocks ? Role::block : shared_element(role));
  }

  void on_string(std::uint8_t role_number, const JsonString& string) {
    const Role role = static_cast<Role>(role_number);
    switch (role) {
      case Role::type:
        m.event.ends |= string.text == "message_stop";
        m.event.error |= string.text == "error";
        return;
      case Role::block_type:
        // A tool call starts with its block; text and thinking with their first delta.
        m.event.semantic |= string.text != "text" && string.text != "thinking";
        return;
      case Role::finish:
        m.finish_seen |= !string.empty;
        m.event.semantic |= !string.empty;
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
  Role key_role(Role container, Key key, const JsonString& name) {
    switch (container) {
      case Role::root:
        switch (key) {
          case Key::type:
            return Role::type;
          case Key::message:
            return Role::message;
          case Key::delta:
            return Role::delta;
          case Key::content_block:
            return Role::block;
          case Key::content:
            return Role::blocks;
          case Key::usage:
            return Role::usage;
          case Key::error:
            return Role::error;
          case Key::stop_reason:
            return Role::finish;
          case Key::usage_prompt:
            return field(UsageField::prompt);  // count_tokens
          default:
            return Role::skip;
        }
      case Role::message:  // of message_start: its output count is a placeholder
        if (key == Key::usage) return Role::first_usage;
        return key == Key::content ? Role::blocks : Role::skip;
      case Role::delta:
        switch (key) {
          case Key::text:
          case Key::thinking:
          case Key::partial_json:
            return Role::text;
          case Key::signature:
            return Role::sealed;
          case Key::stop_reason:
            return Role::finish;
          default:
            return Role::skip;
        }
      case Role::block:
        switch (key) {
          case Key::type:
            return Role::block_type;
          case Key::text:
          case Key::thinking:
          case Key::name:
            return Role::text;
          case Key::input:
            return Role::free;
          case Key::data:
            return Role::sealed;
          default:
            return Role::skip;
        }
      default:
        return shared_key(container, key, name);
    }
  }
};

}  // namespace

constinit const FormatMeter kClaudeMeter = MeterRun<ClaudeRules>::kMeter;

}  // namespace sluice::dialect
