// sluice-load: drives chat requests or streams against one address and prints one JSON object of
// what it saw.
#include <fmt/format.h>
#include <sys/resource.h>

#include <charconv>
#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>

#include "driver.hpp"

namespace {

using sluice::load::Histogram;
using sluice::load::Options;
using sluice::load::Results;

constexpr std::string_view kUsage =
    "usage: sluice-load requests|streams --target ADDR:PORT [options]\n"
    "  --path P            default /v1/chat/completions     --model M      default m\n"
    "  --key K | --keys FILE (one a line)                   --key-per request|connection\n"
    "  --connections N     clients at once, default 64      --body-bytes N default 200\n"
    "  --seconds S         measured time, default 3         --warmup S     before it, default 0\n"
    "  --ramp S            opens the connections over S     --requests N   stop after N good "
    "answers\n"
    "  --ca PEM            TLS, vouched for by it           --tls-name N   default localhost\n"
    "  --fresh yes         a new connection for each request\n"
    "  --kernel-time yes   an answer's time is when the kernel had it, not when it was read\n"
    "  --spin yes          never sleeps: who answers need not wake it\n"
    "  --rate N            requests a second of all connections, default 0: each as soon as it "
    "can\n"
    "  --backoff S          who is refused rests so long, default: it connects anew\n"
    "  --chunks N          chunks each stream must bring    --abort-after N  close after N "
    "chunks\n";

bool number(std::string_view text, double& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() && out >= 0;
}

bool read_keys(const std::string& path, Options& options) {
  std::ifstream file(path);
  options.keys.clear();
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) options.keys.push_back(line);
  }
  return !options.keys.empty();
}

bool take(std::string_view name, const std::string& value, Options& options) {
  if (name == "--target") return options.target = value, true;
  if (name == "--path") return options.path = value, true;
  if (name == "--model") return options.model = value, true;
  if (name == "--key") return options.keys = {value}, true;
  if (name == "--ca") return options.ca_file = value, true;
  if (name == "--tls-name") return options.tls_name = value, true;
  if (name == "--fresh") return options.fresh = value == "yes", value == "yes" || value == "no";
  if (name == "--spin") return options.spin = value == "yes", value == "yes" || value == "no";
  if (name == "--kernel-time")
    return options.kernel_time = value == "yes", value == "yes" || value == "no";
  if (name == "--keys") return read_keys(value, options);
  if (name == "--key-per") {
    options.key_per_connection = value == "connection";
    return value == "connection" || value == "request";
  }
  double amount = 0;
  if (!number(value, amount)) return false;
  const auto nanoseconds = static_cast<std::int64_t>(amount * 1e9);
  const auto count = static_cast<std::uint64_t>(amount);
  if (name == "--rate") return options.rate = amount, true;
  if (name == "--connections") return options.connections = static_cast<int>(amount), amount >= 1;
  if (name == "--body-bytes") return options.body_bytes = count, true;
  if (name == "--seconds") return options.seconds_ns = nanoseconds, true;
  if (name == "--warmup") return options.warmup_ns = nanoseconds, true;
  if (name == "--backoff") return options.backoff_ns = nanoseconds, true;
  if (name == "--ramp") return options.ramp_ns = nanoseconds, true;
  if (name == "--requests") return options.requests = count, true;
  if (name == "--chunks") return options.chunks = count, true;
  if (name == "--abort-after") return options.abort_after = count, true;
  return false;
}

std::string percentiles(const Histogram& histogram) {
  return fmt::format(
      R"({{"count":{},"p50":{:.1f},"p90":{:.1f},"p99":{:.1f},"p999":{:.1f},"max":{:.1f}}})",
      histogram.total(), histogram.percentile_us(0.5), histogram.percentile_us(0.9),
      histogram.percentile_us(0.99), histogram.percentile_us(0.999), histogram.max_us());
}

void print(const Options& options, const Results& r) {
  std::string statuses;
  for (const auto& [status, count] : r.statuses) {
    statuses += fmt::format("{}\"{}\":{}", statuses.empty() ? "" : ",", status, count);
  }
  const double seconds = r.seconds > 0 ? r.seconds : 1;
  fmt::print(
      R"({{"mode":"{}","connections":{},"seconds":{:.3f},"good":{},"good_per_s":{:.1f},)"
      R"("refused_per_s":{:.1f},)"
      R"("chunks":{},"chunks_per_s":{:.1f},"lost":{},"repeated":{},"merged":{},"aborted":{},)"
      R"("errors":{{"connect":{},"closed":{},"malformed":{},"statuses":{{{}}}}},)"
      R"("delay_us":{},"first_us":{},"latency_us":{},"refused_us":{}}})"
      "\n",
      options.stream ? "streams" : "requests", options.connections, r.seconds, r.good,
      static_cast<double>(r.good) / seconds, static_cast<double>(r.refused.total()) / seconds,
      r.chunks, static_cast<double>(r.chunks) / seconds,
      r.lost, r.repeated, r.merged, r.aborted, r.connect_errors, r.closed_early, r.malformed,
      statuses, percentiles(r.delay), percentiles(r.first), percentiles(r.latency),
      percentiles(r.refused));
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  const std::string_view mode = argc > 1 ? argv[1] : "";
  bool understood = (mode == "requests" || mode == "streams") && argc % 2 == 0;
  options.stream = mode == "streams";
  for (int i = 2; understood && i < argc; i += 2) {
    understood = take(argv[i], argv[i + 1], options);
    if (!understood)
      std::fprintf(stderr, "sluice-load: cannot use '%s %s'\n", argv[i], argv[i + 1]);
  }
  if (!understood) {
    std::fputs(kUsage.data(), stderr);
    return 2;
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  sluice::load::Driver driver(std::move(options));
  if (const std::string problem = driver.run(); !problem.empty()) {
    std::fprintf(stderr, "sluice-load: %s\n", problem.c_str());
    return 2;
  }
  print(driver.options(), driver.results());
  return 0;
}
