// Random values for money tests: the edges of a range come often, and small and large numbers
// alike.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>

#include "sluice/base/random.hpp"

namespace sluice::price {

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : rng_(seed) {}

  std::uint64_t below(std::uint64_t n) { return rng_.next_u64() % n; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  template <class T>
  T of(std::initializer_list<T> values) {
    return values.begin()[below(values.size())];
  }

  /// 0 … most: 0, 1, most − 1 and most for one in four, else a number whose length is random too.
  std::int64_t up_to(std::int64_t most) {
    switch (below(16)) {
      case 0:
        return 0;
      case 1:
        return std::min<std::int64_t>(1, most);
      case 2:
        return most;
      case 3:
        return std::max<std::int64_t>(most - 1, 0);
      default:
        return static_cast<std::int64_t>((rng_.next_u64() >> below(64)) %
                                         (static_cast<std::uint64_t>(most) + 1));
    }
  }
  std::int64_t between(std::int64_t least, std::int64_t most) {
    return least + up_to(most - least);
  }

 private:
  SeededRng rng_;
};

}  // namespace sluice::price
