// Random numbers behind a seam: secrets come from the kernel, tests and the simulator from a seed.
#pragma once

#include <cstdint>
#include <span>

namespace sluice {

class Rng {
 public:
  virtual ~Rng() = default;
  virtual void fill(std::span<std::uint8_t> out) = 0;
  [[nodiscard]] std::uint64_t next_u64();
};

/// getrandom(2). Fit for keys and ids. Aborts when the kernel has no entropy source.
[[nodiscard]] Rng& system_rng();

/// SplitMix64 (Steele, Lea, Flood 2014) from a seed: repeatable, not for secrets.
class SeededRng final : public Rng {
 public:
  explicit SeededRng(std::uint64_t seed) : state_(seed) {}
  void fill(std::span<std::uint8_t> out) override;

 private:
  std::uint64_t state_;
};

}  // namespace sluice
