// The simulator in the suite: some hundred seeds, each seed that ever failed by its name, and each
// planted fault found.
#include <gtest/gtest.h>

#include "run.hpp"

namespace sluice::sim {
namespace {

Stage* the_stage = nullptr;

#if defined(__SANITIZE_ADDRESS__) || (defined(__has_feature) && __has_feature(address_sanitizer))
constexpr std::uint64_t kSeeds = 40;
constexpr std::uint64_t kPlacesTried = 5;
#else
constexpr std::uint64_t kSeeds = 200;
constexpr std::uint64_t kPlacesTried = 30;
#endif

RunResult run(std::uint64_t seed, Fault fault = Fault::none) {
  Scratch scratch;
  RunOptions options;
  options.seed = seed;
  options.fault = fault;
  return run_seed(*the_stage, scratch, options);
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
                                         Regression{"EpochWasCompletedAndNotNamed", 436},
                                         Regression{"RollbackWithoutMemoryKeptTheLock", 266},
                                         Regression{"LockWithoutMemoryWasLostForEver", 473},
                                         Regression{"ConnectionStringWithoutMemoryHadNoEnd", 31},
                                         Regression{"HoldsOfTheDeadWereOpenWhenItLeftInOrder",
                                                    5293}),
                         [](const auto& each) { return each.param.name; });

class PlantedFault : public testing::TestWithParam<Fault> {};

TEST_P(PlantedFault, IsFound) {
  constexpr std::uint64_t kMost = 60;
  for (std::uint64_t seed = 1; seed <= kMost; ++seed) {
    if (!run(seed, GetParam()).problem.empty()) return;
  }
  FAIL() << to_string(GetParam()) << " was not found within " << kMost << " seeds";
}

struct Failing {
  Inject inject;
  Role role;
  std::uint64_t span;
  std::uint64_t places;  ///< fewer would mean that nothing is seen any more
};

void PrintTo(const Failing& failing, std::ostream* out) { *out << to_string(failing.inject); }

class OneThingFails : public testing::TestWithParam<Failing> {};

// All places: tools/sim --everywhere.
TEST_P(OneThingFails, Somewhere) {
  Everywhere where;
  where.inject = GetParam().inject;
  where.role = GetParam().role;
  where.span = GetParam().span;
  where.most = kPlacesTried;
  Scratch scratch;
  const RunResult result = fail_everywhere(*the_stage, scratch, where);
  EXPECT_EQ(result.problem, "") << replay(where.failed) << "\n" << result.last_steps;
  EXPECT_GE(where.places, GetParam().places);
  EXPECT_EQ(where.lives, std::min(where.places, where.most));
}

INSTANTIATE_TEST_SUITE_P(Things, OneThingFails,
                         testing::Values(Failing{Inject::death, Role::shard, 1, 40},
                                         Failing{Inject::death, Role::reconciler, 1, 100},
                                         Failing{Inject::death, Role::clerk, 1, 4},
                                         Failing{Inject::allocation, Role::shard, 1, 300},
                                         Failing{Inject::allocation, Role::shard, 1000, 300},
                                         Failing{Inject::allocation, Role::reconciler, 1, 3000},
                                         Failing{Inject::allocation, Role::reconciler, 1000, 3000},
                                         Failing{Inject::allocation, Role::clerk, 1, 300},
                                         Failing{Inject::store_call, Role::shard, 1, 300},
                                         Failing{Inject::store_call, Role::reconciler, 1, 300},
                                         Failing{Inject::commit_kept, Role::shard, 1, 20},
                                         Failing{Inject::commit_kept, Role::reconciler, 1, 20},
                                         Failing{Inject::system_call, Role::shard, 1, 20},
                                         Failing{Inject::system_call, Role::reconciler, 1, 300},
                                         Failing{Inject::system_call, Role::reconciler, 50, 300},
                                         Failing{Inject::system_call, Role::clerk, 1, 20}));

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
