#include "request.hpp"

#include <algorithm>
#include <cstring>

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
    : bytes_(new char[capacity_bytes]), capacity_(capacity_bytes) {}

bool Body::append(std::string_view bytes, std::size_t limit_bytes) {
  if (bytes.size() > limit_bytes - size_) return false;
  if (bytes.size() > capacity_ - size_) {
    const std::size_t wanted = std::max({size_ + bytes.size(), capacity_ * 2, std::size_t{1024}});
    const std::size_t capacity = std::min(wanted, limit_bytes);
    std::unique_ptr<char[]> larger(new char[capacity]);
    if (size_ > 0) std::memcpy(larger.get(), bytes_.get(), size_);
    bytes_ = std::move(larger);
    capacity_ = capacity;
  }
  if (!bytes.empty()) std::memcpy(bytes_.get() + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
  return true;
}

}  // namespace sluice::relay
