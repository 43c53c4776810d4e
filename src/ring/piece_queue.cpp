#include "sluice/ring/piece_queue.hpp"

#include <utility>

namespace sluice::ring {

void PieceQueue::push(Piece piece) {
  bytes_ += piece.size();
  if (count_ < kInline) {
    inline_[count_] = std::move(piece);
  } else {
    rest_.push_back(std::move(piece));
  }
  ++count_;
}

Piece PieceQueue::pop() noexcept {
  SLUICE_ASSERT(count_ > 0);
  Piece oldest = std::move(inline_[0]);
  inline_[0] = std::move(inline_[1]);
  if (count_ > kInline) {
    inline_[1] = std::move(rest_[rest_first_++]);
    if (rest_first_ == rest_.size()) {
      // A burst is over: its memory goes back, an idle stream holds none.
      std::vector<Piece>().swap(rest_);
      rest_first_ = 0;
    }
  }
  --count_;
  bytes_ -= oldest.size();
  return oldest;
}

const Piece& PieceQueue::operator[](std::size_t index) const noexcept {
  SLUICE_ASSERT(index < count_);
  return index < kInline ? inline_[index] : rest_[rest_first_ + index - kInline];
}

void PieceQueue::clear() noexcept {
  while (!empty()) static_cast<void>(pop());
}

}  // namespace sluice::ring
