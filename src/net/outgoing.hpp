// What a send in flight refers to. Private to the stream.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>

#include "sluice/net/stream.hpp"
#include "sluice/ring/frame_pool.hpp"

namespace sluice::net {

// Lives while a send is under way only: an idle stream holds none.
struct Stream::Outgoing : ring::Pooled {
  std::array<iovec, kSendPieces> pieces;
  std::size_t first = 0;
  std::size_t count = 0;
  msghdr header{};
  std::size_t unacknowledged = 0;  ///< at the last look; SIZE_MAX = there was none
  ring::Piece aside;  ///< copy of what is still to be sent, when the kernel has taken only a part

  /// What is still to be sent.
  [[nodiscard]] std::span<const iovec> rest() const { return {pieces.data() + first, count}; }
};

}  // namespace sluice::net
