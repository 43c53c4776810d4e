// Plays received pieces through the request parser and the body decoder as an edge would, and
// writes down what it made of them.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "sluice/http/body.hpp"
#include "sluice/http/request.hpp"
#include "sluice/http/status.hpp"

namespace sluice::http {

class Session {
 public:
  explicit Session(const Limits& limits = {}) : limits_(limits) {}

  void receive(const std::string& piece) {
    std::string rest = piece;
    while (!rest.empty() && !over_) rest = in_body_ ? take_body(rest) : take_head(rest);
    if (closing_) unread_ += rest.size();
  }

  [[nodiscard]] std::string outcome() const {
    if (closing_) return log_ + "closing, " + std::to_string(unread_) + " bytes unread";
    if (over_) return log_;
    if (in_body_) return log_ + title_ + " waits for its body";
    return log_ + (head_.empty() ? "idle" : "waits for its head");
  }

  /// Nothing that comes will be looked at.
  [[nodiscard]] bool over() const { return over_; }
  [[nodiscard]] const std::string& bodies() const { return bodies_; }

 private:
  std::string take_head(const std::string& piece) {
    head_ += piece;
    // A copy of exactly the bytes that exist, at a new place each time: AddressSanitizer sees every
    // step outside, and an offset that was kept as a pointer.
    const std::unique_ptr<char[]> exact(new char[head_.size()]);
    std::memcpy(exact.get(), head_.data(), head_.size());
    const std::span<const char> bytes(exact.get(), head_.size());
    // The parser is copied as well, as from a scratch object into a connection.
    auto parser = std::make_unique<RequestParser>(parser_);
    const auto status = parser->parse(bytes, limits_);
    parser_ = *parser;
    if (!status) return refuse(status.error());
    if (*status == HeadStatus::need_more) return {};
    const RequestHead head = parser_.head(bytes);
    title_ = std::string(to_string(head.method())) + " " + std::string(head.target());
    if (head.expects_continue()) title_ += " (100-continue)";
    keep_alive_ = head.keep_alive();
    decoder_ =
        BodyDecoder(head.framing(), head.content_length(), limits_.body_bytes, Source::client);
    std::string rest = head_.substr(parser_.head_bytes());
    head_.clear();
    parser_.reset();
    in_body_ = true;
    if (decoder_.done()) finish();
    return rest;
  }

  std::string take_body(const std::string& piece) {
    std::size_t at = 0;
    while (at < piece.size()) {
      const auto step = decoder_.next(std::span<const char>(piece).subspan(at));
      if (!step) {
        log_ += title_ + "; ";
        return refuse(step.error());
      }
      bodies_.append(step->payload.data(), step->payload.size());
      at += step->consumed_bytes;
      if (step->done) {
        finish();
        break;
      }
    }
    return piece.substr(at);
  }

  void finish() {
    log_ += title_ + " " + std::to_string(decoder_.decoded_bytes()) + " bytes; ";
    in_body_ = false;
    if (!keep_alive_) over_ = closing_ = true;
  }

  std::string refuse(const Error& error) {
    log_ += "refused " + std::to_string(status_of(error));
    over_ = true;
    return {};
  }

  Limits limits_;
  RequestParser parser_;
  BodyDecoder decoder_;
  std::string head_;
  std::string title_;
  std::string log_;
  std::string bodies_;
  std::size_t unread_ = 0;
  bool in_body_ = false;
  bool keep_alive_ = true;
  bool over_ = false;
  bool closing_ = false;
};

inline std::string run_session(const std::vector<std::string>& pieces, const Limits& limits = {}) {
  Session session(limits);
  for (const std::string& piece : pieces) session.receive(piece);
  return session.outcome();
}

}  // namespace sluice::http
