// Response heads from upstreams: as strict as requests, since a provider is not to be trusted
// either.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "sluice/http/head_parser.hpp"
#include "sluice/http/request.hpp"

namespace sluice::http {

class ResponseParser;

/// A complete final response head: light views, valid as long as the parser (not reset) and the
/// bytes are.
class ResponseHead {
 public:
  /// 200 to 599.
  [[nodiscard]] int status() const;
  [[nodiscard]] int version_minor() const;
  [[nodiscard]] Framing framing() const;
  [[nodiscard]] std::uint64_t content_length() const;
  /// Whether the connection may be pooled once the body is complete and nothing lies behind it.
  [[nodiscard]] bool keep_alive() const;

  [[nodiscard]] std::size_t field_count() const { return fields_->count(); }
  [[nodiscard]] FieldView field(std::size_t index) const { return fields_->at(base_, index); }
  [[nodiscard]] bool has(Field field) const { return fields_->has(field); }
  [[nodiscard]] std::string_view value(Field field) const { return fields_->value(base_, field); }
  [[nodiscard]] bool connection_names(std::string_view name) const {
    return fields_->connection_names(base_, name);
  }

 private:
  friend class ResponseParser;
  ResponseHead(const ResponseParser& parser, const FieldTable& fields, const char* base)
      : parser_(&parser), fields_(&fields), base_(base) {}

  const ResponseParser* parser_;
  const FieldTable* fields_;
  const char* base_;
};

/// Parses one response head and skips the interim (1xx) ones before it, at most 8; 101 is refused,
/// since nothing here asks for an upgrade. Same life and same contract on bytes as RequestParser.
class ResponseParser : public HeadParser {
 public:
  ResponseParser() { reset(Method::post); }

  /// `request_method`: the method this answers; a response to HEAD has no body.
  void reset(Method request_method);

  /// As RequestParser::parse. `bytes` begins at the first byte behind the previous message and
  /// keeps interim heads. Use Limits::upstream(). Every error has Source::upstream: the connection
  /// is closed, never pooled.
  Result<HeadStatus> parse(std::span<const char> bytes, const Limits& limits);

  /// The final head; `bytes` is where everything given to parse() lies now. Only after complete.
  [[nodiscard]] ResponseHead head(std::span<const char> bytes) const;

  /// Interim heads skipped so far.
  [[nodiscard]] int interim_count() const { return interim_count_; }
  /// A "100 Continue" was among them: the body may be sent.
  [[nodiscard]] bool saw_continue() const { return saw_continue_; }

 private:
  friend class ResponseHead;
  Result<HeadStatus> read(std::span<const char> bytes, const Limits& limits);
  Result<> check_status_line(const char* base);
  void decide_framing();

  Method request_method_;
  Framing framing_;
  std::uint16_t status_;
  std::uint8_t interim_count_;
  bool saw_continue_;
};

}  // namespace sluice::http
