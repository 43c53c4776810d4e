// A queue of pieces: usually holds one or two, so that many fit inline; grows when a peer is ahead.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "sluice/ring/buffer.hpp"

namespace sluice::ring {

class PieceQueue {
 public:
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  /// Bytes in all pieces.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

  void push(Piece piece);
  /// The oldest piece (queue not empty).
  [[nodiscard]] Piece pop() noexcept;
  [[nodiscard]] const Piece& operator[](std::size_t index) const noexcept;
  void clear() noexcept;

 private:
  static constexpr std::size_t kInline = 2;
  std::array<Piece, kInline> inline_;
  std::vector<Piece> rest_;   ///< pieces after the inline ones, from rest_first_
  std::size_t rest_first_ = 0;
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace sluice::ring
