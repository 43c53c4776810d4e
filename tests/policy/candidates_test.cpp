#include "sluice/policy/candidates.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "sluice/state/catalog_builder.hpp"

namespace sluice::policy {
namespace {

constexpr TimeNs kNow = 1000 * kSecond;

struct Way {
  std::uint32_t channel;
  std::uint16_t priority = 0;
  std::uint16_t weight = 1;
};

/// A model "m" on channels with two keys each, and a health board of their own.
class World {
 public:
  explicit World(const std::vector<Way>& ways, std::uint32_t enabled_below = 100) {
    state::CatalogSpec spec;
    spec.generation = 1;
    spec.zones = {state::utc_zone(0, 30)};
    state::ModelSpec model{.id = 1, .name = "m"};
    for (const Way& way : ways) {
      state::ChannelSpec channel;
      channel.id = way.channel;
      channel.name = "c" + std::to_string(way.channel);
      channel.host = "127.0.0.1";
      channel.flags = way.channel < enabled_below ? state::kChannelEnabled : 0U;
      channel.keys = {{way.channel * 10, true, "a"}, {way.channel * 10 + 1, true, "b"}};
      spec.channels.push_back(channel);
      model.candidates.push_back({way.channel, way.priority, way.weight, "", 0});
    }
    spec.models = {model};
    std::string message;
    bytes_ = *state::build_catalog(spec, message);
    catalog_ = *state::Catalog::view(bytes_);
    entries_ = std::vector<state::HealthEntry>(64);
    for (const auto& channel : catalog_->channels()) {
      channels_.push_back(health_of(entries_, state::HealthKind::channel, channel.id));
      for (const auto& key : catalog_->keys(channel))
        keys_.push_back(health_of(entries_, state::HealthKind::provider_key, key.id));
    }
  }

  [[nodiscard]] ChoiceInput input(std::uint64_t random = 1, std::uint64_t session = 0) const {
    return {.catalog = *catalog_,
            .health = {channels_, keys_},
            .opened_keys = {},
            .session = session,
            .random = random,
            .now_ns = kNow};
  }
  [[nodiscard]] CandidateList choose(const ChoiceInput& input) const {
    return choose_candidates(input, catalog_->models()[0], dialect::Format::openai);
  }
  [[nodiscard]] std::vector<std::uint32_t> order(const ChoiceInput& input) const {
    const CandidateList list = choose(input);
    std::vector<std::uint32_t> ids;
    for (std::size_t i = 0; i < list.count; ++i)
      ids.push_back(catalog_->channel(*list.entries[i]).id);
    return ids;
  }
  [[nodiscard]] const state::ChannelEntry& channel(std::uint32_t id) const {
    return *catalog_->find_channel_id(id);
  }
  [[nodiscard]] std::uint32_t key_of(const ChoiceInput& input, std::uint32_t channel_id) const {
    const auto& entry = channel(channel_id);
    const auto key = choose_key(input, entry, 0, false);
    return key ? catalog_->keys(entry)[*key].id : 0;
  }
  state::HealthEntry* health(state::HealthKind kind, std::uint32_t id) {
    return health_of(entries_, kind, id);
  }
  void eject(std::uint32_t id, TimeNs rest_ns = 10 * kSecond) {
    note_fault(health(state::HealthKind::channel, id), Fault::overloaded, kNow, rest_ns);
  }
  void cool(std::uint32_t key) {
    note_fault(health(state::HealthKind::provider_key, key), Fault::key_bad, kNow);
  }

 private:
  std::vector<std::byte> bytes_;
  std::shared_ptr<const state::Catalog> catalog_;
  std::vector<state::HealthEntry> entries_;
  std::vector<state::HealthEntry*> channels_;
  std::vector<state::HealthEntry*> keys_;
};

TEST(Choice, ASmallerPriorityIsAlwaysTriedFirst) {
  const World world({{1, 10}, {2, 5}, {3, 10, 1000}});
  for (std::uint64_t random = 0; random < 200; ++random) {
    const auto order = world.order(world.input(random));
    ASSERT_EQ(order.size(), 3U);
    EXPECT_EQ(order[0], 2U);
  }
  EXPECT_EQ(world.choose(world.input()).reason, RouteReason::priority);
}

TEST(Choice, EqualsShareByTheirWeights) {
  const World world({{1, 0, 1}, {2, 0, 2}, {3, 0, 5}});
  std::map<std::uint32_t, int> first;
  constexpr int kDraws = 40'000;
  for (int i = 0; i < kDraws; ++i) ++first[world.order(world.input(static_cast<unsigned>(i)))[0]];
  EXPECT_NEAR(first[1], kDraws / 8, kDraws / 80);
  EXPECT_NEAR(first[2], kDraws / 4, kDraws / 80);
  EXPECT_NEAR(first[3], kDraws * 5 / 8, kDraws / 80);
  EXPECT_EQ(world.choose(world.input()).reason, RouteReason::weight);
}

TEST(Choice, OneOfAMillionSharesAWeightOfOneInAThousand) {
  const World world({{1, 0, 1}, {2, 0, 999}});
  int first = 0;
  for (std::uint64_t random = 0; random < 100'000; ++random)
    first += world.order(world.input(random))[0] == 1 ? 1 : 0;
  EXPECT_NEAR(first, 100, 50);
}

TEST(Choice, ASessionStaysWhereItIs) {
  const World world({{1, 0, 1}, {2, 0, 2}, {3, 0, 5}});
  std::set<std::uint32_t> used;
  for (std::uint64_t session = 1; session < 100; ++session) {
    const auto order = world.order(world.input(0, session));
    const auto key = world.key_of(world.input(0, session), order[0]);
    for (std::uint64_t random = 0; random < 50; ++random) {
      const auto input = world.input(random, session);
      EXPECT_EQ(world.order(input), order);
      EXPECT_EQ(world.key_of(input, order[0]), key);
    }
    used.insert(key);
  }
  EXPECT_EQ(used.size(), 6U) << "all keys of all channels have sessions";
  EXPECT_EQ(world.choose(world.input(0, 7)).reason, RouteReason::session);
}

TEST(Choice, WhereAChannelGoesOnlyItsSessionsMove) {
  World world({{1}, {2}, {3}});
  std::map<std::uint64_t, std::vector<std::uint32_t>> orders;
  for (std::uint64_t session = 1; session <= 300; ++session)
    orders[session] = world.order(world.input(0, session));
  world.eject(2);
  for (const auto& [session, order] : orders) {
    const auto now = world.order(world.input(0, session));
    EXPECT_EQ(now[0], order[0] == 2 ? order[1] : order[0]);
  }
}

TEST(Choice, WhatIsLeftAloneIsPassedOver) {
  World world({{1, 0}, {2, 1}});
  world.eject(1);
  EXPECT_EQ(world.order(world.input()), std::vector<std::uint32_t>{2});
  EXPECT_EQ(world.choose(world.input()).reason, RouteReason::passed_over);
}

TEST(Choice, TheLastWayIsNeverTaken) {
  World world({{1, 0}, {2, 1}});
  world.eject(1, 20 * kSecond);
  world.eject(2, 10 * kSecond);
  EXPECT_EQ(world.order(world.input()), (std::vector<std::uint32_t>{2, 1}));
  EXPECT_EQ(world.choose(world.input()).reason, RouteReason::last_way);
}

TEST(Choice, AChannelWhoseKeysAllCoolIsLeftAlone) {
  World world({{1, 0}, {2, 1}});
  world.cool(10);
  EXPECT_EQ(world.order(world.input())[0], 1U);
  world.cool(11);
  EXPECT_EQ(world.order(world.input()), std::vector<std::uint32_t>{2});
}

TEST(Choice, DisabledChannelsAndOtherFormatsAreNoCandidates) {
  const World world({{1}, {2}}, 2);
  EXPECT_EQ(world.order(world.input()), std::vector<std::uint32_t>{1});
  EXPECT_EQ(world.choose(world.input()).reason, RouteReason::only);
  const World none({{1}}, 1);
  EXPECT_EQ(none.choose(none.input()).count, 0U);
}

TEST(Choice, APinLeavesOneEvenIfItIsLeftAlone) {
  World world({{1, 0}, {2, 1}, {3, 1}});
  auto input = world.input();
  input.pinned_channel = 3;
  EXPECT_EQ(world.order(input), std::vector<std::uint32_t>{3});
  EXPECT_EQ(world.choose(input).reason, RouteReason::pinned);
  world.eject(3);
  EXPECT_EQ(world.order(input), std::vector<std::uint32_t>{3});
  input.pinned_channel = 9;
  EXPECT_EQ(world.choose(input).count, 0U);
}

TEST(Choice, OfManyTheBestEightRemain) {
  std::vector<Way> ways;
  for (std::uint32_t id = 1; id <= 30; ++id)
    ways.push_back({id, static_cast<std::uint16_t>(30 - id)});
  const World world(ways);
  EXPECT_EQ(world.order(world.input()),
            (std::vector<std::uint32_t>{30, 29, 28, 27, 26, 25, 24, 23}));
}

TEST(KeyChoice, KeysShareAndOneThatCoolsIsLeftAlone) {
  World world({{1}});
  std::map<std::uint32_t, int> used;
  for (std::uint64_t random = 0; random < 1000; ++random)
    ++used[world.key_of(world.input(random), 1)];
  EXPECT_NEAR(used[10], 500, 80);
  EXPECT_NEAR(used[11], 500, 80);
  world.cool(10);
  for (std::uint64_t random = 0; random < 100; ++random)
    EXPECT_EQ(world.key_of(world.input(random), 1), 11U);
  world.cool(11);
  EXPECT_EQ(world.key_of(world.input(), 1), 0U);
  EXPECT_TRUE(choose_key(world.input(), world.channel(1), 0, true).has_value());
}

TEST(KeyChoice, WhatWasTriedIsNotTriedAgain) {
  const World world({{1}});
  EXPECT_EQ(*choose_key(world.input(), world.channel(1), 1, false), 1U);
  EXPECT_EQ(*choose_key(world.input(), world.channel(1), 2, false), 0U);
  EXPECT_FALSE(choose_key(world.input(), world.channel(1), 3, true).has_value());
}

TEST(KeyChoice, AKeyThatCouldNotBeOpenedIsNone) {
  const World world({{1}});
  auto input = world.input();
  const std::array<std::string_view, 2> opened{"", "secret"};
  input.opened_keys = opened;
  for (std::uint64_t random = 0; random < 20; ++random) {
    input.random = random;
    EXPECT_EQ(*choose_key(input, world.channel(1), 0, false), 1U);
  }
  const std::array<std::string_view, 2> none{};
  input.opened_keys = none;
  EXPECT_EQ(world.choose(input).count, 0U);
}

TEST(SessionHash, IsOfOneClientKey) {
  EXPECT_EQ(session_hash("a", 1), session_hash("a", 1));
  EXPECT_NE(session_hash("a", 1), session_hash("a", 2));
  EXPECT_NE(session_hash("a", 1), session_hash("b", 1));
  EXPECT_NE(session_hash("", 0), 0U);
}

}  // namespace
}  // namespace sluice::policy
