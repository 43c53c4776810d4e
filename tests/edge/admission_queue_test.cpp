// The queue of new requests: rule by rule, and on a simulated shard with simulated clients, whose
// time is counted and not measured.
#include "sluice/relay/admission_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <ostream>
#include <queue>
#include <string>
#include <utility>
#include <vector>

namespace sluice::test {
namespace {

using relay::AdmissionQueue;
using relay::AdmissionRules;
using Verdict = AdmissionQueue::Verdict;

constexpr TimeNs kTurn = kMillisecond;
constexpr AdmissionQueue::TurnLoad kEasy;
constexpr AdmissionQueue::TurnLoad kFull{.completions = 512, .full = true};
constexpr AdmissionQueue::TurnLoad kLong{.completions = 100,
                                         .took_ns = 2 * relay::WorkLimit::kLongTurnNs};
constexpr AdmissionRules kRules{.most_wait_ns = 50 * kMillisecond, .starts_a_turn = 2};

/// Requests that come and are decided on in turns of a millisecond.
class Turns {
 public:
  explicit Turns(AdmissionRules rules = kRules) : queue_(rules) {}

  std::size_t come(int count) {
    for (int i = 0; i < count; ++i) {
      tickets_.emplace_back();
      queue_.enter(tickets_.back(), now_ns_);
    }
    return tickets_.size() - 1;
  }
  void turn(const AdmissionQueue::TurnLoad& load = {}) {
    now_ns_ += kTurn;
    for (auto* ticket = queue_.decide(now_ns_, load); ticket != nullptr;
         ticket = ticket->next) {
      order_.push_back(ticket);
    }
  }
  void stand_still(TimeNs for_ns) { now_ns_ += for_ns; }
  void end(int count) {
    for (int i = 0; i < count; ++i) queue_.note_ended();
  }
  [[nodiscard]] int count(Verdict verdict) const {
    return static_cast<int>(std::count_if(tickets_.begin(), tickets_.end(), [&](const auto& each) {
      return each.verdict == verdict;
    }));
  }
  [[nodiscard]] Verdict verdict(std::size_t ticket) const { return tickets_[ticket].verdict; }
  [[nodiscard]] const AdmissionQueue& queue() const { return queue_; }
  /// Those that have waited came out in the order in which they had come.
  [[nodiscard]] bool in_order() const {
    return std::is_sorted(order_.begin(), order_.end(), [](const auto* one, const auto* other) {
      return one->since_ns < other->since_ns;
    });
  }

 private:
  AdmissionQueue queue_;
  std::deque<AdmissionQueue::Ticket> tickets_;
  std::vector<AdmissionQueue::Ticket*> order_;
  TimeNs now_ns_ = kSecond;
};

TEST(AdmissionQueue, NobodyWaitsWhereThereIsRoom) {
  Turns turns;
  for (int i = 0; i < 100; ++i) {
    turns.come(2);
    EXPECT_EQ(turns.queue().waiting(), 0U);
    turns.turn();
  }
  EXPECT_EQ(turns.count(Verdict::taken), 200);
}

TEST(AdmissionQueue, BeginsSoManyATurnInTheirOrder) {
  Turns turns;
  turns.come(10);
  EXPECT_EQ(turns.count(Verdict::taken), 2);
  turns.turn();
  EXPECT_EQ(turns.count(Verdict::taken), 2) << "this turn has begun its share";
  const std::size_t late = turns.come(1);
  turns.turn();
  EXPECT_EQ(turns.count(Verdict::taken), 4);
  EXPECT_EQ(turns.verdict(late), Verdict::waits) << "behind those who wait";
  for (int i = 0; i < 4; ++i) turns.turn();
  EXPECT_EQ(turns.count(Verdict::taken), 11);
  EXPECT_TRUE(turns.in_order());
}

TEST(AdmissionQueue, ABurstIsServedWhole) {
  Turns turns;
  turns.come(90);  // 45 turns
  for (int i = 0; i < 50; ++i) turns.turn();
  EXPECT_EQ(turns.count(Verdict::taken), 90);
  EXPECT_FALSE(turns.queue().stands());
}

TEST(AdmissionQueue, NobodyWaitsLongerThanAllowed) {
  Turns turns;
  turns.come(300);
  for (int i = 0; i < 50; ++i) turns.turn();
  EXPECT_EQ(turns.count(Verdict::refused), 0);
  turns.turn();
  turns.turn();
  EXPECT_EQ(turns.count(Verdict::waits), 0);
  EXPECT_GT(turns.count(Verdict::refused), 190);
}

TEST(AdmissionQueue, NobodyIsRefusedBecauseTheMachineStoodStill) {
  Turns turns;
  turns.come(4);
  turns.stand_still(kSecond);
  turns.turn();
  turns.turn();
  EXPECT_EQ(turns.count(Verdict::taken), 4);
  EXPECT_EQ(turns.count(Verdict::refused), 0);
  EXPECT_FALSE(turns.queue().stands());
}

TEST(AdmissionQueue, WhenItStandsAsManyWaitAsWereTakenOfLate) {
  Turns turns;
  for (int i = 0; i < 200; ++i) {
    turns.come(3);
    turns.end(2);
    turns.turn();
  }
  EXPECT_TRUE(turns.queue().stands());
  EXPECT_EQ(turns.count(Verdict::taken) + static_cast<int>(turns.queue().waiting()) +
                turns.count(Verdict::refused),
            600);
  EXPECT_GE(turns.count(Verdict::taken), 400) << "each turn has somebody to begin";
  EXPECT_EQ(turns.queue().waiting(), 8U) << "room for ten that are begun in 5 ms, two have been";
  turns.come(2);
  const std::size_t last = turns.come(1);
  EXPECT_EQ(turns.verdict(last), Verdict::refused) << "at once";
}

TEST(AdmissionQueue, IsPatientAgainWhenNobodyHadToBeRefusedForAWhile) {
  Turns turns;
  for (int i = 0; i < 200; ++i) {
    turns.come(3);
    turns.turn();
  }
  for (int i = 0; i < 2100; ++i) turns.turn();
  EXPECT_FALSE(turns.queue().stands());
  const int refused = turns.count(Verdict::refused);
  turns.come(90);
  for (int i = 0; i < 50; ++i) turns.turn();
  EXPECT_EQ(turns.count(Verdict::refused), refused);
}

TEST(AdmissionQueue, BeginsNoneWhileWhatIsUnderWayIsBehind) {
  Turns turns;
  turns.come(2);
  turns.turn(kFull);
  const std::size_t waits = turns.come(1);
  turns.turn(kFull);
  EXPECT_EQ(turns.verdict(waits), Verdict::waits);
  turns.turn();
  EXPECT_EQ(turns.verdict(waits), Verdict::taken);
  const std::size_t direct = turns.come(1);
  EXPECT_EQ(turns.verdict(direct), Verdict::taken);
}

TEST(AdmissionQueue, ACrowdOfRequestsIsNotWhatIsUnderWay) {
  Turns turns;
  for (int i = 0; i < 20; ++i) {
    turns.come(300);
    turns.turn(kFull);
  }
  EXPECT_EQ(turns.count(Verdict::taken), 40);
}

TEST(AdmissionQueue, BeginsFewerThanHaveEndedWhileTurnsAreLong) {
  Turns turns({.most_wait_ns = kSecond, .starts_a_turn = 32});
  for (int i = 0; i < 30; ++i) {
    turns.come(32);
    turns.turn();
  }
  for (int i = 0; i < 30; ++i) turns.turn(kLong);
  const int before = turns.count(Verdict::taken);
  turns.come(500);
  turns.turn(kLong);
  EXPECT_LE(turns.count(Verdict::taken), before + 33) << "what the turns before have left";
  const int begun = turns.count(Verdict::taken);
  for (int i = 0; i < 100; ++i) {
    turns.end(4);
    turns.turn(kLong);
  }
  EXPECT_GT(turns.count(Verdict::taken), begun + 190);
  EXPECT_LT(turns.count(Verdict::taken), begun + 270) << "of 400 that have ended";
}

TEST(AdmissionQueue, WhileItStandsAndTurnsAreLongNoneIsBegunButNowAndThen) {
  Turns turns;
  for (int i = 0; i < 200; ++i) {
    turns.come(3);
    turns.turn();
  }
  EXPECT_TRUE(turns.queue().stands());
  for (int i = 0; i < 50; ++i) {
    turns.come(8);
    turns.turn(kLong);
  }
  const int begun = turns.count(Verdict::taken);
  for (int i = 0; i < 500; ++i) {
    turns.come(8);
    turns.turn(kLong);
  }
  EXPECT_EQ(turns.count(Verdict::taken) - begun, 10) << "one in 50 ms";
}

TEST(AdmissionQueue, ALongTurnOfNewRequestsHoldsNobodyBack) {
  Turns turns;
  for (int i = 0; i < 20; ++i) {
    turns.come(200);
    turns.turn(kLong);
  }
  EXPECT_EQ(turns.count(Verdict::taken), 40);
}

TEST(AdmissionQueue, AffordsSoManyRefusalsASecond) {
  AdmissionQueue queue({.cheap_refusals_a_second = 1'000});
  TimeNs now_ns = kSecond;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(queue.note_refusal(now_ns), 0) << "those of 5 ms at once";
  for (int i = 1; i <= 100; ++i) {
    EXPECT_EQ(queue.note_refusal(now_ns), i * kMillisecond) << "one in each ms that follows";
  }
  now_ns += kSecond;
  for (int i = 0; i < 3'000; ++i) {
    now_ns += 2 * kMillisecond;
    EXPECT_EQ(queue.note_refusal(now_ns), 0) << "half as many are";
  }
  TimeNs rest_ns = 0;
  for (int i = 0; i < 30'000; ++i) {
    now_ns += 100'000;
    const TimeNs next_ns = queue.note_refusal(now_ns);
    EXPECT_GE(next_ns, rest_ns - kMillisecond) << "ten times as many are not";
    rest_ns = next_ns;
  }
  EXPECT_EQ(rest_ns, AdmissionQueue::kLongestRestNs) << "before the second that they are told";
}

TEST(AdmissionQueue, MayAffordNoRefusal) {
  AdmissionQueue queue({.cheap_refusals_a_second = 0});
  EXPECT_EQ(queue.note_refusal(kSecond), AdmissionQueue::kLongestRestNs);
}

TEST(AdmissionQueue, MayBeOff) {
  Turns turns({.most_wait_ns = 0, .starts_a_turn = 2});
  for (int i = 0; i < 100; ++i) {
    turns.come(50);
    turns.turn(i % 2 == 0 ? kFull : kEasy);
  }
  EXPECT_EQ(turns.count(Verdict::taken), 5000);
}

// ---- a simulated shard

struct Crowd {
  const char* name;
  int rated;         ///< clients that keep the shard busy
  int clients;       ///< that come then
  bool obedient;     ///< comes back after a second; else at once
  TimeNs answer_ns;  ///< what a provider takes
  TimeNs serve_ns;   ///< of the shard's time a served request
  int pieces = 1;    ///< of an answer; the next is there in the next turn
  int most = 100'000;  ///< may be under way when there are too many
};
void PrintTo(const Crowd& crowd, std::ostream* out) { *out << crowd.name; }

constexpr TimeNs kRefuseNs = 6'000;  ///< of the shard's time
constexpr std::size_t kBatch = 512;

/// A shard that does one thing after the other, in turns, and what happens to it.
class Plant {
 public:
  Plant(const Crowd& crowd, std::uint64_t seed) : crowd_(crowd), random_(seed) {}

  /// So many clients from now on; those there are stay, or leave with their answer.
  void set_clients(int count) {
    for (int i = clients_; i < count; ++i) ask_at(now_ns_ + draw(kSecond));
    clients_ = count;
  }
  void run(TimeNs for_ns) {
    const TimeNs until_ns = now_ns_ + for_ns;
    while (now_ns_ < until_ns) turn();
  }

  std::map<TimeNs, int> served;  ///< by second
  std::vector<TimeNs> waits;     ///< of those who were served, until they were begun
  std::vector<TimeNs> refusals;  ///< from the arrival to the answer
  std::vector<TimeNs> under_way;  ///< requests, in each turn
  TimeNs last_refused_ns = 0;
  [[nodiscard]] TimeNs now_ns() const { return now_ns_; }

 private:
  struct Request {
    TimeNs sent_ns = 0;
    AdmissionQueue::Ticket ticket;
  };
  struct Event {
    TimeNs at_ns;
    std::uint64_t order;
    int answer;  ///< pieces of it; 0 = a request
    TimeNs sent_ns;
    bool operator>(const Event& other) const {
      return at_ns != other.at_ns ? at_ns > other.at_ns : order > other.order;
    }
  };

  [[nodiscard]] TimeNs part_ns() const { return crowd_.serve_ns / (crowd_.pieces + 1); }
  TimeNs draw(TimeNs most_ns) {
    random_ = random_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<TimeNs>((random_ >> 33U) % static_cast<std::uint64_t>(most_ns));
  }
  void ask_at(TimeNs at_ns) { ask_at(at_ns, at_ns); }
  void ask_at(TimeNs at_ns, TimeNs sent_ns) { events_.push({at_ns, order_++, 0, sent_ns}); }

  void begin(TimeNs sent_ns) {
    waits.push_back(now_ns_ - sent_ns);
    now_ns_ += part_ns();
    ++begun_;
    const TimeNs spread_ns = crowd_.answer_ns / 4;
    events_.push({now_ns_ + crowd_.answer_ns - spread_ns + draw(2 * spread_ns), order_++,
                  crowd_.pieces, 0});
  }
  void refuse(TimeNs sent_ns) {
    now_ns_ += kRefuseNs;
    refusals.push_back(now_ns_ - sent_ns);
    last_refused_ns = now_ns_;
    if (leaves()) return;
    if (crowd_.obedient) {
      ask_at(now_ns_ + kSecond - draw(kSecond / 4));
    } else {
      ask_at(now_ns_ + 100'000 + queue_.note_refusal(now_ns_));
    }
  }
  void sleep_until(TimeNs at_ns) {
    const TimeNs from_ns = std::exchange(now_ns_, std::max(now_ns_, at_ns));
    slept_ns_ += now_ns_ - from_ns;
  }
  void relay(int pieces) {
    now_ns_ += part_ns();
    if (pieces > 1) return events_.push({now_ns_, order_++, pieces - 1, 0});
    --begun_;
    queue_.note_ended();
    ++served[now_ns_ / kSecond];
    if (!leaves()) ask_at(now_ns_ + 100'000);
  }
  bool leaves() {
    if (alive_ <= clients_) return false;
    --alive_;
    return true;
  }

  void turn() {
    if (queue_.waiting() == 0 && !events_.empty()) sleep_until(events_.top().at_ns);
    alive_ = std::max(alive_, clients_);
    const TimeNs taken_ns = now_ns_;
    std::size_t count = 0;
    for (; count < kBatch && !events_.empty() && events_.top().at_ns <= taken_ns; ++count) {
      const Event event = events_.top();
      events_.pop();
      if (event.answer > 0) {
        relay(event.answer);
        continue;
      }
      requests_.emplace_back();
      Request& request = requests_.back();
      request.sent_ns = event.sent_ns;
      act(request, queue_.enter(request.ticket, now_ns_));
    }
    under_way.push_back(begun_);
    const TimeNs worked_ns = now_ns_ - slept_ns_;
    const TimeNs took_ns = worked_ns - std::exchange(decided_ns_, worked_ns);
    auto* ticket = queue_.decide(
        now_ns_, {.completions = count, .full = count == kBatch, .took_ns = took_ns});
    while (ticket != nullptr) {
      auto* const next = ticket->next;
      for (Request& request : requests_) {
        if (&request.ticket == ticket) act(request, ticket->verdict);
      }
      ticket = next;
    }
    while (!requests_.empty() && requests_.front().ticket.verdict != Verdict::waits) {
      requests_.pop_front();
    }
    if (count == 0 && queue_.waiting() > 0) now_ns_ += 1'000;
  }
  void act(const Request& request, Verdict verdict) {
    if (verdict == Verdict::taken) begin(request.sent_ns);
    if (verdict == Verdict::refused) refuse(request.sent_ns);
  }

  Crowd crowd_;
  std::uint64_t random_;
  AdmissionQueue queue_{AdmissionRules{}};
  std::deque<Request> requests_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t order_ = 0;
  TimeNs now_ns_ = kSecond;
  TimeNs slept_ns_ = 0;
  TimeNs decided_ns_ = 0;  ///< what it had worked by the last decision
  int clients_ = 0;
  int alive_ = 0;
  int begun_ = 0;
};

TimeNs quantile(std::vector<TimeNs> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

class Overload : public testing::TestWithParam<Crowd> {};

TEST_P(Overload, ServesAsMuchAsEverRefusesAtOnceAndRecovers) {
  const Crowd& crowd = GetParam();
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    int peak = 0;  // in a second
    for (const int share : {1, 2, 3}) {
      Plant plant(crowd, seed);
      plant.set_clients(crowd.rated * share / 2);
      plant.run(6 * kSecond);
      if (share == 1) {
        EXPECT_EQ(plant.refusals.size(), 0U);
      }
      peak = std::max(peak, std::prev(plant.served.end(), 2)->second);
    }
    Plant plant(crowd, seed);
    plant.set_clients(crowd.rated);
    plant.run(2 * kSecond);
    plant.set_clients(crowd.clients);
    plant.run(2 * kSecond);  // they find out
    plant.waits.clear();
    plant.refusals.clear();
    plant.under_way.clear();
    const TimeNs from_ns = plant.now_ns();
    plant.run(10 * kSecond);
    int least = peak;
    for (TimeNs at = from_ns / kSecond + 1; at < plant.now_ns() / kSecond; ++at) {
      least = std::min(least, plant.served[at]);
    }
    EXPECT_GE(least, peak * 9 / 10) << "in each second, seed " << seed;
    EXPECT_GT(plant.refusals.size(), 100U);
    EXPECT_LE(quantile(plant.refusals, 0.99), 5 * kMillisecond);
    EXPECT_LE(quantile(plant.waits, 0.99), std::max(20 * kMillisecond, 20 * crowd.serve_ns))
        << "in the kernel, and here";
    EXPECT_LE(quantile(plant.under_way, 0.99), crowd.most) << "or they are in no cache";
    RecordProperty("least_of_peak_percent", std::to_string(least * 100 / std::max(peak, 1)));
    plant.set_clients(crowd.rated);
    const TimeNs over_ns = plant.now_ns();
    plant.run(6 * kSecond);
    EXPECT_LE(plant.last_refused_ns - over_ns, 5 * kSecond) << "and then all are served";
  }
}

INSTANTIATE_TEST_SUITE_P(
    Crowds, Overload,
    testing::Values(Crowd{"obedient", 160, 1'600, true, 5 * kMillisecond, 40'000},
                    Crowd{"impatient", 160, 1'600, false, 5 * kMillisecond, 40'000},
                    Crowd{"quick_providers", 64, 640, false, 100'000, 40'000},
                    Crowd{"slow_providers", 900, 9'000, true, 45 * kMillisecond, 50'000},
                    Crowd{"slow_providers_impatient", 900, 9'000, false, 45 * kMillisecond,
                          50'000},
                    Crowd{"large_answers", 16, 1'600, false, 100'000, 1'500'000, 60, 30},
                    Crowd{"large_answers_slow_providers", 40, 1'600, true, 50 * kMillisecond,
                          1'500'000, 60, 80}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace sluice::test
