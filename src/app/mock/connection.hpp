// One client connection of the stand-in and the exchange that it carries at the moment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "recorder.hpp"
#include "script.hpp"
#include "timer_wheel.hpp"
#include "tls_channel.hpp"

namespace sluice::mock {

enum class ListenerKind : std::uint8_t { plain, tls, control };

enum class Phase : std::uint8_t {
  reading,    ///< waits for a request
  held,       ///< answers when released
  waiting,    ///< answers when its timer fires
  streaming,  ///< sends chunks as they fall due
  stalled,    ///< says nothing more
};

/// State of the exchange in progress; meaningless while the phase is `reading`.
struct Exchange {
  Script* script = nullptr;
  Answer answer;
  Record record;
  std::int64_t counted_input = 0;
  std::int64_t stream_start_ns = 0;
  bool close = false;
};

/// Owned by the server, found by descriptor. The timer is a base so that the wheel's callback finds
/// its owner.
struct Connection : Timer {
  int fd = -1;
  std::uint32_t generation = 0;
  ListenerKind kind = ListenerKind::plain;
  Phase phase = Phase::reading;
  bool head_seen = false;  ///< part of a request has come
  bool continue_sent = false;
  bool wants_write = false;
  bool close_after_write = false;
  bool reset_at_close = false;
  std::uint64_t number = 0;
  std::uint64_t requests = 0;
  std::size_t split_bytes = 0;
  std::string in;   ///< bytes of the next request that came too early or incomplete
  std::string out;  ///< bytes that the socket did not take yet
  std::size_t out_at = 0;
  std::string body_store;  ///< body of a request in chunked coding
  Exchange exchange;
  std::optional<TlsChannel> tls;
};

}  // namespace sluice::mock
