// Received bytes. A Piece is a part of a provided buffer that one receive filled; the buffer
// returns to the ring when its last piece is gone. Pieces are handed on, never copied, on the way
// through a relay.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/base/assert.hpp"
#include "sluice/ring/port.hpp"

namespace sluice::ring {

class BufferPool;

/// Owner of one received range of bytes. Move-only; thread of its reactor.
class Piece {
 public:
  Piece() = default;
  Piece(Piece&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)),
        block_(std::exchange(other.block_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        bytes_(std::exchange(other.bytes_, 0)),
        buffer_(other.buffer_) {}
  Piece& operator=(Piece&& other) noexcept {
    if (this == &other) return *this;
    reset();
    pool_ = std::exchange(other.pool_, nullptr);
    block_ = std::exchange(other.block_, nullptr);
    data_ = std::exchange(other.data_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
    buffer_ = other.buffer_;
    return *this;
  }
  ~Piece() { reset(); }

  /// Bytes on the heap instead of in a provided buffer (plaintext of TLS, or bytes that must wait).
  [[nodiscard]] static Piece on_heap(std::size_t bytes);

  [[nodiscard]] char* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_; }
  [[nodiscard]] bool empty() const noexcept { return bytes_ == 0; }
  [[nodiscard]] std::string_view view() const noexcept { return {data_, bytes_}; }
  [[nodiscard]] bool in_pool() const noexcept { return pool_ != nullptr; }

  /// Forgets the first `count` bytes (count ≤ size()).
  void drop_front(std::size_t count) noexcept {
    SLUICE_ASSERT(count <= bytes_);
    data_ += count;
    bytes_ -= static_cast<std::uint32_t>(count);
  }
  /// Keeps only the first `count` bytes.
  void truncate(std::size_t count) noexcept {
    SLUICE_ASSERT(count <= bytes_);
    bytes_ = static_cast<std::uint32_t>(count);
  }
  /// Gives the bytes back now.
  void reset() noexcept {
    if (pool_ != nullptr || block_ != nullptr) give_back();
  }

 private:
  friend class BufferPool;
  void give_back() noexcept;

  BufferPool* pool_ = nullptr;
  char* block_ = nullptr;  ///< heap block, when not in the pool
  char* data_ = nullptr;
  std::uint32_t bytes_ = 0;
  std::uint16_t buffer_ = 0;
};

/// One that receives: it waits for buffers, or keeps pieces while others wait. In one of a pool's
/// two lists at most.
class BufferUser {
 public:
  using Callback = void (*)(void* context);
  /// `on_buffers`: blocks are back, receive again. `on_pressure`: others starve, copy the pieces
  /// you keep to the heap.
  BufferUser(Callback on_buffers, Callback on_pressure, void* context)
      : on_buffers_(on_buffers), on_pressure_(on_pressure), context_(context) {}
  BufferUser(const BufferUser&) = delete;
  BufferUser& operator=(const BufferUser&) = delete;
  ~BufferUser() { leave(); }
  /// Leaves the list it is in.
  void leave() noexcept;
  [[nodiscard]] bool waiting() const noexcept { return list_ != nullptr && waits_; }
  /// In one of the lists.
  [[nodiscard]] bool listed() const noexcept { return list_ != nullptr; }

 private:
  friend class BufferPool;
  BufferUser** list_ = nullptr;
  BufferUser* previous_ = nullptr;
  BufferUser* next_ = nullptr;
  Callback on_buffers_;
  Callback on_pressure_;
  void* context_;
  bool waits_ = false;
};

/// Book-keeping over the ring's provided buffers. One a reactor.
class BufferPool {
 public:
  explicit BufferPool(RingPort& port);

  /// Calls `user` (not waiting) back once when an eighth of the blocks is available again; at once,
  /// if that many are there, before or after all who keep pieces were asked to copy them.
  void wait_for_buffers(BufferUser& user) noexcept;
  /// `user` keeps pieces that nobody is about to take: it is asked to copy them when a receive
  /// finds no buffer.
  void note_kept(BufferUser& user) noexcept {
    if (!user.listed()) link(user, keepers_, false);
  }

  /// The piece that a receive completion filled.
  [[nodiscard]] Piece take(const Completion& completion);

  /// Blocks that nobody holds a piece of, or that the ring fills now, out of block_count().
  [[nodiscard]] std::size_t available() const noexcept { return available_; }
  [[nodiscard]] std::size_t block_count() const noexcept { return blocks_.size(); }

 private:
  friend class Piece;
  struct Block {
    std::uint32_t filled = 0;  ///< bytes that receives have used so far
    std::uint32_t pieces = 0;  ///< pieces outstanding
    bool closed = false;       ///< the ring will not use it again until it is provided anew
  };
  void release(std::uint16_t buffer) noexcept;
  void wake_starved() noexcept;
  [[nodiscard]] bool enough() const noexcept { return available_ * 8 >= blocks_.size(); }
  static void link(BufferUser& user, BufferUser*& list, bool waits) noexcept;

  RingPort& port_;
  std::vector<Block> blocks_;
  std::size_t available_;
  BufferUser* starved_ = nullptr;
  BufferUser* keepers_ = nullptr;
};

}  // namespace sluice::ring
