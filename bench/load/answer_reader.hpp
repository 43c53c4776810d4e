// Follows one HTTP/1.1 answer as its bytes come: status, end of the message, and the stamps that
// the stand-in puts into its chunks ("@", 20 digits of CLOCK_MONOTONIC ns, "#", 8 digits of the
// chunk's number).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::load {

class AnswerReader {
 public:
  enum class State : std::uint8_t { head, body, done, bad };

  /// Takes bytes in order. Calls `on_stamp(sent_ns, number)` for each stamp that is now complete.
  template <class OnStamp>
  State feed(std::string_view bytes, OnStamp&& on_stamp) {
    if (state_ == State::head) {
      head_.append(bytes);
      const std::size_t end = head_.find("\r\n\r\n");
      if (end == std::string::npos)
        return state_ = head_.size() > kMaxHead ? State::bad : State::head;
      body_start_ = head_.substr(end + 4);
      head_.resize(end + 2);
      if (!read_head()) return state_ = State::bad;
      state_ = !chunked_ && !until_close_ && left_ == 0 ? State::done : State::body;
      bytes = body_start_;
    }
    while (!bytes.empty() && state_ == State::body) scan_stamps(take_data(bytes), on_stamp);
    return state_;
  }

  void reset();
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] bool closes() const { return closes_; }
  /// Body bytes are ended by closing: what may look like a cut answer is a whole one.
  [[nodiscard]] bool until_close() const { return until_close_; }

 private:
  static constexpr std::size_t kMaxHead = 64 * 1024;
  static constexpr std::size_t kStampBytes = 30;

  [[nodiscard]] bool read_head();
  /// Takes the next run of the body's data off `bytes`, or some of its framing (then it is empty).
  [[nodiscard]] std::string_view take_data(std::string_view& bytes);
  [[nodiscard]] std::string_view take_chunked(std::string_view& bytes);
  void read_size_line(std::string_view& bytes);
  static bool parse_stamp(std::string_view text, std::int64_t& sent_ns, std::uint64_t& number);

  template <class OnStamp>
  void scan_stamps(std::string_view bytes, OnStamp&& on_stamp) {
    std::int64_t sent_ns = 0;
    std::uint64_t number = 0;
    if (!tail_.empty()) {
      const std::size_t missing = kStampBytes - tail_.size();
      tail_.append(bytes.substr(0, missing));
      if (tail_.size() < kStampBytes) return;
      if (parse_stamp(tail_, sent_ns, number)) on_stamp(sent_ns, number);
      tail_.clear();
    }
    for (std::size_t at = bytes.find('@'); at != std::string_view::npos;
         at = bytes.find('@', at + 1)) {
      const std::string_view text = bytes.substr(at, kStampBytes);
      if (text.size() < kStampBytes) {
        tail_ = text;
        return;
      }
      if (parse_stamp(text, sent_ns, number)) on_stamp(sent_ns, number);
    }
  }

  State state_ = State::head;
  int status_ = 0;
  bool chunked_ = false;
  bool closes_ = false;
  bool until_close_ = false;
  std::uint64_t left_ = 0;  ///< bytes of the body, or of the chunk and its line end (CR LF)
  std::string line_;        ///< size line of a chunk, as far as it has come
  bool last_chunk_ = false;
  std::string head_;
  std::string body_start_;
  std::string tail_;  ///< start of a stamp that is cut by a read or a chunk
};

}  // namespace sluice::load
