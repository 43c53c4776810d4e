#include "metrics_page.hpp"

#include <fmt/format.h>

#include "sluice/relay/settings.hpp"

namespace sluice::edge {
namespace {

struct Name {
  state::Metric metric;
  const char* text;
};

constexpr Name kStateMetrics[] = {
    {state::Metric::commits, "sluice_state_commits_total"},
    {state::Metric::verbs, "sluice_state_verbs_total"},
    {state::Metric::reserves, "sluice_reserves_total"},
    {state::Metric::extends, "sluice_extends_total"},
    {state::Metric::settles, "sluice_settles_total"},
    {state::Metric::voids, "sluice_voids_total"},
    {state::Metric::refusals, "sluice_state_refusals_total"},
    {state::Metric::commit_errors, "sluice_state_commit_errors_total"},
    {state::Metric::gate_waits, "sluice_gate_waits_total"},
    {state::Metric::gate_wait_ns, "sluice_gate_wait_nanoseconds_total"},
    {state::Metric::gate_owner_deaths, "sluice_gate_owner_deaths_total"},
    {state::Metric::commit_ns, "sluice_state_commit_nanoseconds_total"},
    {state::Metric::refused_records, "sluice_refused_records_total"},
    {state::Metric::refused_dropped, "sluice_refused_records_dropped_total"},
    {state::Metric::stale_epochs, "sluice_stale_epochs_total"},
};

void append_type(std::string& page, std::string_view name, std::string_view type) {
  page.append("# TYPE ").append(name).append(" ").append(type).append("\n");
}

void append_value(std::string& page, std::string_view name, std::size_t slot, std::uint64_t value) {
  page.append(name).append("{slot=\"").append(std::to_string(slot)).append("\"} ");
  page.append(std::to_string(value)).append("\n");
}

void append_plain(std::string& page, std::string_view name, std::int64_t value) {
  append_type(page, name, "gauge");
  page.append(name).append(" ").append(std::to_string(value)).append("\n");
}

void append_counter(std::string& page, state::Boards& boards, std::size_t metric,
                    const char* name) {
  append_type(page, name, "counter");
  const auto shards = boards.shards();
  for (std::size_t slot = 0; slot < shards.size(); ++slot) {
    const std::uint64_t value = shards[slot].metrics[metric].load(std::memory_order_relaxed);
    if (shards[slot].pid.load(std::memory_order_relaxed) != 0)
      append_value(page, name, slot, value);
  }
}

template <class Read>
void append_gauge(std::string& page, state::Boards& boards, const char* name, Read read) {
  append_type(page, name, "gauge");
  const auto shards = boards.shards();
  for (std::size_t slot = 0; slot < shards.size(); ++slot) {
    if (shards[slot].pid.load(std::memory_order_relaxed) == 0) continue;
    append_value(page, name, slot, static_cast<std::uint64_t>(read(shards[slot])));
  }
}

/// A Prometheus histogram without a sum: counts up to each bound, in seconds.
void append_histogram(std::string& page, state::Boards& boards, std::size_t first,
                      std::string_view name) {
  append_type(page, name, "histogram");
  const auto shards = boards.shards();
  for (std::size_t slot = 0; slot < shards.size(); ++slot) {
    if (shards[slot].pid.load(std::memory_order_relaxed) == 0) continue;
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < kDelayBuckets; ++i) {
      total += shards[slot].metrics[first + i].load(std::memory_order_relaxed);
      const std::string bound =
          i < kDelayBoundsNs.size()
              ? fmt::format("{}", static_cast<double>(kDelayBoundsNs[i]) / kSecond)
              : "+Inf";
      page += fmt::format("{}_bucket{{slot=\"{}\",le=\"{}\"}} {}\n", name, slot, bound, total);
    }
    page += fmt::format("{}_count{{slot=\"{}\"}} {}\n", name, slot, total);
  }
}

/// One measure of every channel and provider key that has been used, by its number in the ledger.
template <class Read>
void append_health(std::string& page, state::Boards& boards, const char* name, const char* type,
                   Read read) {
  append_type(page, name, type);
  for (const state::HealthEntry& entry : boards.health()) {
    if (entry.subject.load(std::memory_order_relaxed) == 0) continue;
    const bool channel = entry.kind() == state::HealthKind::channel;
    page += fmt::format("{}{{kind=\"{}\",id=\"{}\"}} {}\n", name,
                        channel ? "channel" : "provider_key", entry.id(), read(entry));
  }
}

void append_all_health(std::string& page, state::Boards& boards) {
  using state::HealthEntry;
  const auto append = [&](const char* name, const char* type, auto member) {
    append_health(page, boards, name, type, [member](const HealthEntry& entry) {
      return (entry.*member).load(std::memory_order_relaxed);
    });
  };
  // 0 = in use, 1 = left alone, 2 = one request tries it.
  append_health(page, boards, "sluice_breaker_state", "gauge", [](const HealthEntry& entry) {
    return static_cast<int>(
        state::unpack_breaker(entry.breaker.load(std::memory_order_relaxed)).phase);
  });
  append_health(page, boards, "sluice_first_token_seconds", "gauge", [](const HealthEntry& entry) {
    return entry.first_token_us.load(std::memory_order_relaxed) / 1e6;
  });
  append("sluice_attempts_served_total", "counter", &HealthEntry::successes);
  append("sluice_attempts_failed_total", "counter", &HealthEntry::faults);
  append("sluice_breaker_openings_total", "counter", &HealthEntry::ejections);
  append("sluice_probes_total", "counter", &HealthEntry::probes);
  append("sluice_probes_failed_total", "counter", &HealthEntry::probes_failed);
}

std::string metrics_text(state::Boards& boards, TimeNs monotonic_ns) {
  std::string page;
  page.reserve(16 * kKiB);
  for (std::size_t i = state::kFirstEdgeMetric;
       i < static_cast<std::size_t>(relay::Counter::count_); ++i) {
    append_counter(page, boards, i, relay::to_string(static_cast<relay::Counter>(i)));
  }
  for (const Name& name : kStateMetrics) {
    append_counter(page, boards, static_cast<std::size_t>(name.metric), name.text);
  }
  append_histogram(page, boards, state::kVerbDelays, "sluice_verb_delay_seconds");
  append_histogram(page, boards, state::kTurnDelays, "sluice_turn_seconds");
  append_gauge(page, boards, "sluice_client_connections",
               [](const auto& s) { return s.client_connections.load(std::memory_order_relaxed); });
  append_gauge(page, boards, "sluice_shard_state",
               [](const auto& s) { return s.state.load(std::memory_order_relaxed); });
  append_all_health(page, boards);
  const state::AdmissionBlock& admission = boards.admission();
  append_plain(page, "sluice_undrained_rows",
               static_cast<std::int64_t>(admission.undrained_rows.load(std::memory_order_relaxed)));
  append_plain(page, "sluice_undrained_nanos",
               admission.undrained_nanos.load(std::memory_order_relaxed));
  const TimeNs oldest_ns = admission.undrained_oldest_ns.load(std::memory_order_relaxed);
  append_plain(page, "sluice_undrained_age_nanoseconds",
               oldest_ns == 0 ? 0 : monotonic_ns - oldest_ns);
  const auto append_sent = [&](std::string_view name, const std::atomic<std::uint64_t>& value) {
    append_type(page, name, "counter");
    page.append(name).append(" ");
    page.append(std::to_string(value.load(std::memory_order_relaxed))).append("\n");
  };
  append_sent("sluice_spans_sent_total", admission.spans_sent);
  append_sent("sluice_spans_dropped_total", admission.spans_dropped);
  append_sent("sluice_notices_sent_total", admission.notices_sent);
  append_sent("sluice_notices_given_up_total", admission.notices_given_up);
  append_plain(
      page, "sluice_notices_waiting",
      static_cast<std::int64_t>(admission.notices_waiting.load(std::memory_order_relaxed)));
  append_plain(
      page, "sluice_routes_unlisted",
      static_cast<std::int64_t>(admission.routes_unlisted.load(std::memory_order_relaxed)));
  append_plain(page, "sluice_admission_stop", state::admission_stop(admission, monotonic_ns));
  return page;
}

bool is_ready(state::Boards& boards, TimeNs monotonic_ns) {
  if (boards.admission().ready.load(std::memory_order_acquire) == 0) return false;
  if (state::admission_stop(boards.admission(), monotonic_ns) != 0) return false;
  for (const state::ShardBlock& shard : boards.shards()) {
    if (shard.serves(monotonic_ns)) return true;
  }
  return false;
}

}  // namespace

Page render_page(std::string_view path, state::Boards* boards, std::uint32_t shards_running,
                 std::uint32_t shards_wanted, TimeNs monotonic_ns) {
  if (path == "/healthz") {
    const bool healthy = shards_running == shards_wanted;
    return {.status = healthy ? 200 : 503, .body = healthy ? "ok\n" : "a shard is down\n"};
  }
  if (path == "/readyz") {
    const bool ready = boards != nullptr && is_ready(*boards, monotonic_ns);
    return {.status = ready ? 200 : 503, .body = ready ? "ready\n" : "not ready\n"};
  }
  if (path == "/metrics") {
    if (boards == nullptr) return {.status = 503, .body = "the shared state is not there yet\n"};
    return {.status = 200,
            .content_type = "text/plain; version=0.0.4; charset=utf-8",
            .body = metrics_text(*boards, monotonic_ns)};
  }
  return {.status = 404, .body = "not found\n"};
}

}  // namespace sluice::edge
