#include "http_request.hpp"

#include <algorithm>
#include <charconv>

namespace sluice::mock {
namespace {

using Kind = ReadProgress::Kind;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool equals_nocase(std::string_view text, std::string_view lower_case) {
  return text.size() == lower_case.size() &&
         std::equal(text.begin(), text.end(), lower_case.begin(),
                    [](char a, char b) { return lower(a) == b; });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

struct Framing {
  std::size_t length = 0;
  bool has_length = false;
  bool chunked = false;
  bool expects_continue = false;
};

bool read_field(std::string_view name, std::string_view value, HttpRequest& out, Framing& framing) {
  if (equals_nocase(name, "content-length")) {
    const auto [end, error] =
        std::from_chars(value.data(), value.data() + value.size(), framing.length);
    if (error != std::errc{} || end != value.data() + value.size() || framing.has_length)
      return false;
    framing.has_length = true;
    return framing.length <= kMaxBodyBytes;
  }
  if (equals_nocase(name, "transfer-encoding")) {
    if (!equals_nocase(value, "chunked") || framing.chunked) return false;
    framing.chunked = true;
  } else if (equals_nocase(name, "connection")) {
    if (equals_nocase(value, "close")) out.close = true;
  } else if (equals_nocase(name, "authorization")) {
    out.authorization = value;
  } else if (equals_nocase(name, "x-api-key")) {
    out.api_key = value;
  } else if (equals_nocase(name, "x-goog-api-key")) {
    out.goog_api_key = value;
  } else if (equals_nocase(name, "anthropic-version")) {
    out.claude_version = value;
  } else if (equals_nocase(name, "expect")) {
    framing.expects_continue = equals_nocase(value, "100-continue");
  }
  return true;
}

bool read_head(std::string_view head, HttpRequest& out, Framing& framing) {
  const std::size_t line_end = head.find("\r\n");
  const std::string_view line = head.substr(0, line_end);
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || last == first) return false;
  out.method = line.substr(0, first);
  out.target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (version == "HTTP/1.0") {
    out.close = true;
  } else if (version != "HTTP/1.1") {
    return false;
  }
  std::size_t at = line_end + 2;
  while (at < head.size()) {
    const std::size_t end = head.find("\r\n", at);
    if (end == at) break;
    const std::string_view field = head.substr(at, end - at);
    const std::size_t colon = field.find(':');
    if (colon == std::string_view::npos || colon == 0) return false;
    if (!read_field(field.substr(0, colon), trim(field.substr(colon + 1)), out, framing))
      return false;
    at = end + 2;
  }
  return !(framing.chunked && framing.has_length);
}

/// Decodes a chunked body from the start of `bytes`. Progress::consumed counts from there.
ReadProgress read_chunked(std::string_view bytes, std::string& store) {
  ReadProgress progress;
  store.clear();
  std::size_t at = 0;
  while (true) {
    const std::size_t line_end = bytes.find("\r\n", at);
    if (line_end == std::string_view::npos) break;
    std::size_t size = 0;
    const auto [stop, error] =
        std::from_chars(bytes.data() + at, bytes.data() + line_end, size, 16);
    const bool at_end = stop == bytes.data() + line_end || *stop == ';';
    if (error != std::errc{} || !at_end || store.size() + size > kMaxBodyBytes) {
      progress.kind = Kind::bad;
      return progress;
    }
    at = line_end + 2;
    if (size == 0) {
      if (bytes.size() < at + 2) break;
      // No trailers: the gateway frames anew and sends none.
      progress.kind = bytes.substr(at, 2) == "\r\n" ? Kind::complete : Kind::bad;
      progress.consumed = at + 2;
      return progress;
    }
    if (bytes.size() < at + size + 2) {
      store.append(bytes.substr(at, size));
      break;
    }
    if (bytes.substr(at + size, 2) != "\r\n") {
      progress.kind = Kind::bad;
      return progress;
    }
    store.append(bytes.substr(at, size));
    at += size + 2;
  }
  progress.body_bytes_so_far = store.size();
  return progress;
}

}  // namespace

ReadProgress read_request(std::string_view bytes, HttpRequest& out, std::string& store) {
  ReadProgress progress;
  const std::size_t head_end = bytes.find("\r\n\r\n");
  if (head_end == std::string_view::npos) {
    if (bytes.size() > kMaxHeadBytes) progress.kind = Kind::bad;
    return progress;
  }
  const std::size_t body_at = head_end + 4;
  out = HttpRequest{};
  out.head = bytes.substr(0, body_at);
  Framing framing;
  if (!read_head(out.head, out, framing)) {
    progress.kind = Kind::bad;
    return progress;
  }
  const std::string_view rest = bytes.substr(body_at);
  if (framing.chunked) {
    progress = read_chunked(rest, store);
    out.body = store;
  } else if (rest.size() >= framing.length) {
    progress.kind = Kind::complete;
    progress.consumed = framing.length;
    out.body = rest.substr(0, framing.length);
  } else {
    progress.body_bytes_so_far = rest.size();
  }
  progress.consumed += body_at;
  progress.head_complete = true;
  progress.expects_continue = framing.expects_continue;
  return progress;
}

}  // namespace sluice::mock
