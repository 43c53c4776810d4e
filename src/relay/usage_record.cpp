#include "usage_record.hpp"

#include <algorithm>
#include <cstring>

namespace sluice::relay {
namespace {

state::WorkKind work_of(dialect::Operation operation) {
  using dialect::Operation;
  switch (operation) {
    case Operation::openai_chat:
    case Operation::openai_responses:
    case Operation::claude_messages:
      return state::WorkKind::chat;
    case Operation::openai_completions:
      return state::WorkKind::text_completion;
    case Operation::openai_embeddings:
    case Operation::gemini_embed:
      return state::WorkKind::embeddings;
    case Operation::gemini_generate:
    case Operation::gemini_stream_generate:
      return state::WorkKind::generate_content;
    default:
      return state::WorkKind::unknown;  // nothing else is billed
  }
}

}  // namespace

// Whose it is (key, wallet, price) comes from the hold.
state::OutboxRecord usage_record(const RequestHeadFacts& head, const Plan& plan,
                                 const Failover& failover, const ExchangeFacts& facts,
                                 const std::array<std::uint8_t, 16>& client_v6, TimeNs now_ns) {
  const auto since = [&](TimeNs at_ns) {
    return at_ns > head.received_ns ? static_cast<std::uint64_t>(at_ns - head.received_ns) : 0;
  };
  state::OutboxRecord record;
  record.format_in = static_cast<std::uint8_t>(head.route.format);
  record.format_out = record.format_in;
  record.stream = plan.stream ? 1 : 0;
  record.work = work_of(plan.operation);
  record.http_status = facts.status;
  if (failover.channel() != nullptr) record.channel_id = failover.channel()->id;
  record.channel_key_id = failover.channel_key_id();
  record.attempts = static_cast<std::uint16_t>(failover.attempts());
  record.route_reason = static_cast<std::uint32_t>(failover.reason());
  record.route_group_id = plan.group != nullptr ? plan.group->id : 0;
  record.failed = failover.failures();
  record.client_retry = head.labels.retry;
  record.error = static_cast<std::uint32_t>(facts.error);
  record.client_address_kind = 6;
  record.client_address = client_v6;
  record.started_at_ns = head.received_realtime_ns;
  record.queue_ns = since(facts.reserved_ns);
  record.connect_ns = since(facts.connected_ns);
  record.first_byte_ns = since(facts.first_byte_ns);
  record.first_token_ns = since(facts.first_token_ns);
  record.total_ns = since(now_ns);
  record.bytes_in = facts.bytes_in;
  record.bytes_out = facts.bytes_out;
  const std::string& tags = head.labels.tags;
  std::memcpy(record.tags.data(), tags.data(), std::min(tags.size(), record.tags.size()));
  return record;
}

}  // namespace sluice::relay
