// When people are told that a channel is down, and that it is up again.
#include "channel_watch.hpp"

#include <gtest/gtest.h>

#include <optional>

#include "notice_text.hpp"
#include "sluice/state/catalog_builder.hpp"

namespace sluice::reconcile {
namespace {

using state::BreakerPhase;
using state::Fault;
using state::HealthKind;

constexpr std::uint32_t kKeyed = 7;  // a channel with the keys 70 and 71
constexpr std::uint32_t kFree = 3;   // one that needs none
constexpr std::uint32_t kOff = 4;    // one that is switched off

class ChannelWatchTest : public testing::Test {
 protected:
  ChannelWatchTest() : board_(64) {
    std::string message;
    auto opened = ledger::Ledger::open(":memory:", ledger::Access::read_write, clock_, message);
    EXPECT_TRUE(opened) << message;
    ledger_ = std::move(*opened);
    state::CatalogSpec spec;
    spec.generation = 1;
    for (const std::uint32_t id : {kKeyed, kFree, kOff}) {
      state::ChannelSpec channel;
      channel.id = id;
      channel.name = "channel-" + std::to_string(id);
      channel.host = "api.example.com";
      channel.auth = id == kKeyed ? state::Auth::bearer : state::Auth::none;
      if (id == kKeyed) channel.keys = {{70, true, "a"}, {71, true, "b"}, {72, false, "c"}};
      if (id == kOff) channel.flags = 0;
      spec.channels.push_back(channel);
    }
    spec.zones = {state::utc_zone(1'700'000'000, 400)};
    const auto bytes = state::build_catalog(spec, message);
    EXPECT_TRUE(bytes) << message;
    bytes_ = *bytes;
    catalog_ = *state::Catalog::view(bytes_);
    notices_.emplace(*ledger_, clock_, 0);
    begin();
    for (const std::uint32_t id : {kKeyed, kFree, kOff}) set_up(HealthKind::channel, id);
  }
  /// As after a restart of the process: what it knew is gone.
  void begin() { watch_.emplace(*notices_, *ledger_, clock_, board_); }

  void set(HealthKind kind, std::uint32_t id, const state::BreakerWord& word) {
    state::health_of(board_, kind, id)->breaker = state::pack(word);
  }
  void set_down(HealthKind kind, std::uint32_t id, Fault cause,
                BreakerPhase phase = BreakerPhase::open) {
    set(kind, id, {.phase = phase, .cause = static_cast<std::uint8_t>(cause)});
  }
  void set_up(HealthKind kind, std::uint32_t id) {
    set(kind, id, {});
    state::health_of(board_, kind, id)->successes = 1;
  }
  /// What is told in so many seconds, one look a second: "type channel why; …".
  std::string told(int seconds) {
    std::string out;
    for (int i = 0; i < seconds; ++i) {
      clock_.advance(kSecond);
      const auto raised = watch_->step(*catalog_);
      EXPECT_TRUE(raised) << ledger_->last_error();
      const auto waiting = *ledger_->notices().waiting(100);
      EXPECT_EQ(*raised, !waiting.empty());
      for (const ledger::Notice& notice : waiting) {
        out += std::string(notice_type(notice.kind)) + " " + std::to_string(notice.subject_id);
        const std::size_t why = notice.body.find("\"why\":\"");
        if (why != std::string::npos) {
          const std::size_t from = why + 7;
          out += " " + notice.body.substr(from, notice.body.find('"', from) - from);
        }
        out += "; ";
        EXPECT_TRUE(ledger_->notices().set_delivery(notice.id, ledger::NoticeDelivery::done));
      }
    }
    return out;
  }

  ManualClock clock_;
  std::unique_ptr<ledger::Ledger> ledger_;
  std::vector<state::HealthEntry> board_;
  std::vector<std::byte> bytes_;
  std::shared_ptr<const state::Catalog> catalog_;
  std::optional<NoticeWatch> notices_;
  std::optional<ChannelWatch> watch_;
};

TEST_F(ChannelWatchTest, TellsOnceThatAChannelStaysDownAndOnceThatItIsUp) {
  EXPECT_EQ(told(20), "");
  set_down(HealthKind::channel, kFree, Fault::overloaded);
  EXPECT_EQ(told(5), "") << "it may be back at once";
  set_down(HealthKind::channel, kFree, Fault::broke, BreakerPhase::probing);
  EXPECT_EQ(told(2), "channel.down 3 broke; ") << "a probe is no success";
  EXPECT_EQ(told(600), "");
  set_up(HealthKind::channel, kFree);
  EXPECT_EQ(told(5), "");
  EXPECT_EQ(told(2), "channel.up 3; ");
  EXPECT_EQ(told(600), "");
}

TEST_F(ChannelWatchTest, WhatPassesIsNotTold) {
  for (int i = 0; i < 20; ++i) {
    set_down(HealthKind::channel, kFree, Fault::broke);
    EXPECT_EQ(told(4), "");
    set_up(HealthKind::channel, kFree);
    EXPECT_EQ(told(1), "");
  }
}

TEST_F(ChannelWatchTest, FlappingDoesNotFlood) {
  std::string all;
  for (int i = 0; i < 300; ++i) {  // an hour
    set_down(HealthKind::channel, kFree, Fault::broke);
    all += told(6);
    set_up(HealthKind::channel, kFree);
    all += told(6);
  }
  const auto count = [&](std::string_view what) {
    int n = 0;
    for (std::size_t at = 0; (at = all.find(what, at)) != std::string::npos; ++at) ++n;
    return n;
  };
  EXPECT_LE(count("channel.down"), 12);
  EXPECT_GE(count("channel.down"), 11);
  EXPECT_EQ(count("channel.up"), count("channel.down"));
  set_down(HealthKind::channel, kFree, Fault::broke);
  EXPECT_EQ(told(301), "channel.down 3 broke; ") << "what lasts is told after the pause";
}

TEST_F(ChannelWatchTest, AChannelWhoseKeysAreAllRefusedIsDown) {
  set_down(HealthKind::provider_key, 70, Fault::rate);
  EXPECT_EQ(told(10), "") << "the other key serves";
  set_down(HealthKind::provider_key, 71, Fault::no_money);
  EXPECT_EQ(told(10), "channel.down 7 no_money; ");
  set_up(HealthKind::provider_key, 70);
  EXPECT_EQ(told(10), "channel.up 7; ");
}

TEST_F(ChannelWatchTest, ARestartTellsNothingTwice) {
  set_down(HealthKind::channel, kFree, Fault::broke);
  EXPECT_EQ(told(10), "channel.down 3 broke; ");
  begin();
  EXPECT_EQ(told(600), "");
  set_up(HealthKind::channel, kFree);
  begin();
  EXPECT_EQ(told(10), "channel.up 3; ");
  begin();
  EXPECT_EQ(told(600), "");
}

TEST_F(ChannelWatchTest, ABoardThatRemembersNothingSaysNothing) {
  set_down(HealthKind::channel, kFree, Fault::broke);
  EXPECT_EQ(told(10), "channel.down 3 broke; ");
  state::health_of(board_, HealthKind::channel, kFree)->successes = 0;
  set(HealthKind::channel, kFree, {});
  begin();
  EXPECT_EQ(told(600), "");
  state::health_of(board_, HealthKind::channel, kFree)->probes = 1;
  EXPECT_EQ(told(10), "channel.up 3; ");
}

TEST_F(ChannelWatchTest, OfWhatIsSwitchedOffNothingIsTold) {
  set_down(HealthKind::channel, kOff, Fault::broke);
  EXPECT_EQ(told(600), "");
}

}  // namespace
}  // namespace sluice::reconcile
