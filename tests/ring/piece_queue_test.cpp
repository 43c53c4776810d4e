#include "sluice/ring/piece_queue.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <random>
#include <string>

#include "allocation_count.hpp"

namespace sluice::ring {
namespace {

Piece piece_of(std::string_view text) {
  Piece piece = Piece::on_heap(text.size());
  std::memcpy(piece.data(), text.data(), text.size());
  return piece;
}

TEST(Piece, DropsFromTheFrontAndTheBack) {
  Piece piece = piece_of("abcdef");
  piece.drop_front(2);
  EXPECT_EQ(piece.view(), "cdef");
  piece.truncate(3);
  EXPECT_EQ(piece.view(), "cde");
  Piece moved = std::move(piece);
  EXPECT_TRUE(piece.empty());  // NOLINT(bugprone-use-after-move): that is what is tested
  EXPECT_EQ(moved.view(), "cde");
  moved.reset();
  EXPECT_TRUE(moved.empty());
}

TEST(PieceQueue, GivesPiecesInOrderAndCountsBytes) {
  for (std::size_t count = 0; count < 40; ++count) {
    PieceQueue queue;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < count; ++i) {
      queue.push(piece_of(std::to_string(i)));
      bytes += std::to_string(i).size();
    }
    EXPECT_EQ(queue.size(), count);
    EXPECT_EQ(queue.bytes(), bytes);
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(queue[i].view(), std::to_string(i));
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(queue.pop().view(), std::to_string(i));
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(queue.bytes(), 0U);
  }
}

TEST(PieceQueue, AgreesWithAPlainQueue) {
  std::mt19937 random(3);
  PieceQueue queue;
  std::deque<std::string> expected;
  for (int step = 0; step < 20'000; ++step) {
    if (expected.size() < 70 && (expected.empty() || random() % 2 == 0)) {
      const std::string text(1 + random() % 9, static_cast<char>('a' + step % 26));
      queue.push(piece_of(text));
      expected.push_back(text);
    } else {
      ASSERT_EQ(queue.pop().view(), expected.front());
      expected.pop_front();
    }
    ASSERT_EQ(queue.size(), expected.size());
    if (!expected.empty()) ASSERT_EQ(queue[queue.size() - 1].view(), expected.back());
  }
}

TEST(PieceQueue, ClearEmptiesIt) {
  PieceQueue queue;
  for (int i = 0; i < 10; ++i) queue.push(piece_of("x"));
  queue.clear();
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.bytes(), 0U);
  queue.push(piece_of("y"));
  EXPECT_EQ(queue.pop().view(), "y");
}

TEST(PieceQueue, MovingLeavesAnEmptyQueue) {
  PieceQueue from;
  for (int i = 0; i < 5; ++i) from.push(piece_of(std::to_string(i)));
  PieceQueue to = std::move(from);
  EXPECT_TRUE(from.empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(from.bytes(), 0U);
  EXPECT_EQ(to.size(), 5U);
  from.push(piece_of("new"));
  EXPECT_EQ(from[0].view(), "new");
  std::swap(from, to);
  EXPECT_EQ(to.pop().view(), "new");
  EXPECT_EQ(from.pop().view(), "0");
  to = std::move(from);
  EXPECT_EQ(to.pop().view(), "1");
}

// A consumer that is always a few pieces behind, for hours: the queue may not grow with the time.
TEST(PieceQueue, StaysSmallWhenItNeverRunsEmpty) {
  PieceQueue queue;
  for (int i = 0; i < 4; ++i) queue.push(Piece());
  for (int i = 0; i < 1000; ++i) {
    queue.push(Piece());
    static_cast<void>(queue.pop());
  }
  const std::size_t before = testing::allocated_bytes();
  for (int i = 0; i < 100'000; ++i) {
    queue.push(Piece());
    static_cast<void>(queue.pop());
  }
  EXPECT_EQ(testing::allocated_bytes(), before);
}

}  // namespace
}  // namespace sluice::ring
