// What the members of a request body mean, for all formats: the rules that the JSON reader
// consults.
#pragma once

#include <bitset>

#include "json_reader.hpp"
#include "sluice/dialect/request_scan.hpp"

namespace sluice::dialect {

/// The meaning of a value in a request.
enum class RequestRole : std::uint8_t {
  skip,  ///< costs no tokens: nothing in it is counted
  root,
  // control values
  model,
  stream,
  stream_options,
  include_usage,
  cap,
  choices,
  service_tier,
  speed,
  background,
  previous,
  cached,
  modalities,
  modality,
  hint_key,
  hint_user,
  hint_user_id,
  metadata,
  config,
  flag_server_tools,
  flag_fallback,
  // content
  text,      ///< a string that the model reads
  opaque,    ///< an encrypted or encoded string that the model reads back
  free,      ///< any JSON that the model reads: names, strings, numbers
  messages,  ///< an array whose elements are counted as messages; or one string
  node,      ///< a message, a content part, a call: an object that holds content
  content,   ///< an array of nodes, one node, or a string
  node_type,
  inputs,
  input_item,  ///< embedding inputs or completion prompts: strings or token numbers
  tools,
  tool,
  tool_type,
  declarations,
  server_tool,
  image,
  audio,
  document,
  inline_data,
  source,  ///< objects that hold media, or a string: a URL
  media_data,
  media_url,
  media_mime,
  media_type,
  file_id,
};

class RequestRules {
 public:
  RequestRules(RequestScan& scan, const char* base)
      : scan_(scan), base_(base), format_(format_of(scan.operation)) {}

  std::uint8_t role_of_key(std::uint8_t container, Key key, const JsonString& name);
  std::uint8_t role_of_element(std::uint8_t container);
  StringMode string_mode(std::uint8_t role);
  TokenClasses& classes(std::uint8_t) { return scan_.text; }
  void on_text_start(const char*) {
    scan_.text.last_masks = 0;
  }  // strings do not run into each other
  void collect(std::uint8_t, std::string_view) {}
  void on_string(std::uint8_t role, const JsonString& string);
  void on_number(std::uint8_t role, const JsonNumber& number);
  void on_literal(std::uint8_t role, JsonLiteral literal, std::string_view raw);
  void on_open(std::uint8_t role, bool object, const char* p);
  void on_close(std::uint8_t role, bool object, const char* p);

  /// A value that matters is impossible, or a member that matters came twice.
  [[nodiscard]] bool bad_value() const { return bad_value_; }

 private:
  using Role = RequestRole;

  Role root_key(Key key, const JsonString& name);
  Role openai_root(Key key);
  Role claude_root(Key key);
  Role gemini_root(Key key);
  Role root_role(Key key);
  Role node_key(Key key, const JsonString& name);
  Role media_key(Key key, const JsonString& name);
  Role config_key(Key key, const JsonString& name);
  Role options_key(Key key, const JsonString& name);
  Role free_key(const JsonString& name);
  void once(Key key);
  void check_spelling(const JsonString& name);
  void flag(Special bit) {
    scan_.special = static_cast<std::uint16_t>(scan_.special | static_cast<unsigned>(bit));
  }
  void bad() { bad_value_ = true; }

  void model_string(const JsonString& string);
  void media_string(Role role, const JsonString& string);
  void mime(std::string_view type);
  void open_media(Role role);
  void flag_value(Role role);
  void cap_value(std::string_view raw);
  void close_media(Role role);
  void count_node_type(const JsonString& string);
  void hint(std::uint8_t rank, const JsonString& string);

  [[nodiscard]] ValueSpan span_of(std::string_view raw) const {
    return {static_cast<std::uint32_t>(raw.data() - base_), static_cast<std::uint32_t>(raw.size())};
  }

  RequestScan& scan_;
  const char* base_;
  Format format_;
  std::bitset<static_cast<std::size_t>(Key::count_)> seen_;
  bool bad_value_ = false;
  std::uint8_t hint_rank_ = 0;
  // The media object that is open.
  Role media_ = Role::skip;
  bool media_base64_ = false;  ///< its data is known to be base64
  bool media_is_text_ = false;
  bool media_saved_ = false;
  std::uint64_t media_size_ = 0;
  TokenClasses before_media_;  ///< to take back what was counted as text and was base64
};

inline void RequestRules::once(Key key) {
  const auto index = static_cast<std::size_t>(key);
  if (seen_[index]) bad();
  seen_[index] = true;
}

inline RequestRole RequestRules::free_key(const JsonString& name) {
  scan_.text.last_masks = 0;
  scan_.text.add_text(name.overflow ? name.raw : name.text);
  scan_.text.symbols += 2;  // its quotes and colon, about as many tokens as two symbols
  return Role::free;
}

inline RequestRole RequestRules::root_key(Key key, const JsonString& name) {
  scan_.root_empty = false;
  if (key == Key::unknown) {
    check_spelling(name);
    return free_key(name);
  }
  if (key != Key::parameter) once(key);
  const Role role = root_role(key);
  return role == Role::free ? free_key(name) : role;
}

inline RequestRole RequestRules::root_role(Key key) {
  switch (format_) {
    case Format::claude:
      return claude_root(key);
    case Format::gemini:
      return gemini_root(key);
    default:
      return openai_root(key);
  }
}

inline RequestRole RequestRules::options_key(Key key, const JsonString& name) {
  scan_.options_empty = false;
  if (key == Key::include_usage) {
    once(key);
    return Role::include_usage;
  }
  if (key == Key::unknown) check_spelling(name);
  return Role::skip;
}

inline RequestRole RequestRules::config_key(Key key, const JsonString& name) {
  scan_.config_empty = false;
  switch (key) {
    case Key::max_output_tokens:
      once(key);
      return Role::cap;
    case Key::candidate_count:
      once(key);
      return Role::choices;
    case Key::response_modalities:
      return Role::modalities;
    case Key::parameter:
      return Role::skip;
    default:
      return free_key(name);
  }
}

inline RequestRole RequestRules::node_key(Key key, const JsonString& name) {
  switch (key) {
    case Key::content:
    case Key::parts:
    case Key::summary:
    case Key::output:
    case Key::contents:
    case Key::requests:
      return Role::content;
    case Key::text:
    case Key::thinking:
    case Key::refusal:
    case Key::reasoning:
    case Key::arguments:
    case Key::transcript:
    case Key::url:
    case Key::name:
      return Role::text;
    case Key::tool_calls:
    case Key::function:
    case Key::function_call:
      return Role::node;
    case Key::type:
      return Role::node_type;
    case Key::role:
    case Key::id:
    case Key::status:
    case Key::parameter:
    case Key::detail:
    case Key::format:
    case Key::mime_type:
    case Key::object:
      return Role::skip;
    case Key::tools:
      return Role::tools;
    case Key::image_url:
      return Role::image;
    case Key::input_audio:
      return Role::audio;
    case Key::file:
    case Key::file_data:
      return Role::document;
    case Key::file_url:
    case Key::file_uri:
      return Role::media_url;
    case Key::file_id:
      return Role::file_id;
    case Key::inline_data:
      return Role::inline_data;
    case Key::source:
      return Role::source;
    case Key::data:
    case Key::signature:
      return Role::opaque;
    case Key::input:
    case Key::args:
    case Key::response:
      return Role::free;
    default:
      return free_key(name);
  }
}

inline RequestRole RequestRules::media_key(Key key, const JsonString& name) {
  switch (key) {
    case Key::data:
    case Key::file_data:
      return Role::media_data;
    case Key::url:
    case Key::image_url:
    case Key::file_url:
    case Key::file_uri:
      return Role::media_url;
    case Key::file_id:
      return Role::file_id;
    case Key::mime_type:
      return Role::media_mime;
    case Key::type:
      return Role::media_type;
    case Key::content:
      return Role::content;
    case Key::text:
    case Key::name:
      return Role::text;
    case Key::detail:
    case Key::format:
      return Role::skip;
    default:
      return free_key(name);
  }
}

inline std::uint8_t RequestRules::role_of_key(std::uint8_t container, Key key,
                                              const JsonString& name) {
  const auto of = [&]() -> Role {
    switch (static_cast<Role>(container)) {
      case Role::root:
        return root_key(key, name);
      case Role::stream_options:
        return options_key(key, name);
      case Role::config:
        return config_key(key, name);
      case Role::metadata:
        return key == Key::user_id ? Role::hint_user_id : Role::skip;
      case Role::messages:
      case Role::node:
      case Role::content:
        return node_key(key, name);
      case Role::tools:
      case Role::tool:
        if (key == Key::type) return Role::tool_type;
        if (key == Key::function_declarations) return Role::declarations;
        if (key == Key::google_search) return Role::server_tool;
        return free_key(name);
      case Role::image:
      case Role::audio:
      case Role::document:
      case Role::inline_data:
      case Role::source:
        return media_key(key, name);
      case Role::skip:
        return Role::skip;
      default:
        return free_key(name);
    }
  };
  return static_cast<std::uint8_t>(of());
}

inline std::uint8_t RequestRules::role_of_element(std::uint8_t container) {
  const auto of = [&]() -> Role {
    switch (static_cast<Role>(container)) {
      case Role::messages:
        ++scan_.messages;
        return Role::node;
      case Role::node:
      case Role::content:
        return Role::node;
      case Role::inputs:
      case Role::input_item:
        return Role::input_item;
      case Role::tools:
      case Role::declarations:
        ++scan_.tools;
        return Role::tool;
      case Role::modalities:
        return Role::modality;
      case Role::skip:
      case Role::metadata:
        return Role::skip;
      default:
        return Role::free;
    }
  };
  return static_cast<std::uint8_t>(of());
}

inline StringMode RequestRules::string_mode(std::uint8_t role) {
  switch (static_cast<Role>(role)) {
    case Role::text:
    case Role::free:
    case Role::messages:
    case Role::node:
    case Role::content:
    case Role::inputs:
    case Role::input_item:
    case Role::tool:
    case Role::server_tool:
      return StringMode::count;
    case Role::media_data:
      if (media_ != Role::source || media_base64_) return StringMode::skip;
      if (!media_saved_) before_media_ = scan_.text;
      media_saved_ = true;
      return StringMode::count;
    case Role::service_tier:
    case Role::speed:
    case Role::modality:
    case Role::node_type:
    case Role::tool_type:
    case Role::media_mime:
    case Role::media_type:
      return StringMode::capture;
    default:
      return StringMode::skip;
  }
}

}  // namespace sluice::dialect

#include "request_roots.hpp"
