// The command line as its users meet it: the program itself, with and without a reconciler that
// runs.
#include <gtest/gtest.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "sluice/state/environment.hpp"
#include "sluice/state/writer.hpp"

extern char** environ;

namespace sluice {
namespace {

struct Ran {
  int status = 0;
  std::string out;
  std::string err;
};

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// The text of a field of flat JSON.
std::string field(const std::string& json, const std::string& name) {
  const std::string mark = "\"" + name + "\":";
  const std::size_t at = json.find(mark);
  if (at == std::string::npos) return "(none)";
  std::size_t begin = at + mark.size();
  const bool quoted = json[begin] == '"';
  begin += quoted ? 1 : 0;
  return json.substr(begin, json.find_first_of(quoted ? "\"" : ",}", begin) - begin);
}

class CliTest : public testing::Test {
 protected:
  CliTest() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    root_ = std::filesystem::path("/dev/shm") /
            ("sluice-cli-" + std::to_string(::getpid()) + "-" + info->name());
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
    std::ofstream(root_ / "sluice.toml")
        << "allow_private = [\"127.0.0.0/8\"]\n"
           "[state]\ndirectory = \"state\"\nmap = \"16MiB\"\n"
           "[ledger]\ndatabase = \"ledger.db\"\nrecords_directory = \"records\"\n"
           "[secrets]\npepper_file = \"secrets/pepper\"\n"
           "sealing_key_file = \"secrets/key\"\nsealing_public_file = \"secrets/pub\"\n";
  }
  ~CliTest() override {
    stop_reconciler();
    std::filesystem::remove_all(root_);
  }

  /// Runs `sluice` with a shell's quoting.
  Ran sluice(const std::string& arguments, const std::string& before = "") {
    const std::string out = (root_ / "out").string(), err = (root_ / "err").string();
    const int status =
        std::system((before + " " SLUICE_PROGRAM " --config " + (root_ / "sluice.toml").string() +
                     " " + arguments + " >" + out + " 2>" + err + " </dev/null")
                        .c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_file(out),
            read_file(err)};
  }
  Ran good(const std::string& arguments, const std::string& before = "") {
    Ran ran = sluice(arguments, before);
    EXPECT_EQ(ran.status, 0) << arguments << ": " << ran.err;
    EXPECT_EQ(ran.err, "") << arguments;
    return ran;
  }
  void expect_refused(const std::string& arguments, int status, const std::string& line) {
    const Ran ran = sluice(arguments);
    EXPECT_EQ(ran.status, status) << arguments;
    EXPECT_EQ(ran.err, "sluice: " + line + "\n");
    EXPECT_EQ(ran.out, "") << arguments;
  }

  void start_reconciler() {
    const std::string config = (root_ / "sluice.toml").string();
    std::string program = RECONCILER_PROGRAM, option = "--config", file = config;
    char* arguments[] = {program.data(), option.data(), file.data(), nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 2, (root_ / "reconciler.log").c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
    ASSERT_EQ(::posix_spawn(&reconciler_, program.c_str(), &actions, nullptr, arguments, environ),
              0);
    posix_spawn_file_actions_destroy(&actions);
    for (int i = 0; i < 1000 && !std::filesystem::exists(root_ / "state" / "reconciler.sock"); ++i)
      ::usleep(10'000);
    ASSERT_TRUE(std::filesystem::exists(root_ / "state" / "reconciler.sock"))
        << read_file(root_ / "reconciler.log");
  }
  void stop_reconciler() {
    if (reconciler_ <= 0) return;
    ::kill(reconciler_, SIGTERM);
    int status = 0;
    ::waitpid(reconciler_, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
        << read_file(root_ / "reconciler.log");
    reconciler_ = -1;
  }
  void set_up_model() {
    good("provider add mock --dialect openai --base-url http://127.0.0.1:9/v1 --key-env UPSTREAM",
         "UPSTREAM=sk-upstream-secret");
    good("channel add mock-a --provider mock --weight 5");
    good("model add m --route mock-a=upstream-m");
    good("price add m --input 2.50 --output 10");
  }

  std::filesystem::path root_;
  pid_t reconciler_ = -1;
};

TEST_F(CliTest, HelpAndMistakesOfTheCommandLine) {
  const Ran help = good("--help");
  for (const char* noun : {"customer", "key", "provider", "channel", "model", "price", "credit",
                           "wallet", "usage", "apply", "up", "check"}) {
    EXPECT_NE(help.out.find(noun), std::string::npos) << noun;
  }
  for (const char* wrong : {"", "nonsense", "customer", "customer add", "key add --customer x",
                            "usage list --limit many"}) {
    const Ran ran = sluice(wrong);
    EXPECT_EQ(ran.status, 2) << wrong;
    EXPECT_TRUE(ran.err.starts_with("sluice: ")) << ran.err;
    EXPECT_EQ(ran.err.find('\n'), ran.err.size() - 1) << "one line: " << ran.err;
    EXPECT_EQ(ran.out, "");
  }
}

TEST_F(CliTest, SaysWhichVerbsThereAre) {
  expect_refused("wallet", 2, "wallet: a verb is missing; there are show, history");
  expect_refused("wallet list --json", 2, "wallet: there is no 'list'; there are show, history");
  EXPECT_TRUE(sluice("").err.starts_with("sluice: a verb is missing; there are up, apply, check"));
  EXPECT_TRUE(sluice("wallets").err.starts_with("sluice: there is no 'wallets'; there are up, "));
  expect_refused("wallet show", 2, "customer is required");
  // Another mistake that comes first is told as what it is.
  EXPECT_TRUE(sluice("--config").err.starts_with("sluice: --config: ")) << sluice("--config").err;
}

TEST_F(CliTest, RefusalsAreOneClearLine) {
  good("customer add acme");
  expect_refused("customer add acme", 1, "customer 'acme': exists already");
  expect_refused("credit add --customer acme --amount -5", 1,
                 "amount: must be USD above 0 such as 25.50");
  expect_refused("credit add --customer nobody --amount 5", 1, "customer 'nobody': not found");
  expect_refused("provider add p --dialect openai --base-url http://example.com", 1,
                 "base-url: http:// sends keys in the clear; only addresses that allow_private "
                 "lists may use it");
  expect_refused("provider set p --dialect openai", 1, "provider 'p': not found");
  expect_refused("price add m --input 1 --output 1", 1, "model 'm': not found");
  expect_refused("usage stats --by colour", 1, "by: must be day, model, key or channel");
  std::ofstream(root_ / "broken.toml") << "[[customer]]\nname = \"x\"\nbudget = 5\n";
  const std::string broken = (root_ / "broken.toml").string();
  expect_refused("apply " + broken, 1, broken + ":3: customer.budget: unknown key");
  std::ofstream(root_ / "sluice.toml") << "nodes = 1\n";
  expect_refused("customer list", 1, (root_ / "sluice.toml").string() + ":1: nodes: unknown key");
}

TEST_F(CliTest, WorksWithoutAReconciler) {
  good("customer add acme --zone Asia/Tokyo");
  good("credit add --customer acme --amount 10 --note first");
  set_up_model();
  const Ran key =
      good("key add --customer acme --name staging --budget-day 2 --models 'm,x-*' --json");
  const std::string secret = field(key.out, "key");
  EXPECT_TRUE(secret.starts_with("sk-")) << key.out;
  EXPECT_EQ(field(key.out, "budget_day_usd"), "2.00");
  EXPECT_EQ(field(key.out, "clamp"), "true");
  EXPECT_EQ(field(good("wallet show acme --json").out, "ledger_balance_usd"), "10.00");
  EXPECT_EQ(field(good("wallet show acme --json").out, "live"), "false");
  EXPECT_EQ(field(good("wallet history acme --json").out, "note"), "first");
  EXPECT_EQ(field(good("model list --json").out, "routes"), "mock-a=upstream-m");
  EXPECT_EQ(field(good("price list --model m --json").out, "output_usd"), "10.00");
  EXPECT_EQ(good("usage list --json").out, "[]\n");
  EXPECT_EQ(field(good("check --json").out, "shared_state"), "false");
  // Neither key is anywhere but where it was asked for.
  std::string stored;
  for (const auto& entry : std::filesystem::directory_iterator(root_)) {
    if (entry.path().filename().string().starts_with("ledger.db"))
      stored += read_file(entry.path());
  }
  EXPECT_GT(stored.size(), 10'000U);
  EXPECT_EQ(stored.find(secret), std::string::npos);
  EXPECT_EQ(stored.find("sk-upstream-secret"), std::string::npos);
  EXPECT_EQ((good("key list --json").out + good("provider list").out).find(secret),
            std::string::npos);
}

TEST_F(CliTest, ApplyTwiceChangesNothingTheSecondTime) {
  std::ofstream(root_ / "catalog.toml")
      << "[[customer]]\nname = \"acme\"\ncredit = 3\n[[customer.key]]\nname = \"k\"\n";
  const std::string file = (root_ / "catalog.toml").string();
  const Ran first = good("apply " + file + " --json");
  EXPECT_EQ(field(first.out, "changed"), "3");
  EXPECT_TRUE(field(first.out, "key").starts_with("sk-"));
  const Ran second = good("apply " + file + " --json");
  EXPECT_EQ(field(second.out, "changed"), "0");
  EXPECT_EQ(field(second.out, "unchanged"), "2");
  EXPECT_EQ(field(good("customer show acme --json").out, "balance_usd"), "3.00");
}

TEST_F(CliTest, ChangesAreVisibleWhenTheCommandReturns) {
  start_reconciler();
  good("customer add acme");
  good("credit add --customer acme --amount 10");
  const std::string live = good("wallet show acme --json").out;
  EXPECT_EQ(field(live, "live"), "true");
  EXPECT_EQ(field(live, "available_usd"), "10.00");
  good("credit take --customer acme --amount 0.25");
  EXPECT_EQ(field(good("wallet show acme --json").out, "available_usd"), "9.75");
  set_up_model();
  good("key add --customer acme --name k");
  const Ran running = good("check --json");
  EXPECT_EQ(field(running.out, "ok"), "true");
  EXPECT_EQ(field(running.out, "shared_state"), "true");
  stop_reconciler();
  good("check");
  good("credit add --customer acme --amount 1");  // waits for nobody
  good("check");
}

TEST_F(CliTest, CheckFindsMoneyThatTheBooksDoNotKnow) {
  start_reconciler();
  good("customer add acme");
  good("credit add --customer acme --amount 10");
  good("check");
  stop_reconciler();
  std::string message;
  {
    auto environment = state::open({.directory = (root_ / "state").string()}, message);
    ASSERT_TRUE(environment) << message;
    const auto wallet = (*environment)->find_wallet(1);
    ASSERT_TRUE(wallet && *wallet);
    const state::DeltaVerb forged{1, (*wallet)->applied_no + 1, 5};
    state::Writer writer(**environment);
    ASSERT_EQ(writer.publish_deltas({&forged, 1}).committed, 1U);
  }
  const Ran ran = sluice("check");
  EXPECT_EQ(ran.status, 1);
  EXPECT_EQ(ran.err,
            "sluice: check: I1: credits are those of the ledger's entries, each wallet: wallet 1: "
            "base 0 applied 10000000005, the ledger's entries say 0 and 10000000000 "
            "(and 1 more that is wrong)\n");
}

}  // namespace
}  // namespace sluice
