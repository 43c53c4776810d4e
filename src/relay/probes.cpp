#include "sluice/relay/probes.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "answer_body.hpp"
#include "attempt.hpp"
#include "error_answer.hpp"
#include "head_reader.hpp"
#include "sluice/base/log.hpp"
#include "sluice/dialect/offered_models.hpp"
#include "sluice/policy/candidates.hpp"
#include "sluice/state/offers.hpp"

namespace sluice::relay {
namespace {

constexpr TimeNs kRoundNs = kSecond;
constexpr TimeNs kAnswerNs = 10 * kSecond;
constexpr TimeNs kListsNs = 3600 * kSecond;
constexpr std::size_t kListBytes = 8 * kMiB;  // of the largest, which describe each model, 2 MiB
constexpr std::string_view kClaudeVersion = "anthropic-version: 2023-06-01\r\n";

state::BreakerWord word_of(const state::HealthEntry* entry) {
  return entry == nullptr ? state::BreakerWord{}
                          : state::unpack_breaker(entry->breaker.load(std::memory_order_acquire));
}

/// It is left alone, and its time has come.
bool waits_for_probe(const state::HealthEntry* entry, TimeNs now_ns) {
  return word_of(entry).phase != state::BreakerPhase::closed && policy::may_use(entry, now_ns);
}

std::uint32_t key_end(const state::ChannelEntry& channel) {
  return channel.first_key + std::min(channel.keys, policy::kMaxChannelKeys);
}

/// Whether the list says that what has gone wrong is over.
bool cures(policy::Fault cause) {
  return cause == policy::Fault::broke || cause == policy::Fault::key_bad;
}

}  // namespace

bool Probes::is_due(const Snapshot& snapshot, std::uint32_t channel, TimeNs now_ns) const {
  const state::ChannelEntry& entry = snapshot.catalog->channels()[channel];
  const state::HealthEntry* health = snapshot.channel_health[channel];
  if ((entry.flags & state::kChannelEnabled) == 0 || health == nullptr) return false;
  const TimeNs interval_ns = services_.settings.probe_interval_ns;
  const TimeNs probed_ns = health->probed_ns.load(std::memory_order_relaxed);
  if (now_ns - probed_ns < interval_ns) return false;
  if (waits_for_probe(health, now_ns)) return true;
  for (std::uint32_t key = entry.first_key; key < key_end(entry); ++key) {
    if (waits_for_probe(snapshot.key_health[key], now_ns)) return true;
  }
  const state::FaultWindow last =
      state::unpack_window(health->window.load(std::memory_order_relaxed));
  const TimeNs used_ns = last.number * policy::BreakerRules{}.window_ns;
  const bool old_list = probed_ns == 0 || now_ns - probed_ns >= kListsNs;
  return word_of(health).phase == state::BreakerPhase::closed &&
         (old_list || now_ns - used_ns > interval_ns);
}

bool Probes::claim(state::HealthEntry& entry, TimeNs now_ns) const {
  TimeNs last_ns = entry.probed_ns.load(std::memory_order_relaxed);
  return now_ns - last_ns >= services_.settings.probe_interval_ns &&
         entry.probed_ns.compare_exchange_strong(last_ns, now_ns, std::memory_order_acq_rel);
}

// The key that waits for a probe, else any that is in use.
Probes::Target Probes::take(const Snapshot& snapshot, std::uint32_t channel, TimeNs now_ns) const {
  const state::ChannelEntry& entry = snapshot.catalog->channels()[channel];
  Target target{.channel = channel};
  state::HealthEntry* health = snapshot.channel_health[channel];
  target.took_channel = waits_for_probe(health, now_ns) && policy::take(health, now_ns, false);
  if (entry.auth == state::Auth::none) return target;
  const auto keys = snapshot.catalog->keys(entry);
  for (std::uint32_t key = entry.first_key; key < key_end(entry); ++key) {
    if (keys[key - entry.first_key].enabled == 0 || snapshot.provider_keys[key].empty()) continue;
    state::HealthEntry* key_health = snapshot.key_health[key];
    if (waits_for_probe(key_health, now_ns) && policy::take(key_health, now_ns, false)) {
      target.key = key;
      target.took_key = true;
      return target;
    }
    if (target.key == state::kNone && policy::may_use(key_health, now_ns)) target.key = key;
  }
  return target;
}

void Probes::tick(TimeNs now_ns) {
  if (services_.settings.probe_interval_ns == 0 || !services_.snapshot || now_ns < next_round_ns_)
    return;
  next_round_ns_ = now_ns + kRoundNs;
  const std::shared_ptr<const Snapshot> snapshot = services_.snapshot;
  for (std::uint32_t i = 0; i < snapshot->channel_health.size(); ++i) {
    const auto place = std::ranges::find(running_, nullptr);
    if (place == running_.end()) return;
    if (!is_due(*snapshot, i, now_ns) || !claim(*snapshot->channel_health[i], now_ns)) continue;
    const Target target = take(*snapshot, i, now_ns);
    const bool has_key =
        target.key != state::kNone || snapshot->catalog->channels()[i].auth == state::Auth::none;
    if (has_key) {
      scope_.spawn(run(snapshot, target, static_cast<std::size_t>(place - running_.begin())));
    } else if (target.took_channel) {
      policy::release(snapshot->channel_health[i], now_ns);
    }
  }
}

void Probes::stop() {
  for (Attempt* attempt : running_) {
    if (attempt != nullptr) attempt->abort();
  }
}

ring::Task<> Probes::run(std::shared_ptr<const Snapshot> snapshot, Target target,
                         std::size_t place) {
  RequestHeadFacts head;
  head.method = http::Method::get;
  head.id = next_request_id(services_);
  head.received_ns = services_.reactor.now_ns();
  head.received_realtime_ns = services_.reactor.realtime_ns();
  const state::ChannelEntry& channel = snapshot->catalog->channels()[target.channel];
  head.route.format = static_cast<dialect::Format>(channel.format);
  if (head.route.format == dialect::Format::claude)
    static_cast<void>(head.forwarded.append(kClaudeVersion, kClaudeVersion.size()));
  const Request request{.head = head, .body = {}};
  Attempt attempt(services_, request, nullptr);
  running_[place] = &attempt;
  int status = 0;
  policy::Fault fault = policy::Fault::broke;
  co_await ask(*snapshot, target, attempt, status, fault);
  running_[place] = nullptr;
  note(*snapshot, target, status, fault, head.received_ns);
  co_await attempt.finish(false);
}

ring::Task<> Probes::ask(const Snapshot& snapshot, const Target& target, Attempt& attempt,
                         int& status, policy::Fault& fault) {
  const state::ChannelEntry& channel = snapshot.catalog->channels()[target.channel];
  const auto format = static_cast<dialect::Format>(channel.format);
  const std::string path = std::string(snapshot.catalog->text(channel.base_path)) +
                           std::string(dialect::models_target(format));
  const UpstreamTarget upstream{.snapshot = snapshot,
                                .channel = channel,
                                .upstream_model = {},
                                .provider_key = target.key != state::kNone
                                                    ? snapshot.provider_keys[target.key]
                                                    : std::string_view(),
                                .path = path};
  const Result<> made = attempt.prepare(upstream, dialect::EditList());
  if (!made) {
    fault = policy::Fault::none;  // of the configuration, not of the provider
    co_return;
  }
  Timeouts timeouts;
  timeouts.connect_ns = channel.connect_timeout_ms != 0 ? channel.connect_timeout_ms * kMillisecond
                                                        : services_.settings.connect_ns;
  timeouts.tls_ns = services_.settings.tls_ns;
  // On a connection of its own: it shows that the way works, and takes none from the pool.
  const Result<> started = co_await attempt.start(upstream, timeouts, true);
  if (!started) co_return;
  const Result<ResponseFacts> response =
      co_await attempt.read_head(services_.reactor.now_ns() + kAnswerNs);
  if (!response) co_return;
  status = response->status;
  fault = policy::Fault::none;
  if (status == 200 && !response->encoded && wants_list(channel)) {
    co_await read_list(channel, attempt, *response);
  }
  if (status < 400) co_return;
  const ErrorAnswer answer = co_await read_error_answer(
      services_, attempt.upstream(), format,
      dialect::ErrorTable(snapshot.catalog->text(channel.error_classes)), *response, kAnswerNs);
  fault = answer.fault;
}

bool Probes::wants_list(const state::ChannelEntry& channel) {
  const TimeNs now_ns = services_.reactor.now_ns();
  const auto [listed, first] = listed_ns_.try_emplace(channel.id, now_ns);
  if (!first && now_ns - listed->second < kListsNs) return false;
  listed->second = now_ns;
  return true;
}

// That a list makes no sense speaks against nothing: chat may work all the same.
ring::Task<> Probes::read_list(const state::ChannelEntry& channel, Attempt& attempt,
                               const ResponseFacts& response) {
  dialect::OfferedModels models(static_cast<dialect::Format>(channel.format));
  const BodySink read = [&models](std::string_view piece) { return models.feed(piece); };
  const AnswerBody body = co_await read_answer_body(services_, attempt.upstream(), response, read,
                                                    kListBytes, kAnswerNs);
  if (!body.whole || !models.is_list()) co_return;
  const auto names = models.names();
  const Result<> written = state::write_offer(services_.environment.epoch_directory(),
                                              {.channel_id = channel.id,
                                               .complete = models.is_complete(),
                                               .models = {names.begin(), names.end()}});
  if (!written) log_line(LogLevel::warning, "relay", "a provider's list of models cannot be kept");
}

void Probes::note(const Snapshot& snapshot, const Target& target, int status, policy::Fault fault,
                  TimeNs began_ns) {
  const TimeNs now_ns = services_.reactor.now_ns();
  state::HealthEntry* channel = snapshot.channel_health[target.channel];
  state::HealthEntry* key = target.key != state::kNone ? snapshot.key_health[target.key] : nullptr;
  const bool of_key = policy::is_of_key(fault) && key != nullptr;
  channel->probes.fetch_add(1, std::memory_order_relaxed);
  if (fault != policy::Fault::none) {
    channel->probes_failed.fetch_add(1, std::memory_order_relaxed);
    services_.providers.health.note_fault(of_key ? key : channel, fault, now_ns, 0);
  }
  const auto settle = [&](state::HealthEntry* entry, bool took, bool guilty) {
    if (!took || guilty) return;
    if (cures(static_cast<policy::Fault>(word_of(entry).cause))) {
      policy::note_success(entry, now_ns);
    } else {
      policy::release(entry, now_ns);  // the next request tries it
    }
  };
  settle(channel, target.took_channel, fault != policy::Fault::none && !of_key);
  settle(key, target.took_key, of_key);
  if (!of_key && fault != policy::Fault::none && target.took_key) policy::release(key, now_ns);

  state::RefusedRecord record;
  record.kind = state::RefusedKind::probe;
  const RequestId id = next_request_id(services_);
  std::memcpy(record.request_id.data(), id.data(), id.size());
  record.channel_id = snapshot.catalog->channels()[target.channel].id;
  record.http_status = static_cast<std::uint16_t>(status);
  record.error = static_cast<std::uint8_t>(fault);
  record.total_ns = static_cast<std::uint64_t>(now_ns - began_ns);
  record.at_ns = services_.reactor.realtime_ns() - (now_ns - began_ns);
  services_.refused.push(record);
}

}  // namespace sluice::relay
