#include "resolver.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <mutex>

namespace sluice::reconcile {
namespace {

/// A name server that answers what the test says.
class Names {
 public:
  void set(const std::string& host, std::vector<std::string> addresses) {
    const std::lock_guard lock(mutex_);
    answers_[host] = std::move(addresses);
  }
  std::vector<IpAddress> look_up(const std::string& host) {
    const std::lock_guard lock(mutex_);
    ++asked_;
    std::vector<IpAddress> out;
    for (const std::string& text : answers_[host]) out.push_back(parse_ip(text).value());
    return out;
  }
  int asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::vector<std::string>> answers_;
  int asked_ = 0;
};

bool settle(Resolver& resolver) {
  for (int i = 0; i < 500 && !resolver.settled(); ++i) ::usleep(2'000);
  return resolver.settled();
}

TEST(Resolver, ChecksAndSortsWhatItFinds) {
  Names names;
  names.set("api.example.com", {"2606:4700::1", "93.184.216.34", "10.0.0.1", "127.0.0.1", "169.254.169.254"});
  names.set("inside.example.com", {"10.1.2.3"});
  Resolver resolver({parse_cidr("127.0.0.0/8").value()}, [&](const std::string& host) { return names.look_up(host); },
                    [] {});
  resolver.want({{"api.example.com", 443}, {"inside.example.com", 443}, {"127.0.0.1", 9000}, {"10.9.9.9", 80}});
  ASSERT_TRUE(settle(resolver));
  const auto specs = resolver.addresses();
  ASSERT_EQ(specs.size(), 4U);
  EXPECT_EQ(specs[0].host, "10.9.9.9");
  EXPECT_TRUE(specs[0].addresses.empty());
  ASSERT_EQ(specs[1].addresses.size(), 1U);
  EXPECT_EQ(specs[1].addresses[0].family, 4);
  EXPECT_EQ(specs[1].addresses[0].port, 9000);
  ASSERT_EQ(specs[2].addresses.size(), 3U) << "loopback is listed, the others are private";
  EXPECT_EQ(specs[2].addresses[0].bytes[0], 93);
  EXPECT_EQ(specs[2].addresses[1].bytes[0], 127);
  EXPECT_EQ(specs[2].addresses[2].family, 6);
  EXPECT_TRUE(specs[3].addresses.empty());
}

TEST(Resolver, AddressesWrittenAsSuchNeedNoThread) {
  Names names;
  Resolver resolver({}, [&](const std::string& host) { return names.look_up(host); }, [] {});
  resolver.want({{"93.184.216.34", 443}});
  EXPECT_TRUE(resolver.settled());
  EXPECT_EQ(resolver.addresses()[0].addresses.size(), 1U);
  EXPECT_EQ(names.asked(), 0);
}

TEST(Resolver, APinStaysWhenTheNameServerIsAwayAndGoesWhenTheAnswerIsRefused) {
  Names names;
  std::atomic<int> changes{0};
  names.set("a.example.com", {"93.184.216.34"});
  Resolver resolver({}, [&](const std::string& host) { return names.look_up(host); }, [&] { ++changes; });
  const std::set<HostPort> hosts{{"a.example.com", 443}};
  resolver.want(hosts);
  ASSERT_TRUE(settle(resolver));
  const std::uint64_t version = resolver.version();
  EXPECT_EQ(changes, 1);
  // Wanting it again does not ask again, and the order of an answer is no change.
  resolver.want(hosts);
  EXPECT_EQ(resolver.version(), version);
  EXPECT_EQ(names.asked(), 1);
}

}  // namespace
}  // namespace sluice::reconcile
