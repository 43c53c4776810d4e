// One request as its head and body said it: a value that owns all its bytes, so that nothing refers
// to receive buffers once it is made.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/crypto.hpp"
#include "sluice/base/units.hpp"
#include "sluice/dialect/route.hpp"
#include "sluice/http/request.hpp"
#include "sluice/ring/frame_pool.hpp"
#include "sluice/state/records.hpp"

namespace sluice::relay {

/// 16 random bytes; written as 32 hex digits.
using RequestId = std::array<std::uint8_t, 16>;
using RequestIdText = std::array<char, 32>;
[[nodiscard]] RequestIdText to_text(const RequestId& id);

/// Bytes in memory of their own: a body, or a head that is being sent. Small ones come from the
/// frame pool.
class Body {
 public:
  Body() = default;
  explicit Body(std::size_t capacity_bytes);
  Body(Body&& other) noexcept;
  Body& operator=(Body&& other) noexcept;
  ~Body();
  /// Appends as much as fits; grows up to `limit_bytes`. False when the limit would be passed.
  [[nodiscard]] bool append(std::string_view bytes, std::size_t limit_bytes);
  [[nodiscard]] std::string_view view() const { return {bytes_, size_}; }
  /// Overwrites the first `count` bytes (count ≤ size()).
  void wipe_front(std::size_t count);
  [[nodiscard]] std::span<char> bytes() { return {bytes_, size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  void reset() { *this = Body(); }

 private:
  char* bytes_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

/// What a client says about its request that is for the record only.
struct ClientLabels {
  std::string tags;         ///< "id=…,name=value,…", at most state::kTagBytes
  std::uint16_t retry = 0;  ///< x-stainless-retry-count
  state::IdemHash idem{};   ///< of its Idempotency-Key
};

/// What the head says of the way to take.
struct RouteWish {
  std::uint64_t session = 0;  ///< hash of the session that it names, 0 = none
  std::string channel;        ///< name of the one that the client has chosen, empty = none
  std::uint16_t drill = 0;    ///< attempts that are to fail before they begin
};

/// A client's key, hashed.
struct KeyDigests : ring::Pooled {
  Digest256 newest{};            ///< under the newest pepper
  std::vector<Digest256> older;  ///< under those before it that are still in force: mostly none
};

/// What the head said, copied out of it.
struct RequestHeadFacts {
  dialect::Route route;
  http::Method method = http::Method::post;
  http::Framing framing = http::Framing::none;
  std::uint64_t content_length = 0;
  bool keep_alive = false;
  bool expects_continue = false;
  bool http_1_0 = false;
  bool secure = false;                 ///< over TLS
  bool encoded = false;                ///< the body is compressed
  bool forwards_content_type = false;  ///< `forwarded` names it
  std::unique_ptr<KeyDigests> key;     ///< until the key was looked up; none: it names none
  RequestId id{};
  std::string query;  ///< behind "?", as sent
  Body forwarded;     ///< "name: value\r\n" lines that go upstream
  RouteWish wish;
  ClientLabels labels;
  TimeNs received_ns = 0;  ///< monotonic, when the head was complete
  TimeNs received_realtime_ns = 0;
};

/// The head is its connection's, which outlives the request.
struct Request {
  RequestHeadFacts& head;
  Body body;
};

}  // namespace sluice::relay
