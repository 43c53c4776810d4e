// What all formats share when an answer is read: roles, usage fields, errors, the end of an event.
#pragma once

#include "json_reader.hpp"
#include "sluice/dialect/meter_state.hpp"
#include "sluice/dialect/usage.hpp"

namespace sluice::dialect {

/// The meaning of a value in an answer. Containers of one format stand beside those of the others.
enum class MeterRole : std::uint8_t {
  skip,
  root,
  // OpenAI
  choices,
  choice,
  delta,
  content,
  part,
  reasoning,
  reasoning_part,
  calls,
  call,
  object_name,
  flat_message,
  flat_code,
  flat_type,
  // Responses
  response,
  item,
  item_type,
  done_text,
  nodes,
  node,
  // Claude
  message,
  first_usage,
  blocks,
  block,
  block_type,
  sealed,
  // Gemini
  candidates,
  candidate,
  gemini_content,
  feedback,
  media,
  // all
  type,
  text,
  free,
  finish,
  error,
  error_type,
  error_code,
  error_message,
  error_details,
  error_quota,
  base_resp,
  base_status,
  usage,
  prompt_details,
  completion_details,
  cache_creation,
  server_tool_use,
  field,  ///< the first of the usage fields: UsageField is added to it
};

class MeterRules {
 public:
  using Role = MeterRole;

  explicit MeterRules(MeterState& state) : m(state) {}

  TokenClasses& classes(std::uint8_t role) {
    return static_cast<Role>(role) == Role::done_text ? m.done_output : m.output;
  }

  static StringMode string_mode(std::uint8_t role) {
    switch (static_cast<Role>(role)) {
      case Role::text:
      case Role::free:
      case Role::content:
      case Role::part:
      case Role::reasoning:
      case Role::done_text:
        return StringMode::count;
      case Role::error:
      case Role::error_message:
      case Role::flat_message:
        return StringMode::collect;
      case Role::object_name:
      case Role::flat_code:
      case Role::flat_type:
      case Role::item_type:
      case Role::block_type:
      case Role::type:
      case Role::finish:
      case Role::error_type:
      case Role::error_quota:
      case Role::error_code:
        return StringMode::capture;
      default:
        return StringMode::skip;
    }
  }

  void collect(std::uint8_t, std::string_view piece) {
    for (const char c : piece) {
      if (!m.error_texts().message.push_back(c)) return;
    }
  }

  /// Roles inside of usage and error objects, and of JSON that is counted as it is; `skip`
  /// elsewhere.
  Role shared_key(Role container, Key key, const JsonString& name);
  static Role shared_element(Role container);

  void shared_string(Role role, const JsonString& string);
  void on_number(std::uint8_t role, const JsonNumber& number);
  void on_literal(std::uint8_t role, JsonLiteral literal, std::string_view raw);
  void shared_open(Role role, bool object);
  void shared_close(Role role, bool object);

  /// The event, or the whole body, is complete.
  void end_event();
  /// Forgets what was known about the event.
  void reset_event();

  /// A text that is counted starts at its opening quote.
  void on_text_start(const char* quote) {
    ++texts;
    if (data_start != nullptr && texts == 1) learn_prefix(quote);
  }
  /// Keeps what the reader knows in front of the first text, if the bytes up to there did nothing
  /// else.
  void learn_prefix(const char* text_start);

  MeterState& m;
  const char* data_start = nullptr;  ///< of an event whose prefix is to be learnt
  unsigned texts = 0;
  std::uint32_t symbols_before =
      0;  ///< output counted before the event: keys of free JSON count as well

  /// The event did something that its flags do not say: it may not be skipped when it comes again.
  [[nodiscard]] bool has_effects() const;

 protected:
  static constexpr std::uint8_t number_of(Role role) { return static_cast<std::uint8_t>(role); }
  static constexpr Role field(UsageField which) {
    return static_cast<Role>(number_of(Role::field) + static_cast<std::uint8_t>(which));
  }
  void doubt(UsageDoubt bit) {
    m.usage.doubts = static_cast<std::uint16_t>(m.usage.doubts | static_cast<unsigned>(bit));
  }

 private:
  static Role usage_key(Key key);
  void set_field(UsageField which, const JsonNumber& number);
  void commit_usage(bool final);
};

inline MeterRole MeterRules::usage_key(Key key) {
  switch (key) {
    case Key::usage_prompt:
      return field(UsageField::prompt);
    case Key::usage_completion:
      return field(UsageField::completion);
    case Key::usage_total:
      return field(UsageField::total);
    case Key::cached_tokens:
    case Key::usage_cached_top:
      return field(UsageField::cached_top);
    case Key::usage_cached:
      return field(UsageField::cached);
    case Key::usage_cache_hit:
      return field(UsageField::cache_hit);
    case Key::usage_cache_miss:
      return field(UsageField::cache_miss);
    case Key::usage_cache_write:
      return field(UsageField::cache_write);
    case Key::usage_reasoning:
      return field(UsageField::reasoning);
    case Key::usage_tool_prompt:
      return field(UsageField::tool_prompt);
    case Key::prompt_details:
      return Role::prompt_details;
    case Key::completion_details:
      return Role::completion_details;
    case Key::cache_creation:
      return Role::cache_creation;
    case Key::server_tool_use:
      return Role::server_tool_use;
    default:
      return Role::skip;
  }
}

inline MeterRole MeterRules::shared_key(Role container, Key key, const JsonString& name) {
  switch (container) {
    case Role::usage:
    case Role::first_usage:
      return usage_key(key);
    case Role::prompt_details:
      if (key == Key::cached_tokens) return field(UsageField::cached);
      if (key == Key::usage_cache_write) return field(UsageField::cache_write);
      return key == Key::cache_creation ? Role::cache_creation : Role::skip;
    case Role::completion_details:
      return key == Key::usage_reasoning ? field(UsageField::reasoning) : Role::skip;
    case Role::cache_creation:
      if (key == Key::usage_write_short) return field(UsageField::cache_write_short);
      return key == Key::usage_write_long ? field(UsageField::cache_write_long) : Role::skip;
    case Role::server_tool_use:
      if (key == Key::web_search_requests) return field(UsageField::web_searches);
      return key == Key::web_fetch_requests ? field(UsageField::web_fetches) : Role::skip;
    case Role::error:
    case Role::error_details:
      if (key == Key::type || key == Key::status)
        return container == Role::error ? Role::error_type : Role::skip;
      if (key == Key::code || key == Key::error_code || key == Key::reason) return Role::error_code;
      if (key == Key::message && container == Role::error) return Role::error_message;
      if (key == Key::quota_id) return Role::error_quota;
      return key == Key::details || key == Key::violations ? Role::error_details : Role::skip;
    case Role::base_resp:
      if (key == Key::status_code) return Role::base_status;
      return key == Key::status_msg ? Role::error_message : Role::skip;
    case Role::text:
    case Role::free:
      m.output.add_text(name.text.substr(0, 64));
      m.output.symbols += 2;
      return Role::free;
    default:
      return Role::skip;
  }
}

inline MeterRole MeterRules::shared_element(Role container) {
  switch (container) {
    case Role::root:
    case Role::text:
    case Role::free:
    case Role::error_details:
      return container;
    default:
      return Role::skip;
  }
}

inline void MeterRules::shared_string(Role role, const JsonString& string) {
  switch (role) {
    case Role::text:
    case Role::free:
    case Role::content:
    case Role::part:
    case Role::done_text:
    case Role::sealed:
      m.event.semantic |= !string.empty;
      return;
    case Role::reasoning:
      m.event.semantic |= !string.empty;
      m.event.reasoning |= !string.empty;
      return;
    case Role::error:
      m.event.error |= !string.empty;
      return;
    case Role::error_type:
      m.error_texts().type.assign(string.text);
      return;
    case Role::error_code:
      m.error_texts().code.assign(string.text);
      return;
    case Role::error_quota:  // Gemini lists each quota that was hit: a daily one says the most
      if (m.error_texts().code.empty() || string.text.find("PerDay") != std::string_view::npos)
        m.error_texts().code.assign(string.text);
      return;
    default:
      if (role >= Role::field) doubt(UsageDoubt::not_number);
  }
}

inline void MeterRules::set_field(UsageField which, const JsonNumber& number) {
  const auto index = static_cast<std::size_t>(which);
  const auto bit = static_cast<std::uint16_t>(1U << index);
  std::uint64_t value = number.magnitude;
  if (number.fraction) doubt(UsageDoubt::not_integer);
  if (number.negative && value != 0) {
    doubt(UsageDoubt::negative);
    value = 0;
  }
  if (value > static_cast<std::uint64_t>(kMaxReportedTokens)) {
    doubt(UsageDoubt::absurd);
    value = static_cast<std::uint64_t>(kMaxReportedTokens);
  }
  RawUsage& usage = m.usage;
  if ((usage.seen_mask & bit) != 0 && value < usage.values[index]) doubt(UsageDoubt::shrank);
  usage.values[index] = static_cast<std::uint32_t>(value);
  usage.open_mask = static_cast<std::uint16_t>(usage.open_mask | bit);
}

inline void MeterRules::on_number(std::uint8_t role_number, const JsonNumber& number) {
  const Role role = static_cast<Role>(role_number);
  if (role >= Role::field) {
    return set_field(static_cast<UsageField>(role_number - number_of(Role::field)), number);
  }
  switch (role) {
    case Role::error_code:
    case Role::flat_code:
      m.error_texts().code_number =
          static_cast<int>(std::min<std::uint64_t>(number.magnitude, 99'999));
      return;
    case Role::base_status:
      if (number.magnitude == 0) return;
      m.event.error = true;
      m.error_texts().code_number =
          static_cast<int>(std::min<std::uint64_t>(number.magnitude, 99'999));
      return;
    case Role::free: {
      m.output.digit_runs += 1;
      for (std::uint64_t rest = number.magnitude; rest != 0; rest /= 10) ++m.output.digits;
      return;
    }
    default:
      return;
  }
}

inline void MeterRules::on_literal(std::uint8_t role_number, JsonLiteral literal,
                                   std::string_view) {
  const Role role = static_cast<Role>(role_number);
  if (role >= Role::field && literal != JsonLiteral::null_) doubt(UsageDoubt::not_number);
  if (role == Role::free) ++m.output.words;
}

inline void MeterRules::shared_open(Role role, bool object) {
  if (role == Role::error) {
    m.event.error = true;
  } else if (role == Role::usage || role == Role::first_usage) {
    m.usage.open_mask = 0;
  } else if (role >= Role::field) {
    doubt(UsageDoubt::not_number);
  } else if (role == Role::root && object) {
    m.usage.open_mask = 0;
    if (!m.sse) reset_event();
  }
}

inline void MeterRules::commit_usage(bool final) {
  RawUsage& usage = m.usage;
  if (usage.open_mask == 0) return;
  if (m.end_seen) doubt(UsageDoubt::repeated);
  usage.seen_mask |= usage.open_mask;
  usage.open_mask = 0;
  usage.reported = true;
  usage.final |= final;
  m.event.usage |= final;
}

inline void MeterRules::shared_close(Role role, bool object) {
  if (role == Role::usage || role == Role::first_usage) return commit_usage(role == Role::usage);
  if (role != Role::root || !object) return;
  commit_usage(true);  // count_tokens: the count is a member of the body itself
  if (!m.sse) end_event();
}

inline void MeterRules::end_event() {
  ++m.events;
  if (m.error_name == 5) m.event.error = true;
  m.failed |= m.event.error;
  m.end_seen |= m.event.ends;
  if (m.event.semantic || m.event.usage) ++m.semantic_events;
}

inline void MeterRules::learn_prefix(const char* text_start) {
  const auto size = static_cast<std::size_t>(text_start - data_start);
  EventMemo& memo = m.memo;
  memo.prefix_size = 0;
  if (size > memo.prefix.size() || m.json.depth > memo.roles.size()) return;
  if (has_effects() || m.output.symbols != symbols_before) return;
  std::memcpy(memo.prefix.data(), data_start, size);
  data_start = nullptr;
  memo.prefix_size = static_cast<std::uint16_t>(size);
  memo.suffix_size = 0;
  memo.depth = m.json.depth;
  memo.role = m.json.role;
  memo.object_levels = static_cast<std::uint8_t>(m.json.object_levels);
  memo.flags = m.event;
  std::memcpy(memo.roles.data(), m.json.roles.data(), memo.roles.size());
}

inline bool MeterRules::has_effects() const {
  return m.event.usage || m.event.error || m.event.ends || m.usage.open_mask != 0 ||
         m.finish_seen || m.error != nullptr;
}

inline void MeterRules::reset_event() { m.event = EventFlags{}; }

}  // namespace sluice::dialect
