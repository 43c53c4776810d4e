#include "sluice/tls/ticket_keys.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace sluice::tls {
namespace {

struct Ticket {
  std::array<std::uint8_t, TicketKeys::kNameBytes> name{};
  std::array<std::uint8_t, TicketKeys::kIvBytes> iv{};
  std::array<std::uint8_t, TicketKeys::kMacBytes> mac{};
  std::array<std::uint8_t, 40> body{};
};

Ticket sealed_by(TicketKeys& keys) {
  Ticket ticket;
  ticket.body.fill(7);
  EXPECT_TRUE(keys.seal(ticket.name, ticket.iv, ticket.mac, ticket.body));
  EXPECT_LT(std::ranges::count(ticket.body, 7), 8);  // of 40: it is not in clear
  return ticket;
}

TicketKeys::Opened opened_by(TicketKeys& keys, Ticket ticket) {
  const auto opened = keys.open(ticket.name, ticket.iv, ticket.mac, ticket.body);
  if (opened != TicketKeys::Opened::no) {
    EXPECT_EQ(std::ranges::count(ticket.body, 7), 40);
  }
  return opened;
}

TEST(TicketKeys, OpenWhatTheNewestAndTheOneBeforeItMade) {
  TicketKeys keys;
  keys.rotate({1});
  const Ticket ticket = sealed_by(keys);
  EXPECT_EQ(opened_by(keys, ticket), TicketKeys::Opened::yes);
  keys.rotate({2});
  EXPECT_EQ(opened_by(keys, ticket), TicketKeys::Opened::with_old_key);
  keys.rotate({3});
  EXPECT_EQ(opened_by(keys, ticket), TicketKeys::Opened::no);
}

TEST(TicketKeys, OfTwoShardsAreTheirsUntilTheyGetTheSame) {
  TicketKeys here;
  TicketKeys there;
  EXPECT_EQ(opened_by(there, sealed_by(here)), TicketKeys::Opened::no);
  here.rotate({1});
  there.rotate({1});
  EXPECT_EQ(opened_by(there, sealed_by(here)), TicketKeys::Opened::yes);
}

TEST(TicketKeys, RefuseATicketWithAnyByteChanged) {
  TicketKeys keys;
  const Ticket ticket = sealed_by(keys);
  const auto refuses = [&](auto Ticket::* part, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) {
      Ticket changed = ticket;
      (changed.*part)[i] ^= 1;
      EXPECT_EQ(opened_by(keys, changed), TicketKeys::Opened::no) << i;
    }
  };
  refuses(&Ticket::name, TicketKeys::kNameBytes);
  refuses(&Ticket::iv, 12);
  refuses(&Ticket::mac, 16);
  refuses(&Ticket::body, ticket.body.size());
}

TEST(TicketKeys, NeverUseANonceTwice) {
  TicketKeys keys;
  const Ticket first = sealed_by(keys);
  const Ticket second = sealed_by(keys);
  EXPECT_NE(first.iv, second.iv);
  EXPECT_NE(first.body, second.body);
}

}  // namespace
}  // namespace sluice::tls
