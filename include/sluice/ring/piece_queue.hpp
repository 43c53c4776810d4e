// A queue of pieces: usually holds one, which is inline; more go to blocks of the frame pool, which
// are given back as they empty.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "sluice/ring/buffer.hpp"

namespace sluice::ring {

class PieceQueue {
 public:
  PieceQueue() = default;
  PieceQueue(PieceQueue&& other) noexcept { swap(other); }
  PieceQueue& operator=(PieceQueue&& other) noexcept {
    PieceQueue moved(std::move(other));
    swap(moved);
    return *this;
  }
  ~PieceQueue() { clear(); }

  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  /// Bytes in all pieces.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

  void push(Piece piece);
  /// The oldest piece (queue not empty).
  [[nodiscard]] Piece pop() noexcept;
  [[nodiscard]] const Piece& operator[](std::size_t index) const noexcept;
  void clear() noexcept;
  void swap(PieceQueue& other) noexcept;
  friend void swap(PieceQueue& a, PieceQueue& b) noexcept { a.swap(b); }

 private:
  struct Block;
  void add_block();
  void drop_first_block() noexcept;

  Piece front_;             ///< the oldest
  Block* first_ = nullptr;  ///< those behind it
  Block* last_ = nullptr;
  std::uint32_t first_index_ = 0;  ///< of the oldest piece of the first block
  std::uint32_t count_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace sluice::ring
