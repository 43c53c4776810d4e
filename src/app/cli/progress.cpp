#include "progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace sluice::cli {
namespace {

constexpr TimeNs kSilence = 500 * kMillisecond;
constexpr TimeNs kBetween = 200 * kMillisecond;
constexpr const char* kEmptyLine = "\r\x1b[K";

}  // namespace

Progress::Progress(std::string name)
    : Progress(std::move(name), ::isatty(STDERR_FILENO) != 0 ? stderr : nullptr, system_clock()) {}

Progress::Progress(std::string name, std::FILE* out, const Clock& clock)
    : name_(std::move(name)), out_(out), clock_(clock), next_ns_(clock.monotonic_ns() + kSilence) {}

Progress::~Progress() {
  if (!shown_) return;
  std::fputs(kEmptyLine, out_);
  std::fflush(out_);
}

void Progress::begin(std::string what, std::uint64_t steps) {
  what_ = std::move(what);
  steps_ = steps;
  done_ = 0;
  // One part is no reason to be silent about the next, however soon it follows.
  if (shown_) next_ns_ = 0;
  look();
}

void Progress::look() {
  if (out_ == nullptr) return;
  const TimeNs now_ns = clock_.monotonic_ns();
  if (now_ns < next_ns_) return;
  next_ns_ = now_ns + kBetween;
  show();
}

void Progress::show() {
  std::string line = fmt::format("{}{}: {}", kEmptyLine, name_, what_);
  if (steps_ > 0) {
    const std::uint64_t done = std::min(done_, steps_);
    line += fmt::format(", {} of {} ({} %)", done, steps_, done * 100 / steps_);
  }
  std::fputs(line.c_str(), out_);
  std::fflush(out_);
  shown_ = true;
}

}  // namespace sluice::cli
