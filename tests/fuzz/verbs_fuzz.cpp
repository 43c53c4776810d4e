// The verbs that move money, as a list of operations that the input chooses, against the reference
// that is written from the rules; the invariants I1 to I5 after each.
#include "../state/random_verbs.hpp"
#include "fuzz.hpp"

namespace sluice::state {
namespace {

constexpr std::size_t kMaxSteps = 200;

/// Numbers below n from the input's bytes, big ones from two; 0 behind its end.
struct Draw {
  const std::uint8_t** at;
  const std::uint8_t* end;
  std::uint64_t operator()(std::uint64_t n) const {
    std::uint64_t number = 0;
    for (std::uint64_t reach = 1; reach < n && *at < end; reach *= 256)
      number = number * 256 + *(*at)++;
    return number % n;
  }
};

}  // namespace
}  // namespace sluice::state

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  using namespace sluice::state;
  const std::uint8_t* at = data;
  Model model;
  MemoryStore store;
  RandomVerbs verbs(store, Model::kEpoch, Draw{&at, data + size});
  for (WalletId id = 1; id <= kWallets; ++id) {
    const Nanos overdraft = id == 2 ? 700 : 0;
    model.add_wallet(id, 20'000, overdraft);
    model.add_key(id, id);
    verbs.set_wallet(id, 20'000, overdraft);
  }
  store.tables() = model.tables();
  for (std::size_t step = 0; at < data + size && step < kMaxSteps; ++step) {
    verbs.step_once();
    fuzz::check(!testing::Test::HasFailure(), "the rules of the reference");
  }
  return 0;
}
