#include "read_on.hpp"

namespace sluice::relay {

ReadOn::ReadOn(Services& services, const state::KeyRecord& key, OnOver over, void* context)
    : bytes_most_(key.drain_bytes),
      nanos_most_(key.drain_nanos),
      on_over_(over),
      context_(context),
      timer_(&ReadOn::on_time, this) {
  if (key.drain_seconds == 0) return;
  services.reactor.timers().arm(timer_,
                                services.reactor.now_ns() + TimeNs{key.drain_seconds} * kSecond);
}

void ReadOn::on_time(ring::Timer&, void* context) {
  ReadOn& self = *static_cast<ReadOn*>(context);
  self.over_ = true;
  self.on_over_(self.context_);
}

void ReadOn::take(std::uint64_t bytes, Tokens counted, const HoldTerms* terms) {
  bytes_ += bytes;
  over_ |= bytes_most_ != 0 && bytes_ > bytes_most_;
  if (counted_before_ < 0) counted_before_ = counted;
  if (nanos_most_ == 0 || terms == nullptr) return;
  const Result<Nanos> cost =
      price::output_cost(*terms->row, terms->terms, terms->prompt_bound, counted - counted_before_);
  over_ |= !cost || *cost > nanos_most_;
}

}  // namespace sluice::relay
