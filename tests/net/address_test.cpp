#include "sluice/net/address.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <string>

namespace sluice::net {
namespace {

TEST(Address, ReadsIpv4) {
  const auto address = parse_address("192.0.2.7:8080");
  ASSERT_TRUE(address);
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(address->raw());
  EXPECT_EQ(v4->sin_family, AF_INET);
  EXPECT_EQ(ntohs(v4->sin_port), 8080);
  EXPECT_EQ(ntohl(v4->sin_addr.s_addr), 0xc0000207U);
  EXPECT_EQ(address->bytes, sizeof(sockaddr_in));
  EXPECT_EQ(to_string(*address), "192.0.2.7");
}

TEST(Address, ReadsIpv6InBrackets) {
  const auto address = parse_address("[2001:db8::1]:443");
  ASSERT_TRUE(address);
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address->raw());
  EXPECT_EQ(v6->sin6_family, AF_INET6);
  EXPECT_EQ(ntohs(v6->sin6_port), 443);
  EXPECT_EQ(address->bytes, sizeof(sockaddr_in6));
  EXPECT_EQ(to_string(*address), "2001:db8::1");
}

TEST(Address, RefusesEverythingElse) {
  using namespace std::string_view_literals;
  for (const std::string_view text : {""sv,
                                      ":"sv,
                                      ":80"sv,
                                      "127.0.0.1"sv,
                                      "127.0.0.1:"sv,
                                      "127.0.0.1:65536"sv,
                                      "127.0.0.1:-1"sv,
                                      "127.0.0.1:+80"sv,
                                      "127.0.0.1: 80"sv,
                                      "127.0.0.1:80 "sv,
                                      " 127.0.0.1:80"sv,
                                      "127.0.0.1:80x"sv,
                                      "127.0.0.1:0x50"sv,
                                      "127.1:80"sv,
                                      "0177.0.0.1:80"sv,
                                      "2130706433:80"sv,
                                      "256.0.0.1:80"sv,
                                      "localhost:80"sv,
                                      "example.com:80"sv,
                                      "::1:80"sv,
                                      "[::1]"sv,
                                      "[::1]80"sv,
                                      "[]:80"sv,
                                      "[::1:80"sv,
                                      "::1]:80"sv,
                                      "[127.0.0.1]:80"sv,
                                      "[::1%lo]:80"sv,
                                      "[[::1]]:80"sv,
                                      "127.0.0.1\0:80"sv,
                                      "127.0.0.1\0.example.com:80"sv,
                                      "[::1\0]:80"sv}) {
    const auto address = parse_address(text);
    EXPECT_FALSE(address) << text;
    if (!address) EXPECT_EQ(address.error().code, Errc::bad_value);
  }
}

TEST(Address, ComparesAddressAndPort) {
  EXPECT_EQ(*parse_address("127.0.0.1:80"), *parse_address("127.0.0.1:80"));
  EXPECT_FALSE(*parse_address("127.0.0.1:80") == *parse_address("127.0.0.1:81"));
  EXPECT_FALSE(*parse_address("127.0.0.1:80") == *parse_address("127.0.0.2:80"));
  EXPECT_FALSE(*parse_address("127.0.0.1:80") == *parse_address("[::1]:80"));
}

TEST(Listening, GivesASocketThatAcceptsAndIsClosedOnExec) {
  const auto fd = listen_on(*parse_address("127.0.0.1:0"));
  ASSERT_TRUE(fd);
  int accepts = 0;
  socklen_t bytes = sizeof accepts;
  EXPECT_EQ(getsockopt(*fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &bytes), 0);
  EXPECT_EQ(accepts, 1);
  sockaddr_in bound{};
  bytes = sizeof bound;
  ASSERT_EQ(getsockname(*fd, reinterpret_cast<sockaddr*>(&bound), &bytes), 0);
  // The port is taken: a second one says so with its errno.
  const auto second =
      listen_on(*parse_address("127.0.0.1:" + std::to_string(ntohs(bound.sin_port))));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::io);
  EXPECT_EQ(second.error().sys_errno, EADDRINUSE);
  ::close(*fd);
}

}  // namespace
}  // namespace sluice::net
