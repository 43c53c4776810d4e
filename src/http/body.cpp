#include "sluice/http/body.hpp"

#include <algorithm>

#include "text.hpp"

namespace sluice::http {
namespace {

constexpr std::uint8_t kMaxSizeDigits = 16;
constexpr std::uint64_t kMaxChunkBytes = 0xffff'ffff;
constexpr std::uint16_t kMaxSizeLineBytes = 1024;
constexpr std::uint32_t kMaxExcessBytes = 16 * 1024;
constexpr std::uint64_t kFreeFramingBytes = 16;  ///< a chunk
constexpr std::uint16_t kMaxTrailerBytes = 8 * 1024;
constexpr std::uint8_t kMaxTrailerLines = 64;

unsigned hex_value(char c) {
  return is_digit(c) ? static_cast<unsigned>(c - '0')
                     : static_cast<unsigned>(to_lower(c) - 'a') + 10;
}

/// qdtext of a quoted string (RFC 9110 §5.6.4): a field byte but for the quote and the backslash.
bool is_quoted_text(char c) { return is_in(kFieldByte, c) && c != '"' && c != '\\'; }

}  // namespace

BodyDecoder::BodyDecoder(Framing framing, std::uint64_t length, std::uint64_t limit_bytes,
                         Source source)
    : limit_bytes_(limit_bytes), source_(source) {
  switch (framing) {
    case Framing::none:
      state_ = State::done;
      break;
    case Framing::length:
      remaining_bytes_ = length;
      state_ = length == 0 ? State::done : State::fixed;
      break;
    case Framing::chunked:
      state_ = State::size_first;
      break;
    case Framing::until_close:
      state_ = State::until_close;
      break;
  }
}

std::unexpected<Error> BodyDecoder::refuse(Errc code) {
  state_ = State::broken;
  failure_ = code;
  return fail(code, source_);
}

Result<BodyStep> BodyDecoder::next(std::span<const char> bytes) {
  if (state_ == State::broken) return fail(failure_, source_);
  BodyStep step;
  while (step.consumed_bytes < bytes.size() && state_ != State::done) {
    const std::span<const char> rest = bytes.subspan(step.consumed_bytes);
    if (state_ == State::fixed || state_ == State::data || state_ == State::until_close) {
      if (!step.payload.empty()) break;
      const auto payload = take_payload(rest);
      if (!payload) return std::unexpected(payload.error());
      step.payload = *payload;
      step.consumed_bytes += payload->size();
    } else {
      const auto line = whole_size_line(rest);
      if (!line) return std::unexpected(line.error());
      step.consumed_bytes += *line;
      if (*line != 0) continue;
      if (const auto taken = framing_byte(rest.front()); !taken)
        return std::unexpected(taken.error());
      ++step.consumed_bytes;
    }
  }
  step.done = state_ == State::done;
  return step;
}

Result<std::span<const char>> BodyDecoder::take_payload(std::span<const char> bytes) {
  if (state_ == State::until_close) {
    if (bytes.size() > limit_bytes_ - decoded_bytes_) return refuse(Errc::too_large);
    decoded_bytes_ += bytes.size();
    return bytes;
  }
  // A length is checked as soon as it is known, so that the verdict does not wait for the bytes.
  if (remaining_bytes_ > limit_bytes_ - decoded_bytes_) return refuse(Errc::too_large);
  const auto take =
      static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), remaining_bytes_));
  remaining_bytes_ -= take;
  decoded_bytes_ += take;
  if (remaining_bytes_ == 0) state_ = state_ == State::fixed ? State::done : State::data_cr;
  return bytes.first(take);
}

Result<> BodyDecoder::end_of_stream() {
  if (state_ == State::until_close) state_ = State::done;
  if (state_ == State::done) return {};
  if (state_ == State::broken) return fail(failure_, source_);
  return refuse(Errc::truncated);
}

// The framing between two chunks as senders write it: the end of the chunk before, and a plain size
// line that stands whole in the bytes. Takes both or the first. Bytes taken; 0 = go on byte by
// byte. Byte by byte it cost a sixth of all that is done for a chunk of 200 bytes.
Result<std::size_t> BodyDecoder::whole_size_line(std::span<const char> bytes) {
  constexpr std::size_t kMostDigits = 8;  // up to kMaxChunkBytes
  std::size_t at = 0;
  if (state_ == State::data_cr) {
    if (bytes.size() < 2 || bytes[0] != '\r' || bytes[1] != '\n') return 0;
    state_ = State::size_first;
    at = 2;
  } else if (state_ != State::size_first) {
    return 0;
  }
  const std::size_t begin = at;
  std::uint64_t size = 0;
  for (; at < bytes.size() && is_in(kHexDigit, bytes[at]); ++at) {
    if (at - begin == kMostDigits) return begin;
    size = size * 16 + hex_value(bytes[at]);
  }
  if (at == begin || bytes.size() - at < 2 || bytes[at] != '\r' || bytes[at + 1] != '\n')
    return begin;
  at += 2;
  remaining_bytes_ = size;
  line_bytes_ = static_cast<std::uint16_t>(at - begin);
  if (const auto ended = size_line_end(); !ended) return std::unexpected(ended.error());
  return at;
}

Result<> BodyDecoder::framing_byte(char byte) {
  switch (state_) {
    case State::data_cr:
      if (byte != '\r') return refuse(Errc::bad_framing);
      state_ = State::data_lf;
      return {};
    case State::data_lf:
      if (byte != '\n') return refuse(Errc::bad_framing);
      state_ = State::size_first;
      return {};
    case State::size_first:
    case State::size:
    case State::size_lf:
      return size_byte(byte);
    case State::trailer_first:
    case State::trailer_name:
    case State::trailer_value:
    case State::trailer_lf:
    case State::last_lf:
      return trailer_byte(byte);
    default:
      return extension_byte(byte);
  }
}

Result<> BodyDecoder::size_byte(char byte) {
  if (state_ == State::size_first) {
    remaining_bytes_ = 0;
    digits_ = 0;
    line_bytes_ = 0;
    if (!is_in(kHexDigit, byte)) return refuse(Errc::bad_framing);
    state_ = State::size;
  }
  ++line_bytes_;
  if (state_ == State::size_lf) return byte == '\n' ? size_line_end() : refuse(Errc::bad_framing);
  if (is_in(kHexDigit, byte)) {
    remaining_bytes_ = remaining_bytes_ * 16 + hex_value(byte);
    if (++digits_ > kMaxSizeDigits || remaining_bytes_ > kMaxChunkBytes)
      return refuse(Errc::bad_framing);
    return {};
  }
  // White space is no part of a size line here, though RFC 9112 §7.1.1 lets a recipient pass over
  // it.
  if (byte == '\r') {
    state_ = State::size_lf;
  } else if (byte == ';') {
    state_ = State::extension_name_first;
  } else {
    return refuse(Errc::bad_framing);
  }
  return {};
}

// *( ";" token [ "=" ( token / quoted-string ) ] ) (RFC 9112 §7.1.1)
Result<> BodyDecoder::extension_byte(char byte) {
  if (++line_bytes_ > kMaxSizeLineBytes) return refuse(Errc::bad_framing);
  const bool token = is_in(kToken, byte);
  switch (state_) {
    case State::extension_name_first:
      if (!token) return refuse(Errc::bad_framing);
      state_ = State::extension_name;
      return {};
    case State::extension_name:
      if (token) return {};
      if (byte == '=') {
        state_ = State::extension_value_first;
        return {};
      }
      break;
    case State::extension_value_first:
      if (!token && byte != '"') return refuse(Errc::bad_framing);
      state_ = token ? State::extension_token : State::extension_quoted;
      return {};
    case State::extension_token:
      if (token) return {};
      break;
    case State::extension_quoted:
      if (byte == '"') {
        state_ = State::extension_quoted_end;
      } else if (byte == '\\') {
        state_ = State::extension_escape;
      } else if (!is_quoted_text(byte)) {
        return refuse(Errc::bad_framing);
      }
      return {};
    case State::extension_escape:
      if (!is_in(kFieldByte, byte)) return refuse(Errc::bad_framing);
      state_ = State::extension_quoted;
      return {};
    default:
      break;
  }
  // Behind a whole name or value: the next extension, or the end of the line.
  if (byte == ';') {
    state_ = State::extension_name_first;
  } else if (byte == '\r') {
    state_ = State::size_lf;
  } else {
    return refuse(Errc::bad_framing);
  }
  return {};
}

Result<> BodyDecoder::size_line_end() {
  const std::uint64_t spent =
      excess_bytes_ + line_bytes_ + 2U;  // with the CR LF behind the payload
  const std::uint64_t earned = kFreeFramingBytes + 2 * remaining_bytes_;
  excess_bytes_ = spent > earned ? static_cast<std::uint32_t>(spent - earned) : 0;
  if (excess_bytes_ > kMaxExcessBytes) return refuse(Errc::bad_framing);
  if (remaining_bytes_ > limit_bytes_ - decoded_bytes_) return refuse(Errc::too_large);
  if (remaining_bytes_ > 0) {
    state_ = State::data;
  } else {
    line_bytes_ = 0;
    state_ = State::trailer_first;
  }
  return {};
}

Result<> BodyDecoder::trailer_byte(char byte) {
  if (++line_bytes_ > kMaxTrailerBytes) return refuse(Errc::bad_framing);
  switch (state_) {
    case State::trailer_first:
      if (byte == '\r') {
        state_ = State::last_lf;
        return {};
      }
      if (!is_in(kToken, byte) || ++trailer_lines_ > kMaxTrailerLines)
        return refuse(Errc::bad_framing);
      state_ = State::trailer_name;
      return {};
    case State::trailer_name:
      if (byte == ':') {
        state_ = State::trailer_value;
        return {};
      }
      return is_in(kToken, byte) ? Result<>{} : refuse(Errc::bad_framing);
    case State::trailer_value:
      if (byte == '\r') {
        state_ = State::trailer_lf;
        return {};
      }
      return is_in(kFieldByte, byte) ? Result<>{} : refuse(Errc::bad_framing);
    case State::trailer_lf:
      if (byte != '\n') return refuse(Errc::bad_framing);
      state_ = State::trailer_first;
      return {};
    default:
      if (byte != '\n') return refuse(Errc::bad_framing);
      state_ = State::done;
      return {};
  }
}

}  // namespace sluice::http
