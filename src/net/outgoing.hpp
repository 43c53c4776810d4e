// What a send in flight refers to. Private to the stream.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <new>
#include <span>

#include "sluice/net/stream.hpp"
#include "sluice/ring/frame_pool.hpp"

namespace sluice::net {

// Lives while a send is under way only: an idle stream holds none. Its pieces lie behind it: a
// crowd of slow readers holds as much as it has to send.
struct Stream::Outgoing {
  explicit Outgoing(std::span<const iovec> sent)
      : rest(reinterpret_cast<iovec*>(this + 1), sent.size()), capacity(sent.size()) {
    std::uninitialized_copy(sent.begin(), sent.end(), rest.begin());
  }
  static Outgoing* make(std::span<const iovec> sent) {
    return new (ring::allocate_frame(block_bytes(sent.size()))) Outgoing(sent);
  }
  static void operator delete(Outgoing* self, std::destroying_delete_t) noexcept {
    const std::size_t bytes = block_bytes(self->capacity);
    self->~Outgoing();
    ring::release_frame(self, bytes);
  }

  /// The kernel has taken `bytes` of it, at most all.
  void advance(std::size_t bytes) noexcept;
  /// Copies what is still to be sent: the pieces it came from may be given back.
  void set_aside();

  std::span<iovec> rest;  ///< what is still to be sent
  const std::size_t capacity;
  msghdr header{};
  std::size_t unacknowledged = 0;  ///< at the last look; SIZE_MAX = there was none
  ring::Piece aside;  ///< copy of what is still to be sent, when the kernel has taken only a part

 private:
  static std::size_t block_bytes(std::size_t pieces) {
    return sizeof(Outgoing) + pieces * sizeof(iovec);
  }
};

}  // namespace sluice::net
