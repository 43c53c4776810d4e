#include "catalog_publisher.hpp"

#include <charconv>
#include <filesystem>

#include "sluice/base/log.hpp"
#include "sluice/state/inspect.hpp"
#include "sluice/state/writer.hpp"

namespace sluice::reconcile {
namespace {

constexpr TimeNs kDayNs = 86'400 * kSecond;
constexpr TimeNs kClockStepNs = kSecond;  // less is a clock being slewed

}  // namespace

CatalogPublisher::CatalogPublisher(state::Environment& environment, const Clock& clock,
                                   std::string zone_directory, TimeNs keep_superseded_ns)
    : environment_(environment),
      clock_(clock),
      zones_(std::move(zone_directory)),
      keep_superseded_ns_(keep_superseded_ns) {
  static_cast<void>(load_present());  // again before each publication
}

Result<> CatalogPublisher::load_present() {
  const auto pointer = environment_.catalog_pointer();
  if (!pointer) return std::unexpected(pointer.error());
  if (pointer->catalog_generation == generation_) return {};
  // The number goes up even when the file cannot be read: a new one takes its place.
  before_ = generation_ == 0 ? pointer->catalog_generation : generation_;
  generation_ = pointer->catalog_generation;
  const std::string path =
      environment_.epoch_directory() + "/" + state::catalog_file_name(generation_);
  if (auto opened = state::Catalog::open(path, pointer->catalog_hash))
    present_ = std::move(*opened);
  return {};
}

Result<std::set<std::uint64_t>> CatalogPublisher::held_prices() {
  state::StateCopy copy;
  if (auto copied = state::copy_state(environment_, state::kCopyHolds, copy); !copied) {
    return std::unexpected(copied.error());
  }
  std::set<std::uint64_t> versions;
  for (const state::HoldRow& hold : copy.holds) versions.insert(hold.record.price_version);
  return versions;
}

Result<> CatalogPublisher::publish(const ledger::CatalogSnapshot& snapshot) {
  // The one before may have been committed although an error said no: its number is used up, and
  // its file is in use.
  if (auto loaded = load_present(); !loaded) return loaded;
  const auto held = held_prices();
  if (!held) return std::unexpected(held.error());
  const TimeNs now_ns = clock_.realtime_ns();
  if (now_ns - built_at_ns_ >= kDayNs) zones_.forget();
  CatalogInputs inputs;
  inputs.realtime_ns = now_ns;
  inputs.generation = generation_ + 1;
  inputs.keep_superseded_ns = keep_superseded_ns_;
  inputs.held_prices = *held;
  CatalogPlan plan = plan_catalog(snapshot, inputs, zones_);
  for (const std::string& text : plan.complaints) {
    if (complained_.insert(text).second) log_line(LogLevel::warning, "reconcile", text);
  }
  // Once a day or at the next change, also when this one fails: the ledger has nothing better to
  // offer until then.
  built_at_ns_ = now_ns;
  next_change_ns_ = plan.next_change_ns;
  std::string message;
  const auto bytes = state::build_catalog(plan.spec, message);
  if (!bytes) {
    log_line(LogLevel::error, "reconcile", "the catalog cannot be published: " + message);
    return std::unexpected(bytes.error());
  }
  const std::string name = state::catalog_file_name(inputs.generation);
  if (auto written = state::write_file(environment_.epoch_directory(), name, *bytes); !written) {
    log_line(LogLevel::error, "reconcile",
             "cannot write " + environment_.epoch_directory() + "/" + name);
    return written;
  }
  const std::uint64_t hash = state::file_hash(*bytes);
  if (auto set = state::Writer(environment_).set_catalog(inputs.generation, name, hash); !set)
    return set;
  before_ = generation_;
  generation_ = inputs.generation;
  hosts_ = std::move(plan.hosts);
  const std::string path = environment_.epoch_directory() + "/" + name;
  auto opened = state::Catalog::open(path, hash);
  if (!opened) return std::unexpected(opened.error());
  present_ = std::move(*opened);
  remove_old_files();
  return {};
}

bool CatalogPublisher::due() const {
  const TimeNs now_ns = clock_.realtime_ns();
  if (next_change_ns_ != 0 && now_ns >= next_change_ns_) return true;
  // A clock that was set back may be before the price that the file takes for the present one.
  return now_ns - built_at_ns_ >= kDayNs || now_ns < built_at_ns_ - kClockStepNs;
}

void CatalogPublisher::remove_old_files() {
  if (!present_) return;
  const auto held = held_prices();
  if (!held) return;
  for (const std::uint64_t version : *held) {
    if (present_->find_price(version) == nullptr) return;
  }
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(environment_.epoch_directory(), error)) {
    const std::string name = entry.path().filename().string();
    constexpr std::string_view kPrefix = "catalog.";
    std::uint64_t number = 0;
    if (!name.starts_with(kPrefix)) continue;
    const auto [end, parsed] =
        std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), number);
    if (parsed != std::errc() || end != name.data() + name.size()) continue;
    if (number < before_) std::filesystem::remove(entry.path(), error);
  }
}

}  // namespace sluice::reconcile
