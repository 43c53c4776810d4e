#include "request.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "sluice/base/assert.hpp"
#include "sluice/ring/frame_pool.hpp"

namespace sluice::relay {

RequestIdText to_text(const RequestId& id) {
  constexpr char kHex[] = "0123456789abcdef";
  RequestIdText text{};
  for (std::size_t i = 0; i < id.size(); ++i) {
    text[2 * i] = kHex[id[i] >> 4U];
    text[2 * i + 1] = kHex[id[i] & 15U];
  }
  return text;
}

Body::Body(std::size_t capacity_bytes)
    : bytes_(static_cast<char*>(ring::allocate_frame(capacity_bytes))), capacity_(capacity_bytes) {}

Body::Body(Body&& other) noexcept
    : bytes_(std::exchange(other.bytes_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

Body& Body::operator=(Body&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  std::swap(size_, other.size_);
  std::swap(capacity_, other.capacity_);
  return *this;
}

Body::~Body() {
  if (bytes_ != nullptr) ring::release_frame(bytes_, capacity_);
}

void Body::wipe_front(std::size_t count) {
  SLUICE_ASSERT(count <= size_);
  if (count > 0) explicit_bzero(bytes_, count);
}

bool Body::append(std::string_view bytes, std::size_t limit_bytes) {
  if (bytes.size() > limit_bytes - size_) return false;
  if (bytes.size() > capacity_ - size_) {
    const std::size_t wanted = std::max({size_ + bytes.size(), capacity_ * 2, std::size_t{1024}});
    const std::size_t capacity = std::min(wanted, limit_bytes);
    Body larger(capacity);
    if (size_ > 0) std::memcpy(larger.bytes_, bytes_, size_);
    larger.size_ = size_;
    *this = std::move(larger);
  }
  if (!bytes.empty()) std::memcpy(bytes_ + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
  return true;
}

}  // namespace sluice::relay
