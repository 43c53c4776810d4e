#include "sluice/ring/buffer.hpp"

#include <cstdlib>
#include <new>

namespace sluice::ring {

Piece Piece::on_heap(std::size_t bytes) {
  Piece piece;
  piece.block_ = static_cast<char*>(std::malloc(bytes));
  if (piece.block_ == nullptr) throw std::bad_alloc();
  piece.data_ = piece.block_;
  piece.bytes_ = static_cast<std::uint32_t>(bytes);
  return piece;
}

void Piece::give_back() noexcept {
  if (pool_ != nullptr) pool_->release(buffer_);
  std::free(block_);
  pool_ = nullptr;
  block_ = nullptr;
  data_ = nullptr;
  bytes_ = 0;
}

void BufferUser::leave() noexcept {
  if (list_ == nullptr) return;
  (previous_ != nullptr ? previous_->next_ : *list_) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
  list_ = nullptr;
  previous_ = nullptr;
  next_ = nullptr;
}

BufferPool::BufferPool(RingPort& port)
    : port_(port), blocks_(port.buffer_count()), available_(port.buffer_count()) {}

Piece BufferPool::take(const Completion& completion) {
  SLUICE_ASSERT(completion.has_buffer && completion.buffer < blocks_.size());
  Block& block = blocks_[completion.buffer];
  const auto bytes = static_cast<std::uint32_t>(completion.result > 0 ? completion.result : 0);
  SLUICE_ASSERT(!block.closed && block.filled + bytes <= port_.buffer_bytes());
  Piece piece;
  piece.pool_ = this;
  piece.data_ = port_.buffer_data(completion.buffer) + block.filled;
  piece.bytes_ = bytes;
  piece.buffer_ = completion.buffer;
  ++block.pieces;
  block.filled += bytes;
  if (!completion.buffer_more) {
    block.closed = true;
    --available_;
  }
  return piece;
}

void BufferPool::release(std::uint16_t buffer) noexcept {
  Block& block = blocks_[buffer];
  SLUICE_ASSERT(block.pieces > 0);
  if (--block.pieces != 0 || !block.closed) return;
  block = Block{};
  ++available_;
  port_.provide(buffer);
  wake_starved();
}

void BufferPool::link(BufferUser& user, BufferUser*& list, bool waits) noexcept {
  user.list_ = &list;
  user.waits_ = waits;
  user.previous_ = nullptr;
  user.next_ = list;
  if (list != nullptr) list->previous_ = &user;
  list = &user;
}

void BufferPool::wait_for_buffers(BufferUser& user) noexcept {
  SLUICE_ASSERT(!user.waiting());
  // A byte that somebody does not take holds its whole block: a few such connections would hold
  // them all. Not where only the ring has used up what it was given at once.
  const bool starves = !enough();
  while (keepers_ != nullptr && starves) {
    BufferUser& keeper = *keepers_;
    keeper.leave();
    keeper.on_pressure_(keeper.context_);
  }
  user.leave();  // it may keep some itself
  link(user, starved_, true);
  wake_starved();
}

void BufferPool::wake_starved() noexcept {
  // A woken one may use up what there is and wait again.
  while (starved_ != nullptr && enough()) {
    BufferUser& user = *starved_;
    user.leave();
    user.on_buffers_(user.context_);
  }
}

}  // namespace sluice::ring
