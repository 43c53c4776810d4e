#include "sluice/http/head_parser.hpp"

#include <llhttp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <type_traits>

#include "field_lookup.hpp"
#include "sluice/base/assert.hpp"
#include "sluice/http/request.hpp"
#include "sluice/http/response.hpp"
#include "text.hpp"

namespace sluice::http {

static_assert(sizeof(llhttp_t) <= 96 && alignof(llhttp_t) <= 8, "HeadParser::llhttp_ is too small");
static_assert(std::is_trivially_copyable_v<RequestParser> &&
              std::is_trivially_copyable_v<ResponseParser>);

namespace {

/// Fields of which a request has at most one (RFC 9110 §5.3). Others may come again; has() and
/// value() then mean the first.
bool is_singleton(Field field) {
  switch (field) {
    case Field::host:
    case Field::content_length:
    case Field::transfer_encoding:
    case Field::expect:
    case Field::authorization:
    case Field::proxy_authorization:
    case Field::x_api_key:
    case Field::x_goog_api_key:
    case Field::content_type:
    case Field::content_encoding:
    case Field::anthropic_version:
    case Field::idempotency_key:
    case Field::x_request_id:
    case Field::user_agent:
      return true;
    default:
      return false;
  }
}

/// A provider's duplicates are refused only where they could change where a message ends.
bool is_framing(Field field) {
  return field == Field::content_length || field == Field::transfer_encoding;
}

/// Whether the text ends with the version that llhttp did not take, and not with a wrong byte near
/// a good one.
bool ends_with_other_version(std::string_view text) {
  if (text.size() < 8) return false;
  text = text.substr(text.size() - 8);
  if (text == "HTTP/1.0" || text == "HTTP/1.1") return false;
  return text.starts_with("HTTP/") && is_digit(text[5]) && text[6] == '.' && is_digit(text[7]);
}

}  // namespace

/// llhttp's callbacks. They only note offsets; a limit or a folded line stops llhttp with HPE_USER.
struct HeadParser::Callbacks {
  static HeadParser& self(llhttp_t* parser) { return *static_cast<HeadParser*>(parser->data); }

  static int stop(HeadParser& parser, Stop why) {
    parser.stop_ = why;
    return HPE_USER;
  }

  static int on_url(llhttp_t* llhttp, const char* at, std::size_t bytes) {
    HeadParser& parser = self(llhttp);
    if (parser.target_bytes_ == 0)
      parser.target_offset_ = static_cast<std::uint16_t>(at - parser.base_);
    const std::size_t total = parser.target_bytes_ + bytes;
    if (total > parser.limit_target_) return stop(parser, Stop::target);
    parser.target_bytes_ = static_cast<std::uint16_t>(total);
    return HPE_OK;
  }

  static int on_header_field(llhttp_t* llhttp, const char* at, std::size_t bytes) {
    HeadParser& parser = self(llhttp);
    FieldTable& table = parser.fields_;
    if (parser.phase_ != Phase::name) {
      if (table.count_ >= parser.limit_fields_) return stop(parser, Stop::fields);
      table.entries_[table.count_] = {static_cast<std::uint16_t>(at - parser.base_), 0, 0, 0,
                                      Field::none};
      parser.phase_ = Phase::name;
    }
    FieldTable::Entry& entry = table.entries_[table.count_];
    const std::size_t total = entry.name_bytes + bytes;
    if (total > kMaxFieldNameBytes) return stop(parser, Stop::name);
    entry.name_bytes = static_cast<std::uint8_t>(total);
    return HPE_OK;
  }

  static int on_header_value(llhttp_t* llhttp, const char* at, std::size_t bytes) {
    HeadParser& parser = self(llhttp);
    FieldTable::Entry& entry = parser.fields_.entries_[parser.fields_.count_];
    const auto offset = static_cast<std::size_t>(at - parser.base_);
    if (parser.phase_ == Phase::name) {
      entry.value_offset = static_cast<std::uint16_t>(offset);
      parser.phase_ = Phase::value;
    } else if (offset != static_cast<std::size_t>(entry.value_offset) + entry.value_bytes) {
      return stop(parser, Stop::shape);  // a value in two places is a folded line
    }
    entry.value_bytes = static_cast<std::uint16_t>(entry.value_bytes + bytes);
    return HPE_OK;
  }

  static int on_header_value_complete(llhttp_t* llhttp) {
    HeadParser& parser = self(llhttp);
    FieldTable::Entry& entry = parser.fields_.entries_[parser.fields_.count_];
    if (parser.phase_ == Phase::name) {
      entry.value_offset = static_cast<std::uint16_t>(entry.name_offset + entry.name_bytes + 1);
    }
    parser.phase_ = Phase::line;
    ++parser.fields_.count_;
    return HPE_OK;
  }

  static int on_headers_complete(llhttp_t* llhttp) {
    self(llhttp).done_ = true;
    return HPE_PAUSED;
  }

  static const llhttp_settings_t kSettings;
};

constinit const llhttp_settings_t HeadParser::Callbacks::kSettings{
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_header_value_complete = on_header_value_complete,
};

void HeadParser::start(Kind kind, std::size_t at) {
  fields_.clear();
  failure_ = {};
  length_ = 0;
  head_offset_ = static_cast<std::uint32_t>(at);
  target_offset_ = 0;
  target_bytes_ = 0;
  version_minor_ = 0;
  has_length_ = chunked_ = says_close_ = says_keep_alive_ = false;
  kind_ = kind;
  phase_ = Phase::line;
  stop_ = Stop::none;
  done_ = false;
  may_be_plain_ = true;
  was_plain_ = false;
  parsed_bytes_ = head_offset_;
  base_ = nullptr;
}

// Of several faults llhttp meets the first, the checks behind the quick way another: the verdict
// would depend on how the bytes were cut.
bool HeadParser::begin_again() {
  if (!was_plain_) return false;
  start(kind_, head_offset_);
  may_be_plain_ = false;
  return true;
}

std::unexpected<Error> HeadParser::refuse(Errc code, int sys_errno) {
  const Source peer = kind_ == Kind::request ? Source::client : Source::upstream;
  failure_ = {code, peer, Retry::no, sys_errno};
  return std::unexpected(failure_);
}

Result<HeadStatus> HeadParser::skip_empty_line(std::span<const char> bytes) {
  if (parsed_bytes_ != head_offset_ || bytes.size() <= parsed_bytes_) return HeadStatus::complete;
  const std::span<const char> rest = bytes.subspan(parsed_bytes_);
  if (rest[0] != '\r' && rest[0] != '\n') return HeadStatus::complete;
  if (rest[0] == '\n' || head_offset_ != 0) return refuse(Errc::bad_syntax);
  if (rest.size() == 1) return HeadStatus::need_more;
  if (rest[1] != '\n') return refuse(Errc::bad_syntax);
  head_offset_ = parsed_bytes_ = 2;
  if (rest.size() == 2) return HeadStatus::need_more;
  return skip_empty_line(bytes);
}

Result<HeadStatus> HeadParser::advance(std::span<const char> bytes, const Limits& limits) {
  const std::size_t limit = std::min(limits.head_bytes, kMaxHeadBytes);
  const std::size_t end = std::min(bytes.size(), limit);
  SLUICE_ASSERT(!done_ && end >= parsed_bytes_);  // bytes of earlier calls stay in front
  base_ = bytes.data();
  limit_fields_ = std::min(limits.fields, kMaxFields);
  limit_target_ = limits.target_bytes;
  auto* llhttp = reinterpret_cast<llhttp_t*>(llhttp_.data());
  if (parsed_bytes_ == head_offset_) {
    was_plain_ = may_be_plain_ && read_plain(base_ + end);
    if (was_plain_) return resolve_head();
    llhttp_init(llhttp, kind_ == Kind::request ? HTTP_REQUEST : HTTP_RESPONSE,
                &Callbacks::kSettings);
  }
  // A scratch parser may have been copied since the last call, and the bytes may have moved.
  llhttp->data = this;
  const llhttp_errno_t code = llhttp_execute(llhttp, base_ + parsed_bytes_, end - parsed_bytes_);
  if (code == HPE_OK) {
    parsed_bytes_ = static_cast<std::uint32_t>(end);
    if (end == limit) return refuse(Errc::head_too_large);
    return HeadStatus::need_more;
  }
  const char* const error_at = llhttp_get_error_pos(llhttp);
  const auto error_offset =
      static_cast<std::size_t>((error_at == nullptr ? base_ + end : error_at) - base_);
  if (!done_ || code != HPE_PAUSED) {
    const Errc errc = errc_of(code, error_offset, base_, limits);
    return refuse(errc, errc == Errc::unsupported ? EPROTONOSUPPORT : 0);
  }
  parsed_bytes_ = static_cast<std::uint32_t>(error_offset);
  return resolve_head();
}

Result<HeadStatus> HeadParser::resolve_head() {
  if (const auto resolved = resolve_fields(base_); !resolved)
    return std::unexpected(resolved.error());
  return HeadStatus::complete;
}

// A byte that is wrong and a limit that is passed may lie in the same name or target. llhttp
// reports a run of bytes only at its end, so which of the two is met first would depend on how the
// bytes were cut: decide by position instead.
// `seen` is everything up to where llhttp stopped.
Errc HeadParser::passed_limit(std::string_view seen, const Limits& limits) const {
  if (seen.size() < 2) return Errc::none;
  // A line feed that ends no line is itself the wrong byte, and belongs to the line before it.
  const std::size_t from = seen.ends_with("\r\n") ? seen.size() - 1 : seen.size() - 2;
  const std::size_t line_end = seen.rfind('\n', from);
  const std::size_t line =
      line_end == std::string_view::npos ? 0 : std::max<std::size_t>(line_end + 1, head_offset_);
  const auto run_from = [seen](std::size_t begin, auto belongs) {
    const auto* const first = seen.begin() + begin;
    return static_cast<std::size_t>(std::find_if_not(first, seen.end(), belongs) - first);
  };
  if (line <= head_offset_) {
    const std::size_t space = seen.find(' ', head_offset_);
    const std::size_t target = seen.find_first_not_of(' ', space);
    if (kind_ == Kind::response || std::max(space, target) == std::string_view::npos)
      return Errc::none;
    const std::size_t bytes =
        run_from(target, [](char c) { return static_cast<unsigned char>(c) > ' '; });
    return bytes > limits.target_bytes ? Errc::target_too_long : Errc::none;
  }
  const std::size_t bytes = run_from(line, [](char c) { return is_in(kToken, c); });
  const std::size_t count = fields_.count_;
  const bool is_new = count == 0 || fields_.entries_[count - 1].name_offset != line;
  const bool is_one_too_many = bytes > 0 && is_new && count >= limit_fields_;
  return bytes > kMaxFieldNameBytes || is_one_too_many ? Errc::head_too_large : Errc::none;
}

Errc HeadParser::errc_of(int llhttp_code, std::size_t error_offset, const char* base,
                         const Limits& limits) const {
  switch (stop_) {
    case Stop::target:
      return Errc::target_too_long;
    case Stop::fields:
    case Stop::name:
      return Errc::head_too_large;
    case Stop::shape:
      return Errc::bad_syntax;
    case Stop::none:
      break;
  }
  const std::string_view seen(base, error_offset);
  if (const Errc passed = passed_limit(seen, limits); passed != Errc::none) return passed;
  switch (llhttp_code) {
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
    case HPE_INVALID_TRANSFER_ENCODING:
      return Errc::bad_framing;
    case HPE_INVALID_VERSION:
      return ends_with_other_version(seen) ? Errc::unsupported : Errc::bad_syntax;
    default:
      return Errc::bad_syntax;
  }
}

Result<> HeadParser::resolve_fields(const char* base) {
  // llhttp has seen the final CR LF CR LF; a line ends where the next name begins.
  const std::size_t last_end = parsed_bytes_ - 2;
  if (parsed_bytes_ < head_offset_ + 4 || std::memcmp(base + last_end - 2, "\r\n\r\n", 4) != 0) {
    return refuse(Errc::bad_syntax);
  }
  for (std::size_t i = 0; i < fields_.count(); ++i) {
    const std::size_t line_end =
        i + 1 < fields_.count() ? fields_.entries_[i + 1].name_offset : last_end;
    if (const auto resolved = resolve_field(base, i, line_end); !resolved) return resolved;
  }
  return {};
}

Result<> HeadParser::resolve_field(const char* base, std::size_t index, std::size_t line_end) {
  FieldTable::Entry& entry = fields_.entries_[index];
  const std::size_t name_end = static_cast<std::size_t>(entry.name_offset) + entry.name_bytes;
  const std::size_t text_end = line_end - 2;
  // llhttp places an empty value behind its end of line.
  if (entry.value_bytes == 0) entry.value_offset = static_cast<std::uint16_t>(name_end + 1);
  std::size_t value_end = static_cast<std::size_t>(entry.value_offset) + entry.value_bytes;
  if (text_end <= name_end || value_end > text_end || base[name_end] != ':' ||
      base[text_end] != '\r' || base[text_end + 1] != '\n') {
    return refuse(Errc::bad_syntax);
  }
  const auto blank = [base](std::size_t from, std::size_t to) {
    while (from < to && is_blank(base[from])) ++from;
    return from == to;
  };
  if (!blank(name_end + 1, entry.value_offset) || !blank(value_end, text_end)) {
    return refuse(Errc::bad_syntax);
  }
  while (value_end > entry.value_offset && is_blank(base[value_end - 1])) --value_end;
  entry.value_bytes = static_cast<std::uint16_t>(value_end - entry.value_offset);

  const FoldedField found = find_folded({base + entry.name_offset, entry.name_bytes});
  if (found.field == Field::none) return {};
  if (found.underscore) {
    if (kind_ == Kind::request || is_framing(found.field)) return refuse(Errc::bad_syntax);
    return {};
  }
  entry.id = found.field;
  std::uint8_t& first = fields_.first_[static_cast<std::size_t>(found.field)];
  if (first == FieldTable::kAbsent) {
    first = static_cast<std::uint8_t>(index);
  } else if (kind_ == Kind::request ? is_singleton(found.field) : is_framing(found.field)) {
    return refuse(is_framing(found.field) ? Errc::bad_framing : Errc::bad_value);
  }
  return {};
}

Result<> HeadParser::read_framing(const char* base) {
  if (fields_.has(Field::content_length)) {
    const std::string_view digits = fields_.value(base, Field::content_length);
    if (digits.empty()) return refuse(Errc::bad_framing);
    bool overflow = false;
    for (const char c : digits) {
      if (!is_digit(c)) return refuse(Errc::bad_framing);
      std::uint64_t next = 0;
      overflow |= __builtin_mul_overflow(length_, 10U, &next) ||
                  __builtin_add_overflow(next, static_cast<std::uint64_t>(c - '0'), &next);
      length_ = next;
    }
    if (overflow) return refuse(Errc::bad_framing);
    has_length_ = true;
  }
  if (fields_.has(Field::transfer_encoding)) {
    if (const auto read = read_transfer_encoding(fields_.value(base, Field::transfer_encoding));
        !read) {
      return read;
    }
  }
  if (!fields_.has(Field::connection)) return {};
  for (std::size_t i = 0; i < fields_.count(); ++i) {
    const FieldView field = fields_.at(base, i);
    if (field.id != Field::connection) continue;
    if (const auto read = read_connection(field.value); !read) return read;
  }
  return {};
}

Result<> HeadParser::read_transfer_encoding(std::string_view value) {
  // Both lengths at once is how requests are smuggled; HTTP/1.0 knows no codings (RFC 9112 §6.1,
  // §6.3).
  if (has_length_ || version_minor_ == 0) return refuse(Errc::bad_framing);
  if (equal_ignoring_case(value, "chunked")) {
    chunked_ = true;
    return {};
  }
  // A known way to end (chunked, last, once) under a coding that is not offered here is 501; all
  // else is wrong.
  ListItems items(value);
  bool ends_chunked = false;
  for (std::string_view item; items.next(item);) {
    if (ends_chunked || !all_in(kToken, item)) return refuse(Errc::bad_framing);
    ends_chunked = equal_ignoring_case(item, "chunked");
  }
  const bool empty_item = value.empty() || value.front() == ',' || value.back() == ',';
  return refuse(ends_chunked && !empty_item ? Errc::unsupported : Errc::bad_framing);
}

Result<> HeadParser::read_connection(std::string_view value) {
  ListItems items(value);
  for (std::string_view item; items.next(item);) {
    if (!all_in(kToken, item)) return refuse(Errc::bad_syntax);
    switch (find_field(item)) {
      case Field::host:
      case Field::content_length:
      case Field::transfer_encoding:
      case Field::expect:
        return refuse(Errc::bad_framing);
      default:
        break;
    }
    if (equal_ignoring_case(item, "close")) says_close_ = true;
    if (equal_ignoring_case(item, "keep-alive")) says_keep_alive_ = true;
  }
  return {};
}

}  // namespace sluice::http
