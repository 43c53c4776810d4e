#include "answer_reader.hpp"

#include <algorithm>
#include <charconv>

namespace sluice::load {
namespace {

/// Value of a header field in a head, empty if absent. The names of the gateway and the stand-in
/// differ in case only.
std::string field(const std::string& lower_head, std::string_view name) {
  const std::size_t at = lower_head.find("\r\n" + std::string(name) + ":");
  if (at == std::string::npos) return {};
  const std::size_t value = lower_head.find_first_not_of(' ', at + name.size() + 3);
  return lower_head.substr(value, lower_head.find("\r\n", value) - value);
}

}  // namespace

void AnswerReader::reset() {
  state_ = State::head;
  status_ = 0;
  chunked_ = closes_ = until_close_ = last_chunk_ = false;
  left_ = 0;
  line_.clear();
  head_.clear();
  body_start_.clear();
  tail_.clear();
}

bool AnswerReader::read_head() {
  if (head_.size() < 12 || !head_.starts_with("HTTP/1.")) return false;
  std::from_chars(head_.data() + 9, head_.data() + 12, status_);
  std::transform(head_.begin(), head_.end(), head_.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  closes_ = field(head_, "connection") == "close";
  chunked_ = field(head_, "transfer-encoding") == "chunked";
  const std::string length = field(head_, "content-length");
  if (!length.empty()) std::from_chars(length.data(), length.data() + length.size(), left_);
  until_close_ = !chunked_ && length.empty();
  return status_ >= 200;
}

std::string_view AnswerReader::take_data(std::string_view& bytes) {
  if (chunked_) return take_chunked(bytes);
  const std::size_t size =
      until_close_ ? bytes.size() : std::min<std::uint64_t>(left_, bytes.size());
  const std::string_view data = bytes.substr(0, size);
  bytes = {};
  if (!until_close_ && (left_ -= size) == 0) state_ = State::done;
  return data;
}

std::string_view AnswerReader::take_chunked(std::string_view& bytes) {
  constexpr std::uint64_t kLineEnd = 2;
  if (left_ == 0) {
    read_size_line(bytes);
    return {};
  }
  const std::size_t size = std::min<std::uint64_t>(left_, bytes.size());
  const std::uint64_t of_data = left_ > kLineEnd ? left_ - kLineEnd : 0;
  const std::string_view data = bytes.substr(0, std::min<std::uint64_t>(of_data, size));
  bytes.remove_prefix(size);
  left_ -= size;
  if (left_ == 0 && last_chunk_) state_ = State::done;
  return data;
}

void AnswerReader::read_size_line(std::string_view& bytes) {
  const std::size_t end = bytes.find('\n');
  line_.append(bytes.substr(0, end));
  if (end == std::string_view::npos) {
    bytes = {};
    if (line_.size() >= 64) state_ = State::bad;
    return;
  }
  bytes.remove_prefix(end + 1);
  std::uint64_t size = 0;
  const auto [stop, error] = std::from_chars(line_.data(), line_.data() + line_.size(), size, 16);
  if (error != std::errc{} || (*stop != '\r' && *stop != ';')) {
    state_ = State::bad;
    return;
  }
  line_.clear();
  last_chunk_ = size == 0;
  left_ = size + 2;
}

bool AnswerReader::parse_stamp(std::string_view text, std::int64_t& sent_ns,
                               std::uint64_t& number) {
  const char* const start = text.data();
  const auto time = std::from_chars(start + 1, start + 21, sent_ns);
  const auto count = std::from_chars(start + 22, start + 30, number);
  return time.ptr == start + 21 && text[21] == '#' && count.ptr == start + 30;
}

}  // namespace sluice::load
