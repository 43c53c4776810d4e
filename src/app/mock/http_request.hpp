// The stand-in's own HTTP/1.1 request reader. Deliberately simple and apart from the gateway's: it
// is a witness of what the gateway sends, so it shares no parser with it, and it refuses what it
// does not understand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::mock {

/// One complete request. The views point into the caller's bytes or, for a chunked body, into
/// `BodyStore`.
struct HttpRequest {
  std::string_view head;  ///< raw, request line to the empty line
  std::string_view method;
  std::string_view target;
  std::string_view authorization;
  std::string_view api_key;         ///< x-api-key
  std::string_view goog_api_key;    ///< x-goog-api-key
  std::string_view claude_version;  ///< anthropic-version
  std::string_view body;
  bool close = false;  ///< the client will not reuse the connection
};

struct ReadProgress {
  enum class Kind : std::uint8_t { need_more, complete, bad } kind = Kind::need_more;
  std::size_t consumed = 0;           ///< complete: bytes of the whole message
  bool head_complete = false;         ///< need_more: the head has been read, the body has not
  bool expects_continue = false;      ///< need_more: the client waits for a 100
  std::size_t body_bytes_so_far = 0;  ///< need_more: body bytes that have come
};

inline constexpr std::size_t kMaxHeadBytes = 64 * 1024;
inline constexpr std::size_t kMaxBodyBytes = 128u << 20;

/// Reads one request from the start of `bytes`. `store` receives the body when it is chunked; it
/// must live as long as `out`. Reads the head again at each call, so feed it whole buffers, not
/// single bytes.
[[nodiscard]] ReadProgress read_request(std::string_view bytes, HttpRequest& out,
                                        std::string& store);

}  // namespace sluice::mock
