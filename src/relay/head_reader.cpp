#include "head_reader.hpp"

#include <bit>
#include <charconv>
#include <cstring>
#include <memory>

#include "field_lines.hpp"
#include "key_check.hpp"
#include "labels.hpp"
#include "scratch.hpp"
#include "sluice/policy/candidates.hpp"
#include "slow_head.hpp"

namespace sluice::relay {
namespace {

// Fields of a client's request that go on to the provider. All others end here: the client's key,
// its cookies, its proxies' addresses are nobody's business.
bool is_forwarded(const http::FieldView& field) {
  switch (field.id) {
    case http::Field::content_type:
    case http::Field::accept:
    case http::Field::user_agent:
    case http::Field::anthropic_version:
    case http::Field::anthropic_beta:
    case http::Field::openai_beta:
      return true;
    default:
      return false;
  }
}

// Fields that are no part of HTTP or of a provider's API: what the client says of itself. Clients
// send many others; most differ in their length already.
void note_own_fields(const http::RequestHead& head, RequestHeadFacts& facts) {
  constexpr std::string_view kTags = "x-sluice-tags";
  constexpr std::string_view kRetries = "x-stainless-retry-count";
  constexpr std::string_view kSession = "x-claude-code-session-id";
  constexpr std::string_view kChannel = "x-sluice-channel";
  constexpr std::string_view kDrill = "x-sluice-drill";
  for (std::size_t i = 0; i < head.field_count(); ++i) {
    const http::FieldView field = head.field(i);
    if (field.id != http::Field::none) continue;
    const auto is = [&](std::string_view name) {
      return field.name.size() == name.size() && http::equal_ignoring_case(field.name, name);
    };
    const char* const end = field.value.data() + field.value.size();
    if (is(kRetries)) {
      std::from_chars(field.value.data(), end, facts.labels.retry);
    } else if (is(kTags)) {
      add_labels(facts.labels, field.value);
    } else if (is(kSession)) {
      facts.wish.session = policy::session_hash(field.value, 0);
    } else if (is(kChannel)) {
      facts.wish.channel = field.value;
    } else if (is(kDrill)) {
      std::from_chars(field.value.data(), end, facts.wish.drill);
    }
  }
}

/// The key without the channel that may stand behind it ("sk-…-channel"), which becomes `pin`.
std::string_view take_pin(std::string_view key, std::string& pin) {
  if (key.size() <= kClientKeyChars + 1 || key[kClientKeyChars] != '-') return key;
  pin = key.substr(kClientKeyChars + 1);
  return key.substr(0, kClientKeyChars);
}

/// Overwrites received bytes: a key does not stay in a buffer that the next connection gets.
void wipe(std::string_view received) {
  explicit_bzero(const_cast<char*>(received.data()), received.size());
}

/// The key as digests. Whatever could be a key is gone from the head afterwards.
void take_key(Services& services, const http::RequestHead& head, const dialect::AuthHeaders& auth,
              RequestHeadFacts& facts) {
  const std::string_view key = dialect::find_api_key(auth, head.query());
  if (!key.empty()) {
    facts.key = std::make_unique<KeyDigests>(hash_key(services, take_pin(key, facts.wish.channel)));
  }
  for (const std::string_view secret : {auth.authorization, auth.x_api_key, auth.x_goog_api_key,
                                        dialect::find_api_key({}, head.query())}) {
    if (!secret.empty()) wipe(secret);
  }
}

void copy_facts(Services& services, const http::RequestHead& head, RequestHeadFacts& facts) {
  const dialect::AuthHeaders auth{.authorization = head.value(http::Field::authorization),
                                  .x_api_key = head.value(http::Field::x_api_key),
                                  .x_goog_api_key = head.value(http::Field::x_goog_api_key),
                                  .api_key = {},
                                  .anthropic_version = head.value(http::Field::anthropic_version)};
  facts.route = dialect::route(http::to_string(head.method()), head.path(), head.query(), auth);
  facts.method = head.method();
  facts.framing = head.framing();
  facts.content_length = head.content_length();
  facts.keep_alive = head.keep_alive();
  facts.expects_continue = head.expects_continue();
  facts.http_1_0 = head.version_minor() == 0;
  const std::string_view encoding = head.value(http::Field::content_encoding);
  facts.encoded = !encoding.empty() && !http::equal_ignoring_case(encoding, "identity");
  take_key(services, head, auth, facts);
  facts.labels = read_labels(services, head);
  note_own_fields(head, facts);
  facts.query = head.query();
  facts.forwarded = chosen_lines(head, is_forwarded);
  facts.forwards_content_type =
      !head.value(http::Field::content_type).empty() && !head.connection_names("content-type");
  facts.id = next_request_id(services);
  facts.received_ns = services.reactor.now_ns();
  facts.received_realtime_ns = services.reactor.realtime_ns();
}

// The format that the path of a head names which was refused as a whole.
dialect::Format guess_format(std::string_view bytes) {
  const std::size_t start = bytes.find(' ');
  if (start == std::string_view::npos) return dialect::Format::openai;
  const std::string_view target =
      bytes.substr(start + 1, bytes.find_first_of(" ?\r\n", start + 1) - start - 1);
  return dialect::route("POST", target, {}, {}).format;
}

}  // namespace

// Rising as text: the ledger's index of requests then grows at its end, where each row would
// otherwise touch a page of its own.
RequestId next_request_id(Services& services) {
  RequestId id;
  const std::uint64_t halves[2] = {services.id_high, std::byteswap(services.id_low++)};
  std::memcpy(id.data(), halves, sizeof halves);
  return id;
}

ring::Task<Result<>> read_head(Services& services, net::Stream& client, RequestHeadFacts& facts,
                               dialect::Format& format) {
  std::unique_ptr<SlowHead<http::RequestParser>> slow;
  TimeNs deadline_ns = services.reactor.now_ns() + services.settings.keepalive_idle_ns;
  for (;;) {
    Result<ring::Piece> received = co_await client.receive(deadline_ns);
    if (!received) {
      if (!slow && received.error().code == Errc::timed_out) co_return fail(Errc::closed);
      co_return std::unexpected(received.error());
    }
    ring::Piece piece = std::move(*received);
    std::span<const char> bytes = piece.view();
    http::RequestParser& parser = slow ? slow->parser : services.scratch->request_parser;
    if (slow) {
      slow->bytes.append(piece.view());
      bytes = slow->bytes.view();
    } else {
      parser.reset();
    }
    const Result<http::HeadStatus> status = parser.parse(bytes, services.settings.limits);
    if (!status) {
      format = guess_format({bytes.data(), bytes.size()});
      wipe(piece.view());
      co_return std::unexpected(status.error());
    }
    if (*status == http::HeadStatus::complete) {
      copy_facts(services, parser.head(bytes), facts);
      facts.secure = client.secure();
      // What lies behind the head is all within the last piece.
      const std::size_t behind_bytes = bytes.size() - parser.head_bytes();
      if (slow) wipe(piece.view().substr(0, piece.size() - behind_bytes));
      piece.drop_front(piece.size() - behind_bytes);
      client.unread(std::move(piece));
      co_return Result<>{};
    }
    if (!slow) {
      slow = make_slow(std::string_view(piece.view().data(), piece.size()), parser);
      deadline_ns = services.reactor.now_ns() + services.settings.head_timeout_ns;
    }
    wipe(piece.view());
  }
}

}  // namespace sluice::relay
