// Request heads from clients: an incremental, strict parser and the view it gives.
//
// Strict means llhttp without one of its lenient flags, and on top of it: exactly one space between
// the parts of the request line, HTTP/1.0 or 1.1, a target that begins with "/" and has no "#",
// exactly one valid Host, no CONNECT or TRACE, no field whose name is a known one with "_" for "-",
// no framing field named by Connection, Transfer-Encoding exactly "chunked" and once and never with
// HTTP/1.0, no body on GET or HEAD, singletons once, no folded lines, names of at most 128 bytes,
// at most one empty line in front.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "sluice/http/head_parser.hpp"

namespace sluice::http {

enum class Method : std::uint8_t { get, head, post, put, patch, del, options };

/// The method's name on the wire, upper case.
[[nodiscard]] std::string_view to_string(Method method);

class RequestParser;

/// A complete request head: light views over the parser's table and the bytes that were parsed.
/// Valid as long as both the parser (not reset) and the bytes are.
class RequestHead {
 public:
  [[nodiscard]] Method method() const;
  /// Target as sent: path, and query behind "?".
  [[nodiscard]] std::string_view target() const;
  [[nodiscard]] std::string_view path() const;
  /// Behind the first "?"; empty when there is none.
  [[nodiscard]] std::string_view query() const;
  /// 0 or 1.
  [[nodiscard]] int version_minor() const;
  [[nodiscard]] Framing framing() const;  ///< none, length or chunked
  /// Decoded Content-Length; 0 without one.
  [[nodiscard]] std::uint64_t content_length() const;
  /// The client waits for "100 Continue" before its body (RFC 9110 §10.1.1). Never with HTTP/1.0.
  [[nodiscard]] bool expects_continue() const;
  /// Whether the connection may carry another request after this one, as far as the client says.
  [[nodiscard]] bool keep_alive() const;

  [[nodiscard]] std::size_t field_count() const { return fields_->count(); }
  [[nodiscard]] FieldView field(std::size_t index) const { return fields_->at(base_, index); }
  [[nodiscard]] bool has(Field field) const { return fields_->has(field); }
  /// Value of the first field of that name; empty (null data) when absent. anthropic-beta, accept,
  /// accept-encoding, connection, te, x-forwarded-for may come more than once: walk field().
  [[nodiscard]] std::string_view value(Field field) const { return fields_->value(base_, field); }
  /// Whether Connection names this field, so that it must not be forwarded.
  [[nodiscard]] bool connection_names(std::string_view name) const {
    return fields_->connection_names(base_, name);
  }

 private:
  friend class RequestParser;
  RequestHead(const RequestParser& parser, const FieldTable& fields, const char* base)
      : parser_(&parser), fields_(&fields), base_(base) {}

  const RequestParser* parser_;
  const FieldTable* fields_;
  const char* base_;
};

/// Parses one request head. Owner: whoever reads the connection; no thread affinity; trivially
/// copyable (1.2 KB). Life: default constructed or reset() → parse() until complete or an error →
/// head() → reset() for the next.
class RequestParser : public HeadParser {
 public:
  RequestParser() { reset(); }

  void reset();

  /// `bytes` begins at the head's first byte and holds everything received since, in one piece:
  /// what an earlier call has seen is not looked at again, and the bytes may have moved in between.
  /// Does not allocate. Returns complete (head_bytes() says where the body begins) or need_more.
  /// Errors, all with Source::client:
  ///   bad_syntax, bad_framing, bad_value → 400
  ///   too_large (announced length above limits.body_bytes) → 413
  ///   target_too_long → 414
  ///   expectation_failed → 417
  ///   head_too_large → 431
  ///   unsupported → 501 (method, transfer coding); 505 with sys_errno EPROTONOSUPPORT (version)
  /// The verdict does not depend on how the bytes were cut. After an error, which sticks: answer
  /// status_of(error), close. Not to be called again after complete.
  Result<HeadStatus> parse(std::span<const char> bytes, const Limits& limits);

  /// The parsed head; `bytes` is where it lies now. Only after parse() returned complete.
  [[nodiscard]] RequestHead head(std::span<const char> bytes) const;

 private:
  friend class RequestHead;
  Result<HeadStatus> read(std::span<const char> bytes, const Limits& limits);
  Result<> check_request_line(const char* base);
  Result<> check_target(const char* base);
  Result<> check_body(const char* base, const Limits& limits);

  Method method_;
  std::uint16_t path_bytes_;
  bool expects_continue_;
};

}  // namespace sluice::http
