// The line that says how far a long piece of work is.
#include "progress.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace sluice::cli {
namespace {

class ProgressLine : public ::testing::Test {
 protected:
  ~ProgressLine() override {
    std::fclose(out_);
    std::free(text_);
  }
  std::string said() {
    std::fflush(out_);
    return {text_, bytes_};
  }
  static void steps(Progress& progress, int count) {
    for (int i = 0; i < count; ++i) progress.step();
  }

  char* text_ = nullptr;
  std::size_t bytes_ = 0;
  std::FILE* out_ = ::open_memstream(&text_, &bytes_);
  ManualClock clock_;
};

TEST_F(ProgressLine, WhatIsSoonDoneSaysNothing) {
  {
    Progress progress("check", out_, clock_);
    progress.begin("rows", 10'000);
    clock_.advance(499 * kMillisecond);
    steps(progress, 10'000);
  }
  EXPECT_EQ(said(), "");
}

TEST_F(ProgressLine, SaysHowMuchIsDoneFiveTimesASecond) {
  Progress progress("check", out_, clock_);
  progress.begin("rows", 40'960);
  clock_.advance(600 * kMillisecond);
  steps(progress, 10'240);
  EXPECT_EQ(said(), "\r\x1b[Kcheck: rows, 1024 of 40960 (2 %)");
  clock_.advance(199 * kMillisecond);
  steps(progress, 1024);
  EXPECT_EQ(said(), "\r\x1b[Kcheck: rows, 1024 of 40960 (2 %)");
  clock_.advance(1 * kMillisecond);
  steps(progress, 1024);
  EXPECT_EQ(said().substr(said().rfind('\r')), "\r\x1b[Kcheck: rows, 12288 of 40960 (30 %)");
}

TEST_F(ProgressLine, ThereMayBeMoreStepsThanWereToldOf) {
  Progress progress("check", out_, clock_);
  clock_.advance(kSecond);
  progress.begin("rows", 1024);
  clock_.advance(kSecond);
  steps(progress, 2048);
  EXPECT_EQ(said().substr(said().rfind('\r')), "\r\x1b[Kcheck: rows, 1024 of 1024 (100 %)");
}

TEST_F(ProgressLine, TheNextPartIsNamedAtOnceAndTheLineTakenAway) {
  {
    Progress progress("check", out_, clock_);
    clock_.advance(kSecond);
    progress.begin("rows", 5);
    progress.begin("batches", 0);
    EXPECT_EQ(said(), "\r\x1b[Kcheck: rows, 0 of 5 (0 %)\r\x1b[Kcheck: batches");
  }
  EXPECT_TRUE(said().ends_with("batches\r\x1b[K"));
}

TEST_F(ProgressLine, SaysNothingWithoutATerminal) {
  Progress progress("check", nullptr, clock_);
  clock_.advance(kSecond);
  progress.begin("rows", 5);
  steps(progress, 5000);
}

}  // namespace
}  // namespace sluice::cli
