// The simulator in the suite: some hundred seeds, each seed that ever failed by its name, and each
// planted fault found.
#include <gtest/gtest.h>

#include "run.hpp"

namespace sluice::sim {
namespace {

Stage* the_stage = nullptr;

#if defined(__SANITIZE_ADDRESS__) || (defined(__has_feature) && __has_feature(address_sanitizer))
constexpr std::uint64_t kSeeds = 40;
#else
constexpr std::uint64_t kSeeds = 200;
#endif

RunResult run(std::uint64_t seed, Fault fault = Fault::none) {
  Scratch scratch;
  return run_seed(*the_stage, scratch, {seed, fault, false});
}

void expect_clean(std::uint64_t seed) {
  const RunResult result = run(seed);
  EXPECT_EQ(result.problem, "") << "tools/sim --seed " << seed << " --trace\n" << result.last_steps;
}

TEST(Simulator, SeedsAreClean) {
  for (std::uint64_t seed = 1; seed <= kSeeds && !HasFailure(); ++seed) expect_clean(seed);
}

// The same seed takes the same steps and sees the same rows.
TEST(Simulator, ASeedIsOneLife) {
  for (const std::uint64_t seed : {3U, 77U}) {
    const RunFigures first = run(seed).figures;
    const RunFigures again = run(seed).figures;
    EXPECT_EQ(first.rows, again.rows);
    EXPECT_EQ(first.steps, again.steps);
    EXPECT_EQ(first.crashes, again.crashes);
    EXPECT_EQ(first.reserves, again.reserves);
    EXPECT_EQ(first.ends.settled, again.ends.settled);
  }
}

struct Regression {
  const char* name;
  std::uint64_t seed;
};

void PrintTo(const Regression& regression, std::ostream* out) { *out << regression.name; }

class SeedThatFailed : public testing::TestWithParam<Regression> {};

TEST_P(SeedThatFailed, IsClean) { expect_clean(GetParam().seed); }

// Named by what was wrong. A change of the simulator gives seeds another meaning: the unit tests
// that came with each fix keep it fixed, these keep the neighbourhood walked.
INSTANTIATE_TEST_SUITE_P(Seeds, SeedThatFailed,
                         testing::Values(Regression{"SlotWithoutACursorHadNoGap", 20},
                                         Regression{"HeldPriceLeftTheCatalogWhenTheClockWentBack",
                                                    69},
                                         Regression{"EpochWasCompletedAndNotNamed", 436}),
                         [](const auto& each) { return each.param.name; });

class PlantedFault : public testing::TestWithParam<Fault> {};

TEST_P(PlantedFault, IsFound) {
  constexpr std::uint64_t kMost = 60;
  for (std::uint64_t seed = 1; seed <= kMost; ++seed) {
    if (!run(seed, GetParam()).problem.empty()) return;
  }
  FAIL() << to_string(GetParam()) << " was not found within " << kMost << " seeds";
}

std::vector<Fault> all_faults() {
  std::vector<Fault> out;
  for (std::size_t i = 1; i < static_cast<std::size_t>(Fault::count); ++i)
    out.push_back(static_cast<Fault>(i));
  return out;
}

INSTANTIATE_TEST_SUITE_P(Faults, PlantedFault, testing::ValuesIn(all_faults()),
                         [](const auto& each) { return to_string(each.param); });

}  // namespace
}  // namespace sluice::sim

int main(int argc, char** argv) {
  // Before anything is opened: actors are forked from what is there now.
  sluice::sim::the_stage = &sluice::sim::raise_stage();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
