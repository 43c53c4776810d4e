// sim: see tools/sim.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "run.hpp"
#include "zygote.hpp"

namespace sluice::sim {
namespace {

struct Arguments {
  std::uint64_t seeds = 1000;
  std::uint64_t first = 1;
  RunOptions options;
  bool everywhere = false;
};

[[noreturn]] void usage() {
  std::fprintf(stderr,
               "usage: tools/sim [SEEDS] [--first N] [--seed N] [--trace] [--fault NAME]\n"
               "       tools/sim --everywhere [--seed N]\n"
               "       tools/sim --seed N --steps N --inject THING,ROLE,AT,SPAN [--trace]\n");
  std::exit(2);
}

/// The value whose name is `text`.
template <class Enum>
Enum named(std::string_view text, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    if (text == to_string(static_cast<Enum>(i))) return static_cast<Enum>(i);
  }
  usage();
}

/// THING,ROLE,AT,SPAN
void parse_injection(std::string_view text, RunOptions& out) {
  const auto next = [&] {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    return std::string(part);
  };
  out.inject = named<Inject>(next(), kInjects);
  out.inject_role = named<Role>(next(), kRoles);
  out.inject_at = std::strtoull(next().c_str(), nullptr, 10);
  out.inject_span = std::strtoull(next().c_str(), nullptr, 10);
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
      out.options.trace = true;
    } else if (name == "--everywhere") {
      out.everywhere = true;
    } else if (name == "--steps") {
      out.options.steps = number();
    } else if (name == "--inject") {
      if (++i == argc) usage();
      parse_injection(argv[i], out.options);
    } else if (name == "--fault") {
      if (++i == argc) usage();
      out.options.fault = named<Fault>(argv[i], static_cast<std::size_t>(Fault::count));
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
  const bool shows = isatty(STDERR_FILENO) != 0 && !arguments.options.trace;
  const auto from = std::chrono::steady_clock::now();
  auto shown = from;
  RunFigures all;
  for (std::uint64_t i = 0; i < arguments.seeds; ++i) {
    RunOptions options = arguments.options;
    options.seed = arguments.first + i;
    const RunResult result = run_seed(stage, scratch, options);
    all.add(result.figures);
    if (!result.problem.empty()) {
      if (shows) std::fprintf(stderr, "\r\033[K");
      std::printf("%s", result.last_steps.c_str());
      std::printf("seed %llu: %s\nreplay: %s --trace\n",
                  static_cast<unsigned long long>(options.seed), result.problem.c_str(),
                  replay(options).c_str());
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
      "and %llu disk faults, %llu things that failed, %llu pauses\n",
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
      static_cast<unsigned long long>(all.injected), static_cast<unsigned long long>(all.pauses));
  return 0;
}

/// Each thing, in each role, at each of its places.
int run_everywhere(Stage& stage, const Arguments& arguments) {
  Scratch scratch;
  std::uint64_t lives = 0;
  const auto from = std::chrono::steady_clock::now();
  for (std::size_t inject = 1; inject < kInjects; ++inject) {
    for (std::size_t role = 0; role < kRoles; ++role) {
      Everywhere where;
      where.seed = arguments.first;
      where.inject = static_cast<Inject>(inject);
      where.role = static_cast<Role>(role);
      const RunResult result = fail_everywhere(stage, scratch, where);
      if (!result.problem.empty()) {
        std::printf("%s%s\nreplay: %s --trace\n", result.last_steps.c_str(), result.problem.c_str(),
                    replay(where.failed).c_str());
        return 1;
      }
      lives += where.lives;
      if (where.places == 0) continue;
      std::printf("%s of a %s: clean at each of %llu places\n", to_string(where.inject),
                  to_string(where.role), static_cast<unsigned long long>(where.places));
      std::fflush(stdout);
    }
  }
  std::printf("%llu lives clean in %.1f s\n", static_cast<unsigned long long>(lives),
              seconds_since(from));
  return 0;
}

}  // namespace
}  // namespace sluice::sim

int main(int argc, char** argv) {
  sluice::sim::Stage& stage = sluice::sim::raise_stage();
  const auto arguments = sluice::sim::parse(argc, argv);
  return arguments.everywhere ? sluice::sim::run_everywhere(stage, arguments)
                              : sluice::sim::run_all(stage, arguments);
}
