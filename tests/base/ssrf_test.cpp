#include "sluice/base/ssrf.hpp"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(IpAddress, ReadsOnlyCanonicalForms) {
  EXPECT_EQ(to_string(parse_ip("192.0.2.7").value()), "192.0.2.7");
  EXPECT_EQ(to_string(parse_ip("0.10.199.255").value()), "0.10.199.255");
  EXPECT_EQ(to_string(parse_ip("2001:DB8::1").value()), "2001:db8::1");
  EXPECT_TRUE(parse_ip("::ffff:10.0.0.1")->is_v4());
  for (const char* bad : {"", "1", "127.1", "0x7f.0.0.1", "0177.0.0.1", "1.2.3.4.5", "1.2.3.4 ",
                          "[::1]", "::1%lo", "2130706433", "1.2.3.256"}) {
    EXPECT_FALSE(parse_ip(bad)) << bad;
  }
}

TEST(IpAddress, NetworksContainTheirAddresses) {
  const Cidr ten = parse_cidr("10.0.0.0/8").value();
  EXPECT_TRUE(contains(ten, parse_ip("10.255.1.2").value()));
  EXPECT_TRUE(contains(ten, parse_ip("::ffff:10.0.0.1").value()));
  EXPECT_FALSE(contains(ten, parse_ip("11.0.0.0").value()));
  EXPECT_TRUE(contains(parse_cidr("172.16.0.0/12").value(), parse_ip("172.31.255.255").value()));
  EXPECT_FALSE(contains(parse_cidr("172.16.0.0/12").value(), parse_ip("172.32.0.0").value()));
  EXPECT_TRUE(contains(parse_cidr("::/0").value(), parse_ip("1.2.3.4").value()));
  EXPECT_EQ(parse_cidr("192.0.2.1")->prefix, 128);
  for (const char* bad :
       {"10.0.0.0/33", "10.0.0.1/8", "::1/129", "10.0.0.0/", "10.0.0.0/-1", "/8", "10.0.0.0/8 "}) {
    EXPECT_FALSE(parse_cidr(bad)) << bad;
  }
}

TEST(Ssrf, SpecialAddressesAreNotPublic) {
  for (const char* text : {
           "0.0.0.0",
           "0.1.2.3",
           "10.1.2.3",
           "100.64.0.1",
           "100.127.255.255",
           "127.0.0.1",
           "127.255.255.254",
           "169.254.169.254",
           "172.16.0.1",
           "172.31.255.255",
           "192.0.0.1",
           "192.0.2.1",
           "192.168.1.1",
           "198.18.0.1",
           "198.19.255.255",
           "198.51.100.1",
           "203.0.113.9",
           "224.0.0.1",
           "239.1.1.1",
           "240.0.0.1",
           "255.255.255.255",
           "::",
           "::1",
           "::7f00:1",
           "::ffff:127.0.0.1",
           "::ffff:169.254.169.254",
           "fe80::1",
           "fec0::1",
           "fc00::1",
           "fd00:ec2::254",
           "ff02::1",
           "2001:db8::1",
           "2001:2::1",
           "64:ff9b::7f00:1",
           "64:ff9b::a9fe:a9fe",
           "64:ff9b:1::1",
           "2002:7f00:1::",
           "2002:a00:1::1",
           "100::1",
           "3fff::1",
       }) {
    EXPECT_FALSE(is_public(parse_ip(text).value())) << text;
  }
}

TEST(Ssrf, OrdinaryAddressesArePublic) {
  for (const char* text : {"1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.32.0.1",
                           "192.167.1.1", "198.20.0.1", "223.255.255.255", "2606:4700::1111",
                           "2a00:1450::1", "64:ff9b::808:808", "2002:808:808::1"}) {
    EXPECT_TRUE(is_public(parse_ip(text).value())) << text;
  }
}

TEST(Ssrf, TheOperatorsListOpensOnlyWhatItNames) {
  const std::vector<Cidr> loopback{parse_cidr("127.0.0.0/8").value()};
  EXPECT_TRUE(may_connect(parse_ip("127.0.0.1").value(), loopback));
  EXPECT_TRUE(may_connect(parse_ip("8.8.8.8").value(), {}));
  EXPECT_FALSE(may_connect(parse_ip("127.0.0.1").value(), {}));
  EXPECT_FALSE(may_connect(parse_ip("10.0.0.1").value(), loopback));
  EXPECT_FALSE(may_connect(parse_ip("::1").value(), loopback));
}

}  // namespace
}  // namespace sluice
