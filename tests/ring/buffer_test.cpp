#include "sluice/ring/buffer.hpp"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "scripted_ring.hpp"

namespace sluice::ring {
namespace {

using testing::ScriptedRing;

Completion filled(std::uint16_t buffer, std::int32_t bytes, bool buffer_more) {
  return {.user_data = 0,
          .result = bytes,
          .more = true,
          .has_buffer = true,
          .buffer_more = buffer_more,
          .buffer = buffer};
}

struct Waiter {
  int called = 0;
  int pressed = 0;
  BufferUser receive{[](void* context) { ++static_cast<Waiter*>(context)->called; },
                     [](void* context) { ++static_cast<Waiter*>(context)->pressed; }, this};
};

// A ring that notes what is given back to it.
class Buffers final : public RingPort {
 public:
  explicit Buffers(std::size_t count) : count_(count), memory_(count * kBytes) {}
  static constexpr std::size_t kBytes = 100;
  void prepare(const Submission&) override {}
  void keep(int) override {}
  void forget(int) override {}
  std::size_t enter(std::span<Completion>, TimeNs) override { return 0; }
  [[nodiscard]] bool has_events() const override { return false; }
  [[nodiscard]] std::size_t buffer_count() const override { return count_; }
  [[nodiscard]] std::size_t buffer_bytes() const override { return kBytes; }
  [[nodiscard]] char* buffer_data(std::uint16_t buffer) override {
    return &memory_[buffer * kBytes];
  }
  void provide(std::uint16_t buffer) override { provided.push_back(buffer); }
  std::vector<std::uint16_t> provided;

 private:
  std::size_t count_;
  std::vector<char> memory_;
};

TEST(BufferPool, AWholeBufferGoesBackWithItsPiece) {
  Buffers ring(8);
  BufferPool pool(ring);
  {
    const Piece piece = pool.take(filled(3, 10, false));
    EXPECT_TRUE(piece.in_pool());
    EXPECT_EQ(piece.data(), ring.buffer_data(3));
    EXPECT_EQ(piece.size(), 10U);
    EXPECT_EQ(pool.available(), 7U);
    EXPECT_TRUE(ring.provided.empty());
  }
  EXPECT_EQ(pool.available(), 8U);
  EXPECT_EQ(ring.provided, std::vector<std::uint16_t>{3});
}

TEST(BufferPool, IncrementalReceivesFollowOneAnotherInABuffer) {
  Buffers ring(8);
  BufferPool pool(ring);
  Piece first = pool.take(filled(0, 30, true));
  Piece second = pool.take(filled(0, 50, true));
  EXPECT_EQ(second.data(), ring.buffer_data(0) + 30);
  EXPECT_EQ(pool.available(), 8U);  // the ring still uses it
  first.reset();
  second.reset();
  EXPECT_TRUE(ring.provided.empty());  // and so it is not given a second time
  Piece third = pool.take(filled(0, 20, false));
  EXPECT_EQ(third.data(), ring.buffer_data(0) + 80);
  EXPECT_EQ(pool.available(), 7U);
  third.reset();
  EXPECT_EQ(ring.provided, std::vector<std::uint16_t>{0});
  // After that the buffer starts at its front again.
  EXPECT_EQ(pool.take(filled(0, 5, true)).data(), ring.buffer_data(0));
}

TEST(BufferPool, ABufferGoesBackWithItsLastPieceInAnyOrder) {
  Buffers ring(8);
  BufferPool pool(ring);
  std::vector<Piece> pieces;
  pieces.push_back(pool.take(filled(5, 40, true)));
  pieces.push_back(pool.take(filled(5, 40, true)));
  pieces.push_back(pool.take(filled(5, 20, false)));
  pieces[2].reset();
  pieces[0].reset();
  EXPECT_TRUE(ring.provided.empty());
  pieces[1].reset();
  EXPECT_EQ(ring.provided, std::vector<std::uint16_t>{5});
}

// Cutting a piece down changes what its owner sees, not what the buffer's books say.
TEST(BufferPool, ACutPieceStillCountsWhole) {
  Buffers ring(8);
  BufferPool pool(ring);
  Piece first = pool.take(filled(0, 60, true));
  first.drop_front(59);
  first.truncate(0);
  EXPECT_EQ(pool.take(filled(0, 10, true)).data(), ring.buffer_data(0) + 60);
}

TEST(BufferPool, AStarvedReceiveIsCalledWhenAnEighthIsBack) {
  Buffers ring(16);
  BufferPool pool(ring);
  std::vector<Piece> pieces;
  for (std::uint16_t i = 0; i < 16; ++i) pieces.push_back(pool.take(filled(i, 1, false)));
  EXPECT_EQ(pool.available(), 0U);
  Waiter first;
  Waiter second;
  pool.wait_for_buffers(first.receive);
  pool.wait_for_buffers(second.receive);
  pieces[0].reset();
  EXPECT_EQ(first.called, 0);
  pieces[1].reset();
  EXPECT_EQ(first.called, 1);
  EXPECT_EQ(second.called, 1);
  pieces[2].reset();
  EXPECT_EQ(first.called, 1);  // once, until it waits again
}

TEST(BufferPool, WaitingWhileBuffersAreThereCallsBackAtOnce) {
  Buffers ring(16);
  BufferPool pool(ring);
  Waiter waiter;
  pool.wait_for_buffers(waiter.receive);
  EXPECT_EQ(waiter.called, 1);
}

TEST(BufferPool, AReceiveThatStopsWaitingOrDiesIsNotCalled) {
  Buffers ring(8);
  BufferPool pool(ring);
  std::vector<Piece> pieces;
  for (std::uint16_t i = 0; i < 8; ++i) pieces.push_back(pool.take(filled(i, 1, false)));
  Waiter stops;
  Waiter stays;
  pool.wait_for_buffers(stops.receive);
  {
    Waiter dies;
    pool.wait_for_buffers(dies.receive);
    pool.wait_for_buffers(stays.receive);
  }
  stops.receive.leave();
  stops.receive.leave();
  pieces.clear();
  EXPECT_EQ(stops.called, 0);
  EXPECT_EQ(stays.called, 1);
}

// The woken one finds no buffer either and waits again from within the callback.
TEST(BufferPool, AWokenReceiveMayWaitAgain) {
  Buffers ring(8);
  BufferPool pool(ring);
  std::vector<Piece> pieces;
  for (std::uint16_t i = 0; i < 8; ++i) pieces.push_back(pool.take(filled(i, 1, false)));
  struct Greedy {
    BufferPool* pool;
    std::vector<Piece> mine;
    std::uint16_t buffer = 0;
    int called = 0;
    BufferUser receive{[](void* context) {
                         auto& self = *static_cast<Greedy*>(context);
                         ++self.called;
                         self.mine.push_back(self.pool->take(filled(self.buffer, 1, false)));
                         self.pool->wait_for_buffers(self.receive);
                       },
                       [](void*) {}, this};
  } greedy{.pool = &pool, .mine = {}};
  pool.wait_for_buffers(greedy.receive);
  pieces[0].reset();
  EXPECT_EQ(greedy.called, 1);
  greedy.buffer = 1;
  pieces[1].reset();
  EXPECT_EQ(greedy.called, 2);
  EXPECT_EQ(pool.available(), 0U);
}

// Who keeps pieces gives them up before anybody waits; it is asked once, until it keeps some again.
TEST(BufferPool, KeepersAreAskedWhenSomebodyStarves) {
  Buffers ring(8);
  BufferPool pool(ring);
  struct Keeper {
    std::vector<Piece> pieces;
    int asked = 0;
    BufferUser user{[](void*) {},
                    [](void* context) {
                      auto& self = *static_cast<Keeper*>(context);
                      ++self.asked;
                      self.pieces.clear();
                    },
                    this};
  } first;
  Keeper second;
  for (std::uint16_t i = 0; i < 8; ++i) {
    Keeper& keeper = i < 4 ? first : second;
    keeper.pieces.push_back(pool.take(filled(i, 1, false)));
    pool.note_kept(keeper.user);
  }
  Waiter starved;
  pool.wait_for_buffers(starved.receive);
  EXPECT_EQ(first.asked, 1);
  EXPECT_EQ(second.asked, 1);
  EXPECT_EQ(starved.called, 1);
  EXPECT_EQ(starved.pressed, 0);
  EXPECT_EQ(pool.available(), 8U);
  pool.wait_for_buffers(starved.receive);
  EXPECT_EQ(first.asked, 1);
}

// The ring had others in reserve: nobody copies, and who keeps some goes on at once.
TEST(BufferPool, NobodyIsAskedWhereOthersAreFree) {
  Buffers ring(8);
  BufferPool pool(ring);
  Waiter keeper;
  const Piece kept = pool.take(filled(0, 1, false));
  pool.note_kept(keeper.receive);
  pool.wait_for_buffers(keeper.receive);
  EXPECT_EQ(keeper.pressed, 0);
  EXPECT_EQ(keeper.called, 1);
  EXPECT_FALSE(keeper.receive.listed());
}

// It starves itself while it keeps pieces: it gives them up, and then it waits.
TEST(BufferPool, AKeeperMayStarve) {
  Buffers ring(8);
  BufferPool pool(ring);
  std::vector<Piece> others;
  for (std::uint16_t i = 0; i < 8; ++i) others.push_back(pool.take(filled(i, 1, false)));
  Waiter keeper;
  pool.note_kept(keeper.receive);
  pool.wait_for_buffers(keeper.receive);
  EXPECT_EQ(keeper.pressed, 1);
  EXPECT_TRUE(keeper.receive.waiting());
  others.clear();
  EXPECT_EQ(keeper.called, 1);
}

}  // namespace
}  // namespace sluice::ring
