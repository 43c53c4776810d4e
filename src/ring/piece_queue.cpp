#include "sluice/ring/piece_queue.hpp"

#include <array>
#include <new>
#include <utility>

#include "sluice/ring/frame_pool.hpp"

namespace sluice::ring {

struct PieceQueue::Block {
  static constexpr std::size_t kPieces = 15;
  Block* next = nullptr;
  std::array<Piece, kPieces> pieces;
};

void PieceQueue::add_block() {
  auto* const block = new (allocate_frame(sizeof(Block))) Block;
  (last_ != nullptr ? last_->next : first_) = block;
  last_ = block;
}

void PieceQueue::drop_first_block() noexcept {
  Block* const block = std::exchange(first_, first_->next);
  if (first_ == nullptr) last_ = nullptr;
  first_index_ = 0;
  block->~Block();
  release_frame(block, sizeof(Block));
}

void PieceQueue::push(Piece piece) {
  bytes_ += piece.size();
  if (count_ == 0) {
    front_ = std::move(piece);
  } else {
    const std::size_t place = (first_index_ + count_ - 1) % Block::kPieces;
    if (place == 0 || last_ == nullptr) add_block();
    last_->pieces[place] = std::move(piece);
  }
  ++count_;
}

Piece PieceQueue::pop() noexcept {
  SLUICE_ASSERT(count_ > 0);
  Piece oldest = std::move(front_);
  if (count_ > 1) {
    front_ = std::move(first_->pieces[first_index_++]);
    // The last piece of a block, or of all: an idle stream holds no block.
    if (first_index_ == Block::kPieces || count_ == 2) drop_first_block();
  }
  --count_;
  bytes_ -= oldest.size();
  return oldest;
}

const Piece& PieceQueue::operator[](std::size_t index) const noexcept {
  SLUICE_ASSERT(index < count_);
  if (index == 0) return front_;
  std::size_t place = first_index_ + index - 1;
  const Block* block = first_;
  for (; place >= Block::kPieces; place -= Block::kPieces) block = block->next;
  return block->pieces[place];
}

void PieceQueue::clear() noexcept {
  while (!empty()) static_cast<void>(pop());
}

void PieceQueue::swap(PieceQueue& other) noexcept {
  std::swap(front_, other.front_);
  std::swap(first_, other.first_);
  std::swap(last_, other.last_);
  std::swap(first_index_, other.first_index_);
  std::swap(count_, other.count_);
  std::swap(bytes_, other.bytes_);
}

}  // namespace sluice::ring
