#include "world.hpp"

#include <signal.h>
#include <sqlite3.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

namespace sluice::sim {
namespace {

namespace fs = std::filesystem;
constexpr const char* kRoot = "/dev/shm";
constexpr const char* kPrefix = "sluice-sim.";

[[noreturn]] void give_up(const std::string& what) {
  std::fprintf(stderr, "simulator: %s\n", what.c_str());
  std::exit(2);
}

void must(bool done, const std::string& what) {
  if (!done) give_up(what);
}

void copy_text(std::array<char, kPathBytes>& out, const std::string& text) {
  must(text.size() < out.size(), "path too long");
  out = {};
  std::memcpy(out.data(), text.data(), text.size());
}

void remove_dead_runs() {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(kRoot, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    int pid = 0;
    const char* from = name.data() + std::strlen(kPrefix);
    const auto parsed = std::from_chars(from, name.data() + name.size(), pid);
    if (parsed.ec == std::errc() && pid > 0 && kill(pid, 0) != 0 && errno == ESRCH)
      fs::remove_all(entry.path(), error);
  }
}

void fill(ledger::Ledger& books) {
  ledger::Provider provider;
  provider.name = "p";
  provider.dialect = "openai";
  provider.base_url = "https://93.184.216.34/v1";
  provider.auth = "none";
  must(books.catalog().put(provider).has_value(), "provider");
  ledger::Channel channel;
  channel.name = "c";
  channel.provider_id = provider.id;
  must(books.catalog().put(channel).has_value(), "channel");
  ledger::Model model;
  model.name = "m";
  must(books.catalog().put(model).has_value() && model.id == 1, "model");
  must(books.catalog().put_routes(model.id, {{model.id, channel.id, "", -1, -1, 0}}).has_value(),
       "route");
  ledger::Price price;
  price.model_id = model.id;
  price::Rates& rates = price.row.base;
  rates.input = rates.cache_read = rates.cache_write_short = rates.cache_write_long =
      kFirstPrice.input;
  rates.output = kFirstPrice.output;
  must(books.catalog().add(price).has_value() && price.row.version == 1, "price");
  for (std::uint64_t i = 1; i <= kWallets; ++i) {
    ledger::Customer customer;
    customer.name = "w" + std::to_string(i);
    ledger::Wallet wallet;
    must(books.customers().add(customer, wallet).has_value(), "customer");
    must(wallet.id == static_cast<ledger::Id>(i), "wallet id");
    for (std::uint64_t k = 1; k <= kKeysAWallet; ++k) {
      ledger::ApiKey key;
      key.wallet_id = wallet.id;
      key.name = "k" + std::to_string(k);
      key.digest = std::string(63, '0') + "0123456789abcdef"[((i - 1) * kKeysAWallet + k) % 16];
      must(books.keys().add(key).has_value(), "key " + books.last_error());
      must(key.id == static_cast<ledger::Id>((i - 1) * kKeysAWallet + k), "key id");
    }
    must(books.money()
             .credit(wallet.id, kFirstCredit, ledger::House::funding_credit, "first")
             .has_value(),
         "credit");
  }
}

std::unique_ptr<ledger::Ledger> open_books(const std::string& file, const Clock& clock) {
  std::string message;
  auto opened = ledger::Ledger::open(file, ledger::Access::read_write, clock, message);
  if (!opened) give_up(message);
  return std::move(*opened);
}

const char* trigger_of(Fault fault) {
  switch (fault) {
    case Fault::cursor_not_moved:
      return "CREATE TRIGGER fault AFTER UPDATE ON cursor BEGIN UPDATE cursor SET seq = OLD.seq "
             "WHERE node = OLD.node AND epoch = OLD.epoch AND slot = OLD.slot; END";
    case Fault::row_not_stored:
      return "CREATE TRIGGER fault BEFORE INSERT ON usage WHEN NEW.seq % 5 = 0 "
             "BEGIN SELECT RAISE(IGNORE); END";
    case Fault::entry_twice:
      return "CREATE TRIGGER fault AFTER INSERT ON entry WHEN NEW.kind = 3 BEGIN "
             "UPDATE account SET debits = debits + NEW.amount WHERE id = NEW.debit_account; END";
    case Fault::delta_not_queued:
      return "CREATE TRIGGER fault BEFORE INSERT ON publish_queue WHEN NEW.wallet_no % 2 = 0 "
             "BEGIN SELECT RAISE(IGNORE); END";
    case Fault::gap_not_noted:
      return "CREATE TRIGGER fault BEFORE INSERT ON gap BEGIN SELECT RAISE(IGNORE); END";
    default:
      return nullptr;
  }
}

}  // namespace

Scratch::Scratch() : path_(std::string(kRoot) + "/" + kPrefix + std::to_string(getpid())) {
  remove_dead_runs();
  fs::create_directories(path_);
}

Scratch::~Scratch() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string Scratch::ledger_template() {
  const std::string file = path_ + "/template.db";
  if (!std::exchange(made_, true)) {
    const ManualClock clock;
    const std::string first = path_ + "/first.db";
    const auto books = open_books(first, clock);
    fill(*books);
    must(books->backup_to(file).has_value(), "backup");
  }
  return file;
}

World::World(Stage& stage, Scratch& scratch, Fault fault, std::uint64_t map_bytes,
             const Clock& clock)
    : directory_(scratch.path() + "/world"), stage_(stage) {
  fs::remove_all(directory_);
  fs::create_directories(directory_ + "/state");
  fs::copy_file(scratch.ledger_template(), directory_ + "/ledger.db");
  copy_text(stage.state_directory, directory_ + "/state");
  copy_text(stage.database, directory_ + "/ledger.db");
  copy_text(stage.boot_id, directory_ + "/boot_id");
  copy_text(stage.log, directory_ + "/log");
  stage.map_bytes = map_bytes;
  plant(fault);
  write_boot_id();
  books_ = open_books(stage.database.data(), clock);
}

World::~World() {
  environment_.reset();
  books_.reset();
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

void World::plant(Fault fault) {
  const char* sql = trigger_of(fault);
  if (sql == nullptr) return;
  sqlite3* db = nullptr;
  must(sqlite3_open(stage_.database.data(), &db) == SQLITE_OK, "sqlite");
  char* message = nullptr;
  if (sqlite3_exec(db, sql, nullptr, nullptr, &message) != SQLITE_OK) give_up(message);
  sqlite3_close(db);
}

void World::write_boot_id() {
  char text[40];
  std::snprintf(text, sizeof text, "00000000-0000-4000-8000-%012llx",
                static_cast<unsigned long long>(++boots_));
  std::ofstream(stage_.boot_id.data()) << text;
}

void World::reboot(bool wiped) {
  environment_.reset();
  write_boot_id();
  if (!wiped) return;
  fs::remove_all(directory_ + "/state");
  fs::create_directories(directory_ + "/state");
}

bool World::attach() {
  environment_.reset();
  std::string message;
  auto opened = state::open({.directory = stage_.state_directory.data()}, message);
  if (!opened) return false;
  environment_ = std::move(*opened);
  return true;
}

bool World::copy(state::StateCopy& out) {
  return environment_ && state::copy_state(*environment_, state::kCopyAll, out).has_value();
}

std::vector<ledger::StoredUsage> World::new_rows() {
  std::int64_t count = 0;
  const auto newest = books_->epochs().newest(1);
  const std::uint64_t epochs = newest ? newest->epoch : 0;
  for (std::uint64_t epoch = 1; epoch <= epochs; ++epoch) {
    const auto cursors = books_->usage().cursors(1, epoch);
    must(cursors.has_value(), "cursors: " + books_->last_error());
    for (const ledger::Cursor& cursor : *cursors) count += static_cast<std::int64_t>(cursor.seq);
  }
  if (count <= static_cast<std::int64_t>(rows_)) return {};
  ledger::UsageFilter filter;
  filter.since_ns = INT64_MIN;
  filter.limit = count - static_cast<std::int64_t>(rows_);
  auto rows = books_->usage().list(filter);
  must(rows.has_value(), "usage: " + books_->last_error());
  rows_ = static_cast<std::uint64_t>(count);
  return std::move(*rows);
}

std::string World::log() const {
  std::ifstream in(directory_ + "/log");
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace sluice::sim
