// sim [SEEDS] [--first N] [--seed N] [--trace] [--fault NAME]: see tools/sim.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "run.hpp"
#include "zygote.hpp"

namespace sluice::sim {
namespace {

struct Arguments {
  std::uint64_t seeds = 1000;
  std::uint64_t first = 1;
  bool trace = false;
  Fault fault = Fault::none;
};

[[noreturn]] void usage() {
  std::fprintf(stderr,
               "usage: tools/sim [SEEDS] [--first N] [--seed N] [--trace] [--fault NAME]\n");
  std::exit(2);
}

Arguments parse(int argc, char** argv) {
  Arguments out;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    const auto number = [&] {
      if (i + 1 == argc) usage();
      return std::strtoull(argv[++i], nullptr, 10);
    };
    if (name == "--first") {
      out.first = number();
    } else if (name == "--seed") {
      out.first = number();
      out.seeds = 1;
    } else if (name == "--trace") {
      out.trace = true;
    } else if (name == "--fault") {
      if (++i == argc) usage();
      std::size_t fault = 0;
      while (fault < static_cast<std::size_t>(Fault::count) &&
             std::string_view(argv[i]) != to_string(static_cast<Fault>(fault)))
        ++fault;
      if (fault == static_cast<std::size_t>(Fault::count)) usage();
      out.fault = static_cast<Fault>(fault);
    } else if (!name.starts_with("-") && !name.empty()) {
      out.seeds = std::strtoull(argv[i], nullptr, 10);
      if (out.seeds == 0) usage();
    } else {
      usage();
    }
  }
  return out;
}

double seconds_since(std::chrono::steady_clock::time_point from) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
}

int run_all(Stage& stage, const Arguments& arguments) {
  Scratch scratch;
  const bool shows = isatty(STDERR_FILENO) != 0 && !arguments.trace;
  const auto from = std::chrono::steady_clock::now();
  auto shown = from;
  RunFigures all;
  for (std::uint64_t i = 0; i < arguments.seeds; ++i) {
    const std::uint64_t seed = arguments.first + i;
    const RunResult result = run_seed(stage, scratch, {seed, arguments.fault, arguments.trace});
    all.add(result.figures);
    if (!result.problem.empty()) {
      if (shows) std::fprintf(stderr, "\r\033[K");
      std::printf("%s", result.last_steps.c_str());
      std::printf("seed %llu: %s\nreplay: tools/sim --seed %llu --trace%s%s\n",
                  static_cast<unsigned long long>(seed), result.problem.c_str(),
                  static_cast<unsigned long long>(seed),
                  arguments.fault == Fault::none ? "" : " --fault ",
                  arguments.fault == Fault::none ? "" : to_string(arguments.fault));
      return 1;
    }
    if (shows && seconds_since(shown) > 0.2) {
      shown = std::chrono::steady_clock::now();
      std::fprintf(stderr, "\r\033[K%llu of %llu seeds, %.0f s",
                   static_cast<unsigned long long>(i + 1),
                   static_cast<unsigned long long>(arguments.seeds), seconds_since(from));
    }
  }
  if (shows) std::fprintf(stderr, "\r\033[K");
  const double seconds = seconds_since(from);
  std::printf(
      "%llu seeds clean in %.1f s (%.1f ms a seed): %llu steps, %llu reserves, %llu refused, %llu "
      "rows (%llu settled, %llu voided, %llu crash, %llu late, %llu excess, %llu lost with power), "
      "%llu expired, %llu kills, %llu crashes at a point, %llu reboots, %llu epochs, %llu store "
      "and %llu disk faults, %llu pauses\n",
      static_cast<unsigned long long>(arguments.seeds), seconds,
      seconds * 1000 / static_cast<double>(arguments.seeds),
      static_cast<unsigned long long>(all.steps), static_cast<unsigned long long>(all.reserves),
      static_cast<unsigned long long>(all.refused), static_cast<unsigned long long>(all.rows),
      static_cast<unsigned long long>(all.ends.settled),
      static_cast<unsigned long long>(all.ends.voided),
      static_cast<unsigned long long>(all.ends.crash),
      static_cast<unsigned long long>(all.ends.late),
      static_cast<unsigned long long>(all.ends.excess),
      static_cast<unsigned long long>(all.ends.lost),
      static_cast<unsigned long long>(all.ends.expired), static_cast<unsigned long long>(all.kills),
      static_cast<unsigned long long>(all.crashes), static_cast<unsigned long long>(all.reboots),
      static_cast<unsigned long long>(all.epochs),
      static_cast<unsigned long long>(all.store_faults),
      static_cast<unsigned long long>(all.disk_faults),
      static_cast<unsigned long long>(all.pauses));
  return 0;
}

}  // namespace
}  // namespace sluice::sim

int main(int argc, char** argv) {
  sluice::sim::Stage& stage = sluice::sim::raise_stage();
  return sluice::sim::run_all(stage, sluice::sim::parse(argc, argv));
}
