#include "sluice/dialect/request_scan.hpp"

#include <simdjson.h>

#include <algorithm>

#include "request_rules.hpp"

namespace sluice::dialect {
namespace {

constexpr std::uint64_t kMaxChoices = 1024;
constexpr std::uint64_t kMaxCap = 1'000'000'000;

/// Lower-case copy as a case-insensitive reader would compare it: Go's also folds U+017F to s,
/// U+212A to k.
std::string_view fold(std::string_view name, std::span<char> out) {
  std::size_t size = 0;
  for (std::size_t i = 0; i < name.size() && size < out.size(); ++i) {
    const std::string_view rest = name.substr(i);
    if (rest.starts_with("\xc5\xbf")) {
      out[size++] = 's';
      i += 1;
    } else if (rest.starts_with("\xe2\x84\xaa")) {
      out[size++] = 'k';
      i += 2;
    } else {
      const char c = name[i];
      out[size++] = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
  }
  return {out.data(), size};
}

/// Decodes a JSON string (without quotes) that the reader found valid. False if it does not fit.
bool decode_name(std::string_view text, ModelName& out) {
  if (text.find('\\') == std::string_view::npos) return out.assign(text);
  out.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      if (!out.push_back(text[i])) return false;
      continue;
    }
    const char letter = text[++i];
    std::uint32_t codepoint = 0;
    if (letter == 'u') {
      for (int k = 0; k < 4; ++k) {
        codepoint = codepoint * 16 + static_cast<std::uint32_t>(hex_value(text[++i]));
      }
      if (codepoint >= 0xd800 && codepoint < 0xe000) return false;  // no model is named in emoji
    } else {
      codepoint = static_cast<std::uint32_t>(simple_escape(letter));
    }
    char utf8[4];
    const std::size_t size = encode_utf8(codepoint, utf8);
    for (std::size_t k = 0; k < size; ++k) {
      if (!out.push_back(utf8[k])) return false;
    }
  }
  return true;
}

bool has_control(std::string_view text) {
  return std::ranges::any_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

/// Tools that the client runs itself: they cost tokens only.
bool runs_at_client(std::string_view type) {
  constexpr std::string_view kExact[] = {"function", "custom", "local_shell", "apply_patch",
                                         "computer_use_preview"};
  constexpr std::string_view kPrefixes[] = {"text_editor_", "bash_", "memory_", "computer_"};
  return std::ranges::any_of(kExact, [&](auto name) { return type == name; }) ||
         std::ranges::any_of(kPrefixes, [&](auto name) { return type.starts_with(name); });
}

}  // namespace

void RequestRules::check_spelling(const JsonString& name) {
  char folded[kMaxKeySize];
  if (name.overflow || name.text.size() > kMaxKeySize * 3) return;
  const std::string_view text = fold(name.text, folded);
  if (text == name.text) return;
  const Key key = find_key(text);
  if (key == Key::unknown) return;
  if (key == Key::include_usage) return bad();
  const Role role = root_role(key);
  if (role != Role::free && role != Role::skip) bad();
}

void RequestRules::model_string(const JsonString& string) {
  scan_.model_value = span_of(string.raw);
  const std::string_view inside = string.raw.substr(1, string.raw.size() - 2);
  if (!decode_name(inside, scan_.model) || scan_.model.empty() || has_control(scan_.model.view()))
    bad();
}

void RequestRules::hint(std::uint8_t rank, const JsonString& string) {
  if (string.empty || rank <= hint_rank_) return;
  hint_rank_ = rank;
  scan_.session_hint = span_of(string.raw);
}

void RequestRules::media_string(Role role, const JsonString& string) {
  const std::string_view inside = string.raw.substr(1, string.raw.size() - 2);
  const bool inline_data = inside.starts_with("data:");
  if (role == Role::image) ++scan_.images;
  if (role == Role::document) {
    ++scan_.documents;
    scan_.document_bytes += inside.size();
  }
  if ((role == Role::image || role == Role::media_url) && !inline_data && !string.empty) {
    const bool stored = inside.find("generativelanguage.googleapis.com/") != std::string_view::npos;
    flag(stored ? Special::stored_file : Special::remote_url);
  }
}

void RequestRules::open_media(Role role) {
  media_ = role;
  media_base64_ = media_is_text_ = media_saved_ = false;
  media_size_ = 0;
  if (role == Role::image || role == Role::inline_data) ++scan_.images;
  if (role == Role::audio) ++scan_.audios;
  if (role == Role::document) ++scan_.documents;
}

void RequestRules::mime(std::string_view type) {
  const bool counted = media_ == Role::inline_data;  // counted as an image until the type is known
  if (media_ != Role::inline_data && media_ != Role::source) return;
  if (type.starts_with("image/")) {
    media_ = Role::image;
    return;
  }
  if (counted) --scan_.images;
  if (type.starts_with("audio/") || type.starts_with("video/")) {
    if (counted) type[0] == 'v' ? ++scan_.videos : ++scan_.audios;
    media_ = Role::audio;
  } else if (type.starts_with("text/") && counted) {
    media_ = Role::opaque;
  } else {
    if (counted) ++scan_.documents;
    if (counted) media_ = Role::document;
  }
}

void RequestRules::close_media(Role role) {
  if (media_saved_ && !media_is_text_) scan_.text = before_media_;
  if (!media_is_text_) {
    const bool image = media_ == Role::image;
    if (media_ == Role::audio) {
      scan_.audio_bytes += media_size_;
    } else if (media_ == Role::opaque) {
      scan_.opaque_bytes += media_size_;
    } else if (!image && role != Role::image) {
      scan_.document_bytes += media_size_;
    }
  }
  media_ = Role::skip;
  media_saved_ = false;
  media_size_ = 0;
}

void RequestRules::count_node_type(const JsonString& string) {
  if (string.text == "image") ++scan_.images;
  if (string.text == "document") ++scan_.documents;
  if (string.text == "item_reference") flag(Special::previous_response);
  if (string.text == "video_url") {
    ++scan_.videos;
    flag(Special::remote_url);
  }
}

void RequestRules::flag_value(Role role) {
  switch (role) {
    case Role::previous:
      return flag(Special::previous_response);
    case Role::cached:
      return flag(Special::cached_content);
    case Role::file_id:
      return flag(Special::stored_file);
    case Role::flag_server_tools:
    case Role::server_tool:
      return flag(Special::server_tools);
    case Role::flag_fallback:
      return flag(Special::model_fallback);
    default:
      return;
  }
}

void RequestRules::on_string(std::uint8_t role_number, const JsonString& string) {
  const Role role = static_cast<Role>(role_number);
  const std::string_view text = string.text;
  switch (role) {
    case Role::model:
      return model_string(string);
    case Role::stream:
    case Role::include_usage:
    case Role::stream_options:
    case Role::cap:
    case Role::choices:
    case Role::background:
    case Role::config:
      return bad();
    case Role::service_tier:
      if (text != "auto" && text != "default" && text != "standard" && text != "standard_only") {
        flag(Special::service_tier);
      }
      return;
    case Role::speed:
      if (text != "standard") flag(Special::speed);
      return;
    case Role::modality:
      if (text != "text" && text != "TEXT") flag(Special::output_modality);
      return;
    case Role::hint_key:
      return hint(3, string);
    case Role::hint_user_id:
      return hint(2, string);
    case Role::hint_user:
      return hint(1, string);
    case Role::messages:
    case Role::inputs:
    case Role::input_item:
      ++scan_.messages;
      return;
    case Role::opaque:
      scan_.opaque_bytes += string.raw.size();
      return;
    case Role::node_type:
      return count_node_type(string);
    case Role::tool_type:
      if (!runs_at_client(text)) flag(Special::server_tools);
      return;
    case Role::image:
    case Role::document:
    case Role::media_url:
      return media_string(role, string);
    case Role::media_data:
      media_size_ += string.raw.size();
      return;
    case Role::media_mime:
      return mime(text);
    case Role::media_type:
      media_is_text_ = text == "text";
      media_base64_ = text == "base64";
      return;
    default:
      if (!string.empty) flag_value(role);
  }
}

void RequestRules::cap_value(std::string_view raw) {
  (scan_.cap.first.present() ? scan_.cap.second : scan_.cap.first) = span_of(raw);
}

void RequestRules::on_number(std::uint8_t role_number, const JsonNumber& number) {
  const Role role = static_cast<Role>(role_number);
  const bool count = !number.negative && !number.fraction;
  switch (role) {
    case Role::cap: {
      if (!count || number.magnitude > kMaxCap) return bad();
      const auto tokens = static_cast<Tokens>(number.magnitude);
      scan_.cap.tokens = scan_.cap.tokens < 0 ? tokens : std::min(scan_.cap.tokens, tokens);
      return cap_value(number.raw);
    }
    case Role::choices:
      if (!count || number.magnitude == 0 || number.magnitude > kMaxChoices) return bad();
      scan_.choices = std::max(scan_.choices, static_cast<std::uint32_t>(number.magnitude));
      return;
    case Role::model:
    case Role::stream:
    case Role::include_usage:
    case Role::stream_options:
    case Role::background:
    case Role::service_tier:
    case Role::speed:
    case Role::config:
      return bad();
    case Role::inputs:
    case Role::input_item:
      ++scan_.input_token_ids;
      return;
    case Role::free:
      scan_.text.last_masks = 0;
      scan_.text.add_text(number.raw);
      ++scan_.text.symbols;  // the comma of an array, or part of a member
      return;
    default:
      return flag_value(role);
  }
}

void RequestRules::on_literal(std::uint8_t role_number, JsonLiteral literal, std::string_view raw) {
  const Role role = static_cast<Role>(role_number);
  const bool is_null = literal == JsonLiteral::null_;
  const bool is_true = literal == JsonLiteral::true_;
  switch (role) {
    case Role::stream:
      scan_.stream = is_true;
      return;
    case Role::include_usage:
      scan_.include_usage = is_true;
      scan_.include_usage_value = span_of(raw);
      return;
    case Role::stream_options:
      if (!is_null) return bad();
      scan_.stream_options = span_of(raw);
      return;
    case Role::config:
      if (!is_null) return bad();
      scan_.config_value = span_of(raw);
      return;
    case Role::cap:
      return is_null ? cap_value(raw) : bad();
    case Role::background:
      if (is_true) flag(Special::background);
      return;
    case Role::choices:
    case Role::service_tier:
    case Role::speed:
      if (!is_null) bad();
      return;
    case Role::model:
      return bad();
    case Role::free:
      scan_.text.add_text(raw);
      return;
    default:
      if (is_true) flag_value(role);
  }
}

void RequestRules::on_open(std::uint8_t role_number, bool object, const char* p) {
  const Role role = static_cast<Role>(role_number);
  const auto inside = static_cast<std::uint32_t>(p - base_);
  switch (role) {
    case Role::root:
      if (!object) return bad();
      if (scan_.root_insert == 0) scan_.root_insert = inside;
      return;
    case Role::stream_options:
      if (!object) return bad();
      scan_.options_insert = inside;
      scan_.stream_options.offset = inside - 1;
      return;
    case Role::config:
      if (!object) return bad();
      scan_.config_insert = inside;
      scan_.config_value.offset = inside - 1;
      return;
    case Role::metadata:
      if (object) scan_.metadata.offset = inside - 1;
      return;
    case Role::model:
    case Role::stream:
    case Role::include_usage:
    case Role::cap:
    case Role::choices:
    case Role::service_tier:
    case Role::speed:
    case Role::background:
      return bad();
    case Role::image:
    case Role::audio:
    case Role::document:
    case Role::inline_data:
    case Role::source:
      return open_media(role);
    case Role::input_item:
      ++scan_.messages;
      return;
    default:
      return flag_value(role);
  }
}

void RequestRules::on_close(std::uint8_t role_number, bool, const char* p) {
  const auto end = static_cast<std::uint32_t>(p - base_);
  switch (const Role role = static_cast<Role>(role_number)) {
    case Role::stream_options:
      scan_.stream_options.size = end - scan_.stream_options.offset;
      return;
    case Role::config:
      scan_.config_value.size = end - scan_.config_value.offset;
      return;
    case Role::metadata:
      if (scan_.metadata.offset != 0) scan_.metadata.size = end - scan_.metadata.offset;
      return;
    case Role::image:
    case Role::audio:
    case Role::document:
    case Role::inline_data:
    case Role::source:
      return close_media(role);
    default:
      return;
  }
}

Result<RequestScan> scan_request(Operation operation, std::string_view body,
                                 const RequestLimits& limits) {
  if (body.size() > limits.body_bytes || body.size() > UINT32_MAX) {
    return fail(Errc::too_large, Source::client);
  }
  Result<RequestScan> result;
  RequestScan& scan = *result;
  scan.operation = operation;
  scan.body_bytes = static_cast<std::uint32_t>(body.size());
  JsonState state;
  state.role = static_cast<std::uint8_t>(RequestRole::root);
  state.depth_most = std::min(limits.json_depth, kMaxJsonDepth);
  RequestRules rules(scan, body.data());
  JsonReader<RequestRules>(state, rules, body.data()).feed(body);
  if (state.too_deep) return fail(Errc::unsupported, Source::client);
  if (state.step != JsonStep::done || scan.root_insert == 0)
    return fail(Errc::bad_syntax, Source::client);
  if (!simdjson::validate_utf8(body.data(), body.size()))
    return fail(Errc::bad_syntax, Source::client);
  if (rules.bad_value()) return fail(Errc::bad_value, Source::client);
  if (model_in_body(operation) && scan.model.empty()) return fail(Errc::bad_value, Source::client);
  if (operation == Operation::openai_completions && scan.messages > 1) {
    const std::uint64_t choices = std::uint64_t{scan.choices} * scan.messages;
    if (choices > kMaxChoices) return fail(Errc::bad_value, Source::client);
    scan.choices = static_cast<std::uint32_t>(choices);
  }
  return result;
}

}  // namespace sluice::dialect
