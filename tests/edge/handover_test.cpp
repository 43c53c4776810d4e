#include "handover.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace sluice::edge {
namespace {

TEST(Handover, SurvivesItsText) {
  const Handover handover{.generation = 7,
                          .listening = {{3, "127.0.0.1:8080"}, {4, "[::]:443"}},
                          .pages = {{5, "127.0.0.1:9100"}},
                          .elders = {{1234, 6}, {99, 11}}};
  EXPECT_EQ(parse_handover(to_text(handover)), handover);
  EXPECT_EQ(parse_handover(to_text(Handover{})), Handover{});
}

TEST(Handover, RefusesWhatItDidNotWrite) {
  for (const char* text : {"", "x", "-1", "1;", "1;l", "1;l3", "1;l3=", "1;lx=a:1", "1;l-3=a:1",
                           "1;s5", "1;s0:3", "1;s5:", "1;s-5:3", "1;q3=a:1", "1;s5:3;"}) {
    EXPECT_EQ(parse_handover(text), std::nullopt) << text;
  }
}

TEST(Handover, OnlyItsDescriptorsAreInherited) {
  const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  const Handover handover{.listening = {{fd, "a:1"}}};
  set_inherited(handover, true);
  EXPECT_EQ(fcntl(fd, F_GETFD), 0);
  set_inherited(handover, false);
  EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
  close(fd);
}

}  // namespace
}  // namespace sluice::edge
