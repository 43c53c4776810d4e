#include "sluice/base/random.hpp"

#include <sys/random.h>

#include <algorithm>
#include <cstring>

#include "sluice/base/assert.hpp"

namespace sluice {
namespace {

class SystemRng final : public Rng {
 public:
  void fill(std::span<std::uint8_t> out) override {
    while (!out.empty()) {
      const ssize_t got = getrandom(out.data(), std::min<std::size_t>(out.size(), 256), 0);
      SLUICE_ASSERT(got > 0);  // up to 256 bytes are never interrupted (getrandom(2))
      out = out.subspan(static_cast<std::size_t>(got));
    }
  }
};

}  // namespace

std::uint64_t Rng::next_u64() {
  std::uint8_t bytes[8];
  fill(bytes);
  std::uint64_t value = 0;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

Rng& system_rng() {
  static SystemRng rng;
  return rng;
}

void SeededRng::fill(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9U;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebU;
    mixed ^= mixed >> 31U;
    const std::size_t count = std::min(out.size(), sizeof mixed);
    std::memcpy(out.data(), &mixed, count);
    out = out.subspan(count);
  }
}

}  // namespace sluice
