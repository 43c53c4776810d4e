// How far a long piece of work is, as one line of the terminal that is written over and taken away.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "sluice/base/clock.hpp"

namespace sluice::cli {

class Progress {
 public:
  /// On stderr where that is a terminal; says nothing elsewhere. `name` stands in front of each
  /// line.
  explicit Progress(std::string name);
  /// On `out`, which must outlive it; null = says nothing.
  Progress(std::string name, std::FILE* out, const Clock& clock);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Takes the line away.
  ~Progress();

  /// Another part of the work begins: `what`, of so many steps; 0 = it is not counted. Shown once
  /// the whole has taken half a second.
  void begin(std::string what, std::uint64_t steps);
  /// A step of it is done. Cheap; the line changes five times a second at most.
  void step() {
    if (++done_ % kStepsALook == 0) look();
  }

 private:
  static constexpr std::uint64_t kStepsALook = 1024;
  void look();
  void show();

  const std::string name_;
  std::FILE* const out_;
  const Clock& clock_;
  std::string what_;
  std::uint64_t steps_ = 0;
  std::uint64_t done_ = 0;
  TimeNs next_ns_;
  bool shown_ = false;
};

}  // namespace sluice::cli
