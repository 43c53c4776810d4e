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

void StarvedReceive::stop_waiting() noexcept {
  if (pool_ == nullptr) return;
  if (previous_ != nullptr) {
    previous_->next_ = next_;
  } else {
    pool_->starved_ = next_;
  }
  if (next_ != nullptr) next_->previous_ = previous_;
  pool_ = nullptr;
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
  if (starved_ != nullptr && available_ * 8 >= blocks_.size()) wake_starved();
}

void BufferPool::wait_for_buffers(StarvedReceive& receive) noexcept {
  SLUICE_ASSERT(receive.pool_ == nullptr);
  receive.pool_ = this;
  receive.previous_ = nullptr;
  receive.next_ = starved_;
  if (starved_ != nullptr) starved_->previous_ = &receive;
  starved_ = &receive;
  // Every piece may have been released between the failed receive and this call.
  if (available_ * 8 >= blocks_.size()) wake_starved();
}

void BufferPool::wake_starved() noexcept {
  // A woken one may use up what there is and wait again.
  while (starved_ != nullptr && available_ * 8 >= blocks_.size()) {
    StarvedReceive& receive = *starved_;
    receive.stop_waiting();
    receive.callback_(receive.context_);
  }
}

}  // namespace sluice::ring
